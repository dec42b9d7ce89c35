// SPDX-License-Identifier: Apache-2.0
//
// Every way to grow against every kind of limit: under it, exactly at it, over it, for bytes and
// for inodes, hard, soft in its grace, and soft when that is over.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <thread>

#include "tests/mount/quota_fixture.h"
#include "tests/support/plain_files.h"

namespace ebbfs::test {
namespace {

using namespace std::chrono_literals;

struct ChargePoint {
  const char* name;
  Counted cost;
  int (*act)(const std::string& root);  // 0 or an errno
  const char* scope = "unit:units/u";   // that pays
};

int grow(const std::string& root, int flags, const auto& act) {
  const UniqueFd fd(::open((root + "/units/u/f").c_str(), flags | O_CLOEXEC));
  return fd.valid() ? act(fd.get()) : errno;
}

constexpr unsigned kNobody = static_cast<unsigned>(-1);  // chown(2): leave it
const std::vector<char> kTwoBlocks(8192, 'x');

const ChargePoint kChargePoints[] = {
    {"Write",
     {.bytes = 8192},
     [](const std::string& root) {
       return grow(root, O_WRONLY, [](int fd) {
         return result_of(::pwrite(fd, kTwoBlocks.data(), kTwoBlocks.size(), 4096) == 8192);
       });
     }},
    {"Append",
     {.bytes = 8192},
     [](const std::string& root) {
       return grow(root, O_WRONLY | O_APPEND, [](int fd) {
         return result_of(::write(fd, kTwoBlocks.data(), kTwoBlocks.size()) == 8192);
       });
     }},
    {"Truncate",
     {.bytes = 8192},
     [](const std::string& root) {
       return result_of(::truncate((root + "/units/u/f").c_str(), 12288) == 0);
     }},
    {"Fallocate",
     {.bytes = 8192},
     [](const std::string& root) {
       return grow(root, O_WRONLY,
                   [](int fd) { return result_of(::fallocate(fd, 0, 0, 12288) == 0); });
     }},
    {"CopyFileRange",
     {.bytes = 8192},
     [](const std::string& root) {
       const UniqueFd from(::open((root + "/plain/source").c_str(), O_RDONLY | O_CLOEXEC));
       return grow(root, O_WRONLY, [&](int fd) {
         off_t to = 4096;
         return result_of(::copy_file_range(from.get(), nullptr, fd, &to, 8192, 0) == 8192);
       });
     }},
    {"Create",
     {.inodes = 1},
     [](const std::string& root) {
       const UniqueFd fd(
           ::open((root + "/units/u/new").c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
       return result_of(fd.valid());
     }},
    {"Mkdir",
     {.inodes = 1},
     [](const std::string& root) {
       return result_of(::mkdir((root + "/units/u/new").c_str(), 0755) == 0);
     }},
    {"Symlink",
     {.inodes = 1},
     [](const std::string& root) {
       return result_of(::symlink("target", (root + "/units/u/new").c_str()) == 0);
     }},
    {"Mknod",
     {.inodes = 1},
     [](const std::string& root) {
       return result_of(::mknod((root + "/units/u/new").c_str(), S_IFIFO | 0644, 0) == 0);
     }},
    {"RenameOfAFile",
     {.bytes = 8192, .inodes = 1},
     [](const std::string& root) {
       return result_of(
           ::rename((root + "/plain/source").c_str(), (root + "/units/u/new").c_str()) == 0);
     }},
    {"RenameOfATree",
     {.bytes = 12288, .inodes = 4},
     [](const std::string& root) {
       return result_of(::rename((root + "/plain/tree").c_str(), (root + "/units/u/new").c_str()) ==
                        0);
     }},
    {"WriteDirectly",
     {.bytes = 8192},
     [](const std::string& root) {
       return grow(root, O_WRONLY | O_DIRECT, [](int fd) {
         const std::unique_ptr<void, void (*)(void*)> block(std::aligned_alloc(4096, 8192),
                                                            &std::free);
         std::memset(block.get(), 'x', 8192);
         return result_of(::pwrite(fd, block.get(), 8192, 4096) == 8192);
       });
     }},
    {"TruncateOpen",
     {.bytes = 8192},
     [](const std::string& root) {
       return grow(root, O_WRONLY, [](int fd) { return result_of(::ftruncate(fd, 12288) == 0); });
     }},
    {"ZeroRange",
     {.bytes = 8192},
     [](const std::string& root) {
       return grow(root, O_WRONLY, [](int fd) {
         return result_of(::fallocate(fd, FALLOC_FL_ZERO_RANGE, 4096, 8192) == 0);
       });
     }},
    {"MknodOfAFile",
     {.inodes = 1},
     [](const std::string& root) {
       return result_of(::mknod((root + "/units/u/new").c_str(), S_IFREG | 0644, 0) == 0);
     }},
    {"Nameless",
     {.inodes = 1},
     [](const std::string& root) {
       const UniqueFd fd(::open((root + "/units/u").c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
       if (!fd.valid()) return errno;
       const std::string self = "/proc/self/fd/" + std::to_string(fd.get());
       return result_of(::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, (root + "/units/u/new").c_str(),
                                 AT_SYMLINK_FOLLOW) == 0);
     }},
    // Another name costs nothing.
    {"Link",
     {},
     [](const std::string& root) {
       return result_of(::link((root + "/units/u/f").c_str(), (root + "/units/u/new").c_str()) ==
                        0);
     }},
    {"PunchHole",
     {},
     [](const std::string& root) {
       return grow(root, O_WRONLY, [](int fd) {
         constexpr int kMode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
         return result_of(::fallocate(fd, kMode, 0, 1 << 20) == 0);
       });
     }},
    {"GiveToAUser",
     {.bytes = 8192, .inodes = 1},
     [](const std::string& root) {
       return result_of(::chown((root + "/plain/source").c_str(), kAlice, kNobody) == 0);
     },
     "user:21001"},
    {"GiveToAGroup",
     {.bytes = 8192, .inodes = 1},
     [](const std::string& root) {
       return result_of(::chown((root + "/plain/source").c_str(), kNobody, kAlice) == 0);
     },
     "group:21001"},
};

class ChargePoints : public QuotaTest, public testing::WithParamInterface<ChargePoint> {
 protected:
  void SetUp() override {
    const bool zeroes = std::string(GetParam().name) == "ZeroRange";  // tmpfs has none
    start({.filesystem = zeroes ? "xfs" : "tmpfs", .policy = kQuotaPolicy});
  }
  void TearDown() override {
    if (volume_) {
      EXPECT_TRUE(volume_->counts_right());
    }
    QuotaTest::TearDown();
  }
  // As before, and without limits: alice has what the unit has.
  void start_over() {
    (void)quota("clear " + scope());
    // Without programs for it: it is done some five hundred times.
    std::filesystem::remove_all(at("units/u"));
    for (const auto& entry : std::filesystem::directory_iterator(at("plain"))) {
      std::filesystem::remove_all(entry);
    }
    std::filesystem::create_directories(at("units/u"));
    std::filesystem::create_directories(at("plain/tree/sub"));
    std::filesystem::create_directories(at("plain/a"));
    ASSERT_EQ(::chown(at("plain/a").c_str(), kAlice, kAlice), 0);
    const std::string zeros(8192, '\0');
    put(at("units/u/f"), zeros.substr(0, 4096));
    put(at("plain/source"), zeros);
    put(at("plain/a/f"), zeros.substr(0, 4096));
    ASSERT_EQ(::chown(at("plain/a/f").c_str(), kAlice, kAlice), 0);
    put(at("plain/tree/a"), zeros.substr(0, 4096));
    put(at("plain/tree/sub/b"), zeros.substr(0, 8000));
    ASSERT_TRUE(eventually([&] { return held(scope()) == kBefore; }, 5s));
  }
  [[nodiscard]] static std::string scope() { return GetParam().scope; }
  // Sets the limit, acts, and looks at what came of it; `meanwhile` goes between the first two.
  void expect(int error, const std::string& limit, const std::function<void()>& meanwhile = {}) {
    SCOPED_TRACE(limit);
    set(scope() + " " + limit);
    if (meanwhile) meanwhile();
    const auto before = error != 0 ? volume_->charged() : MountedVolume::Counted{};
    EXPECT_EQ(GetParam().act(volume_->path()), error);
    const Counted& cost = GetParam().cost;
    const Counted after =
        error != 0 ? kBefore : Counted{kBefore.bytes + cost.bytes, kBefore.inodes + cost.inodes};
    EXPECT_TRUE(eventually([&] { return held(scope()) == after; }, 5s)) << held(scope());
    if (error != 0) {
      EXPECT_EQ(volume_->charged(), before);
    }
    start_over();
  }
  // Starts the clock of soft limits that are passed already, and lets it run out.
  void let_grace_pass() {
    const std::string file = at(scope().starts_with("unit") ? "units/u/probe" : "plain/a/probe");
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
    const int made = as(scope().starts_with("unit") ? Identity{} : alice(), [&] {
      const UniqueFd fd(::open(file.c_str(), flags, 0644));
      return result_of(fd.valid() && ::ftruncate(fd.get(), 4096) == 0);
    });
    ASSERT_EQ(made, 0);
    ASSERT_EQ(::unlink(file.c_str()), 0);
    ASSERT_TRUE(eventually([&] { return held(scope()) == kBefore; }, 5s));
    std::this_thread::sleep_for(kGrace);
  }
  static constexpr Counted kBefore{.bytes = 4096, .inodes = 2};
  static constexpr auto kGrace = 300ms;
};
INSTANTIATE_TEST_SUITE_P(, ChargePoints, testing::ValuesIn(kChargePoints),
                         [](const auto& point) { return std::string(point.param.name); });

std::string with(const char* option, std::int64_t value) {
  return std::string(option) + " " + std::to_string(value) + " ";
}

TEST_P(ChargePoints, ReachTheirHardLimitAndNeverPassIt) {
  start_over();
  const Counted& cost = GetParam().cost;
  const std::int64_t bytes = kBefore.bytes + cost.bytes;
  const std::int64_t inodes = kBefore.inodes + cost.inodes;
  expect(0, with("--bytes", bytes + 4096));
  expect(0, with("--bytes", bytes));
  expect(cost.bytes > 0 ? EDQUOT : 0, with("--bytes", bytes - 1));
  expect(0, with("--inodes", inodes + 1));
  expect(0, with("--inodes", inodes));
  expect(cost.inodes > 0 ? EDQUOT : 0, with("--inodes", inodes - 1));
}

TEST_P(ChargePoints, PassASoftLimitUntilItsGraceIsOver) {
  start_over();
  const Counted& cost = GetParam().cost;
  const std::int64_t bytes = kBefore.bytes + cost.bytes;
  const std::int64_t inodes = kBefore.inodes + cost.inodes;
  for (const std::int64_t room : {0, -1}) {
    expect(0, with("--soft", bytes + room) + "--grace 1h");
    expect(0, with("--soft-inodes", inodes + room) + "--grace 1h");
    // Without any grace the limit is hard at once.
    expect(cost.bytes > 0 && room < 0 ? EDQUOT : 0, with("--soft", bytes + room) + "--grace 0s");
    expect(cost.inodes > 0 && room < 0 ? EDQUOT : 0,
           with("--soft-inodes", inodes + room) + "--grace 0s");
  }
  // Passed a while ago.
  expect(cost.bytes > 0 ? EDQUOT : 0, with("--soft", kBefore.bytes - 1) + "--grace 300ms",
         [&] { let_grace_pass(); });
  expect(cost.inodes > 0 ? EDQUOT : 0, with("--soft-inodes", kBefore.inodes - 1) + "--grace 300ms",
         [&] { let_grace_pass(); });
}

}  // namespace
}  // namespace ebbfs::test
