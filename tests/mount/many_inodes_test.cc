// SPDX-License-Identifier: Apache-2.0
//
// More inodes than file descriptors.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/support/each_filesystem.h"

namespace ebbfs::test {
namespace {

class FewDescriptors : public OnEachFilesystem {
 protected:
  void SetUp() override {
    mount({.filesystem = GetParam().filesystem,
           .transport = GetParam().transport,
           .launcher = "prlimit --nofile=4096"});
  }
};
INSTANTIATE_TEST_SUITE_P(, FewDescriptors, testing::Values(kFilesystems[0]), ground_name);

TEST_P(FewDescriptors, ServeTenTimesAsManyInodesKnownToTheKernel) {
  constexpr int kDirectories = 400;
  constexpr int kFiles = 100;
  for (int d = 0; d < kDirectories; ++d) {
    const std::string dir = at(std::to_string(d));
    ASSERT_EQ(::mkdir(dir.c_str(), 0755), 0);
    const UniqueFd fd = opened(dir, O_RDONLY | O_DIRECTORY);
    for (int f = 0; f < kFiles; ++f) {
      ASSERT_EQ(::mknodat(fd.get(), std::to_string(f).c_str(), S_IFREG | 0644, 0), 0);
    }
  }
  const auto status = volume_->json("status");
  EXPECT_GE(status["known_inodes"], kDirectories * kFiles);
  EXPECT_LT(status["fds"]["used"], 4096);
  EXPECT_LE(status["fds"]["limit"], 4096);
  // In an order that no cache of the last used helps with.
  for (int f = 0; f < kFiles; f += 33) {
    for (int d = 0; d < kDirectories; ++d) {
      const std::string path = at(std::to_string(d) + "/" + std::to_string(f));
      put(path, "x");
      ASSERT_EQ(get(path), "x");
    }
  }
}

TEST_P(FewDescriptors, OpenFilesBeyondTheLimitAreRefusedAndNothingElse) {
  put(at("file"), "x");
  ASSERT_EQ(::mkdir(at("locks").c_str(), 0755), 0);
  std::vector<UniqueFd> open;
  int error = 0;
  while (error == 0 && open.size() < 6000) {
    UniqueFd fd(::open(at("file").c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.valid()) error = errno;
    if (fd.valid()) open.push_back(std::move(fd));
  }
  EXPECT_TRUE(error == ENFILE || error == EMFILE) << error << " after " << open.size();
  EXPECT_GT(open.size(), 2000U);
  // Locks have descriptors of their own, and what needs none for long still works.
  for (int i = 0; i < 20; ++i) {
    const std::string lock = at("locks/" + std::to_string(i));
    put(lock, "1");
    EXPECT_EQ(get(lock), "1");
    EXPECT_EQ(::unlink(lock.c_str()), 0);
  }
  EXPECT_EQ(::mkdir(at("dir").c_str(), 0755), 0);
  EXPECT_EQ(::rename(at("file").c_str(), at("dir/file").c_str()), 0);
  EXPECT_EQ(names_in(at("dir")), std::vector<std::string>{"file"});
  open.clear();
  EXPECT_TRUE(eventually([&] { return ::access(at("dir/file").c_str(), R_OK) == 0; },
                         std::chrono::seconds(10)));
}

class ManyOpenFiles : public OnVolume {};

TEST_F(ManyOpenFiles, FiveThousandAtOnceAreEachWhatTheyAre) {
  constexpr int kFiles = 5000;
  std::vector<UniqueFd> files;
  for (int i = 0; i < kFiles; ++i) {
    files.push_back(opened(at(std::to_string(i)), O_RDWR | O_CREAT));
    ASSERT_EQ(::pwrite(files.back().get(), &i, sizeof i, 0), static_cast<ssize_t>(sizeof i));
  }
  EXPECT_EQ(volume_->json("status")["open_files"], kFiles);
  for (int i = 0; i < kFiles; ++i) {
    int seen = -1;
    ASSERT_EQ(::pread(files[static_cast<std::size_t>(i)].get(), &seen, sizeof seen, 0),
              static_cast<ssize_t>(sizeof seen));
    ASSERT_EQ(seen, i);
  }
  files.clear();
  EXPECT_TRUE(eventually([&] { return volume_->json("status")["open_files"] == 0; },
                         std::chrono::seconds(10)));
}

}  // namespace
}  // namespace ebbfs::test
