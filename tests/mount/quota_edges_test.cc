// SPDX-License-Identifier: Apache-2.0
//
// Where accounting could go wrong: renames that are refused, limits that wait at a unit's new name,
// a backing filesystem that is full itself, files of exabytes, mapped tails of files.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <limits>

#include "tests/mount/quota_fixture.h"
#include "tests/mount/quota_scopes.h"
#include "tests/support/plain_files.h"

namespace ebbfs::test {
namespace {

using namespace std::chrono_literals;

class QuotaEdges : public QuotaTest {
 protected:
  [[nodiscard]] int rename(const char* from, const char* to, unsigned flags = 0) const {
    return errno_of(::renameat2(AT_FDCWD, at(from).c_str(), AT_FDCWD, at(to).c_str(), flags));
  }
};

TEST_F(QuotaEdges, AUnitThatDidNotFitElsewhereIsStillAUnit) {
  ASSERT_EQ(run("mkdir -p agents/ci units/a && echo x >units/a/f && echo x >units/b").exit_code, 0);
  set("job:ci --bytes 0");
  EXPECT_EQ(rename("units/a", "agents/ci/a"), EDQUOT);
  EXPECT_EQ(rename("units/b", "agents/ci/b"), EDQUOT);
  EXPECT_EQ(volume_->units().size(), 2U);
  EXPECT_EQ(rename("units/a", "plain/a"), 0);
  EXPECT_EQ(rename("units/b", "plain/b"), 0);
  EXPECT_TRUE(volume_->units().empty());
  EXPECT_EQ(held("class:tree"), Counted{});
}

TEST_F(QuotaEdges, AUnitDoesNotMoveToANameWhoseLimitItPasses) {
  ASSERT_EQ(run("mkdir units/a && head -c 8192 /dev/zero >units/a/f && mkdir units/c").exit_code,
            0);
  set("unit:units/b --bytes 8191");
  set("unit:units/c --inodes 1");
  EXPECT_EQ(rename("units/a", "units/b"), EDQUOT);
  EXPECT_EQ(rename("units/a", "units/c", RENAME_EXCHANGE), EDQUOT);
  EXPECT_EQ(::truncate(at("units/a/f").c_str(), 12288), 0) << "bound as before";
  set("unit:units/b --bytes 12288");
  EXPECT_EQ(rename("units/a", "units/b"), 0);
  EXPECT_EQ(errno_of(::truncate(at("units/b/f").c_str(), 12289)), EDQUOT);
}

TEST_F(QuotaEdges, ARefusedRenameGivesNothingAwayMeanwhile) {
  ASSERT_EQ(run("mkdir -p units/a plain/full/x && head -c 8192 /dev/zero >units/a/f").exit_code, 0);
  set("class:tree --bytes 8192");
  EXPECT_EQ(rename("units/a", "plain/full"), ENOTEMPTY);
  EXPECT_EQ(held("class:tree"), (Counted{.bytes = 8192, .inodes = 2}));
  EXPECT_NE(run("mkdir units/b && head -c 1 /dev/zero >units/b/f").exit_code, 0);
}

TEST_F(QuotaEdges, FilesOfExabytesAreCountedAndBounded) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  constexpr std::int64_t kCharge = kMost / 4096 * 4096;
  ASSERT_EQ(run("mkdir units/u && touch units/u/f units/u/g").exit_code, 0);
  set("unit:units/u --bytes " + std::to_string(kCharge - 1));
  EXPECT_EQ(errno_of(::truncate(at("units/u/f").c_str(), kMost)), EDQUOT);
  set("unit:units/u --bytes " + std::to_string(kCharge));
  EXPECT_EQ(::truncate(at("units/u/f").c_str(), kMost), 0);
  EXPECT_EQ(held("unit:units/u").bytes, kCharge);
  EXPECT_EQ(errno_of(::truncate(at("units/u/g").c_str(), 1)), ENOSPC) << "no number is left";
  EXPECT_EQ(errno_of(::truncate(at("units/u/g").c_str(), kMost)), ENOSPC) << "nothing overflows";
  EXPECT_EQ(told(volume_->path()), count_tree(volume_->path()));
  const UniqueFd fd = opened(at("units/u/g"), O_WRONLY);
  EXPECT_NE(::pwrite(fd.get(), "x", 1, kMost - 1), 1);
  EXPECT_NE(::fallocate(fd.get(), 0, kMost - 4096, 4095), 0);
  EXPECT_EQ(::truncate(at("units/u/f").c_str(), 0), 0);
  EXPECT_EQ(::truncate(at("units/u/g").c_str(), std::int64_t{8} << 40), 0);
  EXPECT_EQ(held("unit:units/u").bytes, std::int64_t{8} << 40);
}

TEST_F(QuotaEdges, AMappedTailCostsNothingAndExtendsNothing) {
  ASSERT_EQ(run("mkdir units/u && head -c 5000 /dev/zero >units/u/f").exit_code, 0);
  set("unit:units/u --bytes 8192");
  const UniqueFd fd = opened(at("units/u/f"), O_RDWR);
  void* const mapped = ::mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  ASSERT_NE(mapped, MAP_FAILED);
  static_cast<char*>(mapped)[8191] = 'x';
  static_cast<char*>(mapped)[4999] = 'y';
  EXPECT_EQ(::msync(mapped, 8192, MS_SYNC), 0);
  EXPECT_EQ(::munmap(mapped, 8192), 0);
  EXPECT_EQ(status_of(at("units/u/f")).st_size, 5000);
  EXPECT_EQ(held("unit:units/u").bytes, 8192);
  EXPECT_EQ(get(at("units/u/f")).back(), 'y');
}

// The kernel cuts it at pages, as the file can be read as well.
TEST_F(QuotaEdges, AWriteThatComesInPartsEndsAtTheLastThatFits) {
  ASSERT_EQ(run("mkdir units/u").exit_code, 0);
  set("unit:units/u --bytes 40960");
  const UniqueFd fd = opened(at("units/u/f"), O_RDWR | O_CREAT);
  const std::string data = pattern(65536);
  constexpr off_t kOffset = 12953;
  const ssize_t landed = ::pwrite(fd.get(), data.data(), data.size(), kOffset);
  ASSERT_GT(landed, 0);
  EXPECT_LE(kOffset + landed, 40960);
  EXPECT_EQ(status_of(at("units/u/f")).st_size, kOffset + landed);
  EXPECT_EQ(get(at("units/u/f")).substr(kOffset), data.substr(0, static_cast<std::size_t>(landed)));
  EXPECT_EQ(told(volume_->path()), count_tree(volume_->path()));
  EXPECT_EQ(errno_of(static_cast<int>(::pwrite(fd.get(), data.data(), data.size(), 16384))),
            EDQUOT);
  EXPECT_EQ(status_of(at("units/u/f")).st_size, kOffset + landed);
  EXPECT_EQ(told(volume_->path()), count_tree(volume_->path()));
}

TEST_F(QuotaEdges, AHardLinkedFileIsGivenAwayOnceAndStaysWithItsOtherName) {
  ASSERT_EQ(
      run("mkdir -p units/u/d && head -c 8192 /dev/zero >units/u/f && ln units/u/f units/u/d/g")
          .exit_code,
      0);
  EXPECT_EQ(rename("units/u/d", "plain/d"), EXDEV);
  ASSERT_EQ(::chown(at("units/u/d/g").c_str(), kAlice, kAlice), 0);
  EXPECT_EQ(held("user:21001"), (Counted{.bytes = 8192, .inodes = 1}));
  EXPECT_EQ(held("unit:units/u"), (Counted{.bytes = 8192, .inodes = 3}));
}

TEST_F(QuotaEdges, WhatIsUnlinkedAndOpenIsChargedAsItGrowsAndShrinks) {
  ASSERT_EQ(run("mkdir units/u && head -c 4096 /dev/zero >units/u/f").exit_code, 0);
  set("unit:units/u --bytes 8192");
  UniqueFd fd = opened(at("units/u/f"), O_RDWR);
  ASSERT_EQ(::unlink(at("units/u/f").c_str()), 0);
  EXPECT_EQ(::ftruncate(fd.get(), 8192), 0);
  EXPECT_EQ(errno_of(::ftruncate(fd.get(), 8193)), EDQUOT);
  EXPECT_EQ(held("unit:units/u"), (Counted{.bytes = 8192, .inodes = 2}));
  EXPECT_EQ(::ftruncate(fd.get(), 0), 0);
  EXPECT_EQ(held("unit:units/u"), (Counted{.bytes = 0, .inodes = 2}));
  fd.reset();
  EXPECT_TRUE(eventually([&] { return held("unit:units/u").inodes == 1; }, 5s));
}

class QuotaOnFullBacking : public QuotaTest, public testing::WithParamInterface<Ground> {
 protected:
  void SetUp() override {
    const bool image = std::string(GetParam().filesystem) == "xfs";  // at least 300 MiB
    start({.filesystem = GetParam().filesystem,
           .size = image ? "320M" : "48M",
           .policy = kQuotaPolicy});
  }
};
INSTANTIATE_TEST_SUITE_P(, QuotaOnFullBacking, testing::ValuesIn(kFilesystems), ground_name);

TEST_P(QuotaOnFullBacking, EveryWayToGrowGivesBackWhatDidNotLand) {
  ASSERT_EQ(run("mkdir units/u && head -c 4M /dev/urandom >plain/source").exit_code, 0);
  set("unit:units/u --bytes 2G");
  for (const char* command :
       {"fallocate -l 1G units/u/f", "dd if=/dev/zero of=units/u/f bs=1M",
        "while dd if=plain/source bs=1M >>units/u/f; do :; done; false",
        "n=0; while dd if=plain/source bs=1M of=units/u/g$((n++)); do :; done; false",
        "dd if=/dev/zero of=units/u/h bs=4k oflag=direct"}) {
    const Ran ran = run(std::string("LC_ALL=C ") + command + " 2>&1");
    EXPECT_NE(ran.exit_code, 0) << command;
    EXPECT_TRUE(eventually([&] { return held("unit:units/u") == volume_->count("units/u"); }, 5s))
        << command << ": " << held("unit:units/u") << ", but " << volume_->count("units/u");
  }
  EXPECT_EQ(run("rm -r units/u").exit_code, 0);
}

// ---- Programs that unpack and install ----

TEST_F(QuotaEdges, TellsUnpackersAndInstallersThatTheQuotaIsFull) {
  ASSERT_EQ(run("mkdir -p plain/home plain/package/big && cd plain/package && "
                "head -c 3M /dev/urandom >big/file && "
                "echo '{\"name\": \"big\", \"version\": \"1.0.0\"}' >package.json && "
                "tar -C .. -czf ../big.tgz package")
                .exit_code,
            0);
  constexpr const char* kInstall =
      "cd units/u && echo '{\"name\": \"a\", \"version\": \"1.0.0\"}' >package.json && "
      "HOME=$PWD/../../plain/home npm install --offline --no-audit --no-fund "
      "--no-update-notifier ../../plain/big.tgz";
  struct Program {
    const char* name;
    const char* command;
    const char* limit;
    const char* says;
    bool fails = true;
  };
  const Program programs[] = {
      {"tar", "tar -C units/u -xzf plain/big.tgz", "--bytes 1M", "Disk quota exceeded"},
      {"rsync", "rsync -a plain/package/ units/u/", "--bytes 1M", "Disk quota exceeded"},
      // Node knows EDQUOT by its number only; npm goes on after a file that it could not write.
      {"npm", kInstall, "--bytes 1M", "-122", false},
      {"npm", kInstall, "--inodes 2 --bytes none", "npm error"},
  };
  int ran_some = 0;
  for (const Program& program : programs) {
    if (shell(std::string("command -v ") + program.name).exit_code != 0) {
      std::printf("without %s: it is not installed\n", program.name);
      continue;
    }
    ++ran_some;
    ASSERT_EQ(::mkdir(at("units/u").c_str(), 0755), 0);
    set(std::string("unit:units/u ") + program.limit);
    const Ran ran = run(std::string("export LC_ALL=C; ") + program.command + " 2>&1");
    if (program.fails) {
      EXPECT_NE(ran.exit_code, 0) << program.name;
    }
    EXPECT_NE(ran.out.find(program.says), std::string::npos) << program.name << "\n" << ran.out;
    EXPECT_LE(volume_->count("units/u").bytes, 1 << 20);
    EXPECT_EQ(run("head -c 3M /dev/zero >plain/others && rm plain/others").exit_code, 0);
    EXPECT_EQ(run("rm -rf units/u").exit_code, 0);
    EXPECT_TRUE(volume_->counts_right()) << program.name;
  }
  if (ran_some == 0) GTEST_SKIP() << "none of them is installed";
}

}  // namespace
}  // namespace ebbfs::test
