// SPDX-License-Identifier: Apache-2.0
//
// Space of files, holes, copies inside the kernel, direct I/O and synchronisation on a real mount.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/falloc.h>
#include <sys/sendfile.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>

#include "tests/support/each_filesystem.h"

namespace ebbfs::test {
namespace {

class Data : public OnEachFilesystem {};
INSTANTIATE_TEST_SUITE_P(, Data, testing::ValuesIn(kFilesystems), ground_name);

struct AlignedFree {
  void operator()(char* memory) const { std::free(memory); }
};
std::unique_ptr<char, AlignedFree> aligned(std::size_t size) {
  return std::unique_ptr<char, AlignedFree>(static_cast<char*>(std::aligned_alloc(4096, size)));
}

TEST_P(Data, FallocateMakesTheFileLonger) {
  const UniqueFd fd = opened(at("file"), O_RDWR | O_CREAT);
  ASSERT_EQ(::fallocate(fd.get(), 0, 0, 100000), 0);
  EXPECT_EQ(status_of(at("file")).st_size, 100000);
  EXPECT_TRUE(get(at("file")) == std::string(100000, '\0'));
}

TEST_P(Data, FallocateWithinTheFileKeepsItsSizeAndContent) {
  put(at("file"), pattern(20000));
  const UniqueFd fd = opened(at("file"), O_RDWR);
  ASSERT_EQ(::fallocate(fd.get(), FALLOC_FL_KEEP_SIZE, 4096, 8192), 0);
  EXPECT_TRUE(get(at("file")) == pattern(20000));
}

TEST_P(Data, SpaceBeyondTheEndThatNoSizeShowsIsRefused) {
  put(at("file"), "content");
  const UniqueFd fd = opened(at("file"), O_RDWR);
  EXPECT_EQ(errno_of(::fallocate(fd.get(), FALLOC_FL_KEEP_SIZE, 0, 100000)), EOPNOTSUPP);
  EXPECT_EQ(errno_of(::fallocate(fd.get(), FALLOC_FL_KEEP_SIZE, 100000, 1)), EOPNOTSUPP);
  EXPECT_EQ(get(at("file")), "content");
}

TEST_P(Data, PunchedHolesReadAsZeros) {
  std::string content = pattern(200000);
  put(at("file"), content);
  const UniqueFd fd = opened(at("file"), O_RDWR);
  EXPECT_TRUE(get(at("file")) == content);
  ASSERT_EQ(::fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 5000, 100000), 0);
  content.replace(5000, 100000, std::string(100000, '\0'));
  EXPECT_TRUE(get(at("file")) == content);
  EXPECT_EQ(errno_of(::fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE, 0, 1)), EOPNOTSUPP);
}

TEST_P(Data, ZeroedRangesReadAsZerosWhereTheFilesystemCan) {
  std::string content = pattern(200000);
  put(at("file"), content);
  const UniqueFd fd = opened(at("file"), O_RDWR);
  const int result = errno_of(::fallocate(fd.get(), FALLOC_FL_ZERO_RANGE, 5000, 295000));
  if (result == EOPNOTSUPP) GTEST_SKIP() << GetParam().filesystem << " zeroes no ranges";
  ASSERT_EQ(result, 0);
  content.resize(5000);
  content.resize(300000, '\0');
  EXPECT_TRUE(get(at("file")) == content);
}

TEST_P(Data, RangesAreNeitherInsertedNorCollapsed) {
  put(at("file"), pattern(20000));
  const UniqueFd fd = opened(at("file"), O_RDWR);
  EXPECT_EQ(errno_of(::fallocate(fd.get(), FALLOC_FL_COLLAPSE_RANGE, 0, 4096)), EOPNOTSUPP);
  EXPECT_EQ(errno_of(::fallocate(fd.get(), FALLOC_FL_INSERT_RANGE, 0, 4096)), EOPNOTSUPP);
  EXPECT_TRUE(get(at("file")) == pattern(20000));
}

TEST_P(Data, SeekFindsDataAndHoles) {
  const UniqueFd fd = opened(at("file"), O_RDWR | O_CREAT);
  ASSERT_EQ(::pwrite(fd.get(), "x", 1, 1 << 20), 1);
  ASSERT_EQ(::ftruncate(fd.get(), 2 << 20), 0);
  EXPECT_EQ(::lseek(fd.get(), 0, SEEK_DATA), 1 << 20);
  EXPECT_EQ(::lseek(fd.get(), 0, SEEK_HOLE), 0);
  const off_t hole = ::lseek(fd.get(), 1 << 20, SEEK_HOLE);
  EXPECT_GT(hole, 1 << 20);
  EXPECT_LT(hole, 2 << 20);
  EXPECT_EQ(errno_of(::lseek(fd.get(), hole, SEEK_DATA)), ENXIO);
  EXPECT_EQ(errno_of(::lseek(fd.get(), 2 << 20, SEEK_DATA)), ENXIO);
}

TEST_P(Data, CopyFileRangeCopiesWithinAndBetweenFiles) {
  const std::string content = pattern(500000);
  put(at("from"), content);
  const UniqueFd from = opened(at("from"), O_RDONLY);
  const UniqueFd to = opened(at("to"), O_RDWR | O_CREAT);
  off_t in = 1000;
  off_t out = 300;
  std::size_t left = 400000;
  while (left > 0) {
    const ssize_t count = ::copy_file_range(from.get(), &in, to.get(), &out, left, 0);
    ASSERT_GT(count, 0);
    left -= static_cast<std::size_t>(count);
  }
  EXPECT_TRUE(get(at("to")) == std::string(300, '\0') + content.substr(1000, 400000));
  in = 0;
  out = 1000000;
  ASSERT_EQ(::copy_file_range(to.get(), &in, to.get(), &out, 1000, 0), 1000);
  EXPECT_TRUE(get(at("to")).substr(1000000) == std::string(300, '\0') + content.substr(1000, 700));
  in = 500000;
  EXPECT_EQ(::copy_file_range(from.get(), &in, to.get(), nullptr, 10, 0), 0);
}

TEST_P(Data, SendfileAndCpKeepContentAndHoles) {
  const UniqueFd from = opened(at("sparse"), O_RDWR | O_CREAT);
  ASSERT_EQ(::pwrite(from.get(), "data", 4, 1 << 20), 4);
  ASSERT_EQ(shell("cp --sparse=always sparse copy && cmp sparse copy", volume_->path()).exit_code,
            0);
  const UniqueFd to = opened(at("sent"), O_RDWR | O_CREAT);
  off_t offset = 1 << 20;
  EXPECT_EQ(::sendfile(to.get(), from.get(), &offset, 100), 4);
  EXPECT_EQ(get(at("sent")), "data");
}

TEST_P(Data, DirectWritesAndReadsAgreeWithOrdinaryOnes) {
  constexpr std::size_t kSize = 65536;
  const auto memory = aligned(kSize);
  const std::string content = pattern(kSize);
  UniqueFd direct(::open(at("file").c_str(), O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0644));
  if (!direct.valid() && errno == EINVAL) GTEST_SKIP() << "no O_DIRECT here";
  ASSERT_TRUE(direct.valid());
  const UniqueFd plain = opened(at("file"), O_RDWR);
  content.copy(memory.get(), kSize);
  ASSERT_EQ(::pwrite(direct.get(), memory.get(), kSize, 0), static_cast<ssize_t>(kSize));
  EXPECT_TRUE(get(at("file")) == content);
  ASSERT_EQ(::pwrite(plain.get(), "plain", 5, 100), 5);
  ASSERT_EQ(::pread(direct.get(), memory.get(), kSize, 0), static_cast<ssize_t>(kSize));
  EXPECT_EQ(std::string(memory.get() + 100, 5), "plain");
  EXPECT_EQ(std::string(memory.get() + 105, 100), content.substr(105, 100));
}

TEST_P(Data, SynchronisingSucceedsOnFilesAndDirectories) {
  ASSERT_EQ(::mkdir(at("dir").c_str(), 0755), 0);
  const UniqueFd file = opened(at("dir/file"), O_RDWR | O_CREAT);
  ASSERT_EQ(::write(file.get(), "x", 1), 1);
  EXPECT_EQ(::fsync(file.get()), 0);
  EXPECT_EQ(::fdatasync(file.get()), 0);
  EXPECT_EQ(::fsync(opened(at("dir"), O_RDONLY | O_DIRECTORY).get()), 0);
  EXPECT_EQ(::syncfs(file.get()), 0);
  const UniqueFd synced = opened(at("synced"), O_WRONLY | O_CREAT | O_SYNC);
  EXPECT_EQ(::write(synced.get(), "x", 1), 1);
}

TEST_P(Data, StatfsTellsTheVolumeAndWhatIsWrittenToIt) {
  struct statvfs before{};
  ASSERT_EQ(::statvfs(volume_->path().c_str(), &before), 0);
  EXPECT_GT(before.f_blocks * before.f_frsize, 300U << 20U);
  EXPECT_LE(before.f_bavail, before.f_blocks);
  EXPECT_EQ(before.f_namemax, 255U);
  EXPECT_GT(before.f_files, 0U);
  {
    const UniqueFd file = opened(at("file"), O_RDWR | O_CREAT);
    const std::string content = pattern(std::size_t{20} << 20U);
    ASSERT_EQ(::write(file.get(), content.data(), content.size()),
              static_cast<ssize_t>(content.size()));
    ASSERT_EQ(::fsync(file.get()), 0);
  }
  struct statvfs after{};
  ASSERT_EQ(::statvfs(at("file").c_str(), &after), 0);
  // Less a little: the index on the same volume frees a few blocks at its own times.
  EXPECT_GE((before.f_bfree - after.f_bfree) * before.f_frsize, 19U << 20U);
}

TEST_P(Data, BlocksOfFilesAreThoseOfTheVolume) {
  const UniqueFd file = opened(at("file"), O_RDWR | O_CREAT);
  ASSERT_EQ(::ftruncate(file.get(), 10 << 20), 0);
  EXPECT_LT(status_of(at("file")).st_blocks, 100);
}

}  // namespace
}  // namespace ebbfs::test
