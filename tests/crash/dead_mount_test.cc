// SPDX-License-Identifier: Apache-2.0
//
// What processes and git see while the daemon is dead, and after it is there again: what README.md
// says of that.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csetjmp>
#include <csignal>

#include "tests/support/each_filesystem.h"
#include "tests/support/git.h"

namespace ebbfs::test {
namespace {

using testing::AnyOf;

class DeadMount : public OnVolume {};

sigjmp_buf way_out;
void on_fault(int) { siglongjmp(way_out, 1); }

// Whether touching `byte` raises SIGBUS.
bool faults(const volatile char* byte) {
  struct sigaction action{};
  struct sigaction before{};
  action.sa_handler = on_fault;
  ::sigaction(SIGBUS, &action, &before);
  bool fault = true;
  if (sigsetjmp(way_out, 1) == 0) {
    (void)*byte;
    fault = false;
  }
  ::sigaction(SIGBUS, &before, nullptr);
  return fault;
}

TEST_F(DeadMount, FailsOpenFilesForGood) {
  put(at("f"), pattern(8192));
  const UniqueFd file = opened(at("f"), O_RDWR);
  const UniqueFd directory = opened(volume_->path(), O_RDONLY | O_DIRECTORY);
  char byte = 0;
  ASSERT_EQ(::pread(file.get(), &byte, 1, 0), 1);
  // What the kernel has read ahead it goes on giving.
  ASSERT_EQ(::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED), 0);
  volume_->leave_dead_mount();
  const auto dead = AnyOf(ENOTCONN, ECONNABORTED, ECANCELED);
  EXPECT_THAT(errno_of(::pwrite(file.get(), "x", 1, 0)), dead);
  EXPECT_THAT(errno_of(::pread(file.get(), &byte, 1, 4096)), dead);
  EXPECT_THAT(errno_of(::open(at("f").c_str(), O_RDONLY)), dead);
  EXPECT_THAT(errno_of(::mkdirat(directory.get(), "d", 0755)), dead);
  volume_->mount();
  // Those of the old mount stay dead; the path leads to the new one.
  EXPECT_THAT(errno_of(::pwrite(file.get(), "x", 1, 0)), dead);
  EXPECT_THAT(errno_of(::mkdirat(directory.get(), "d", 0755)), dead);
  EXPECT_EQ(get(at("f")), pattern(8192));
}

TEST_F(DeadMount, LeavesAWorkingDirectoryDead) {
  ASSERT_EQ(::mkdir(at("d").c_str(), 0755), 0);
  put(at("d/f"), "content");
  ASSERT_EQ(::chdir(at("d").c_str()), 0);
  volume_->leave_dead_mount();
  volume_->mount();
  EXPECT_THAT(errno_of(::open("f", O_RDONLY)), AnyOf(ENOTCONN, ECONNABORTED, ECANCELED));
  EXPECT_EQ(::chdir(at("d").c_str()), 0);
  EXPECT_EQ(get("f"), "content");
  ASSERT_EQ(::chdir("/"), 0);
}

// How many pages of a mapped file of `size` bytes cannot be read when the daemon has died, after
// the kernel was asked to forget them.
std::size_t pages_lost(MountedVolume& volume, std::size_t size) {
  put(volume.at("f"), pattern(size));
  const UniqueFd file = opened(volume.at("f"), O_RDONLY);
  void* const memory = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.get(), 0);
  if (memory == MAP_FAILED) return 0;
  const auto* bytes = static_cast<const volatile char*>(memory);
  EXPECT_FALSE(faults(bytes));
  EXPECT_EQ(::madvise(memory, size, MADV_DONTNEED), 0);
  EXPECT_EQ(::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED), 0);
  volume.leave_dead_mount();
  volume.mount();
  std::size_t lost = 0;
  for (std::size_t byte = 0; byte < size; byte += 4096) lost += faults(bytes + byte) ? 1 : 0;
  ::munmap(memory, size);
  return lost;
}

TEST_F(DeadMount, RaisesSigbusWhereAMappingIsNotInMemory) {
  EXPECT_EQ(pages_lost(*volume_, 64 * 1024), 16U);
}

TEST_F(DeadMount, LeavesTheMappingOfALargeFileReadable) {
  if (volume_->json("status")["passthrough"] != true) GTEST_SKIP() << "needs passthrough";
  EXPECT_EQ(pages_lost(*volume_, 512 * 1024), 0U);
}

TEST_F(DeadMount, MakesGitPruneForgetWorktreesThatAreNotLocked) {
  // The repository elsewhere, its worktrees on the volume: what a prune looks at is not to be seen.
  const std::string repository = volume_->path() + ".repo";
  make_repository(repository);
  git(repository, "worktree add -q " + at("plain") + " -b plain");
  git(repository, "worktree add -q " + at("kept") + " -b kept");
  git(repository, "worktree lock --reason volume " + at("kept"));
  // A new mount, of which the kernel knows no names yet.
  volume_->kill_daemon();
  volume_->mount();
  volume_->leave_dead_mount();
  git(repository, "worktree prune --expire now");
  const std::string left = git(repository, "worktree list --porcelain");
  EXPECT_THAT(left, testing::HasSubstr(at("kept")));
  EXPECT_THAT(left, testing::Not(testing::HasSubstr(at("plain"))));
  volume_->mount();
  EXPECT_EQ(git(at("kept"), "status --porcelain"), "");
  EXPECT_NE(shell("git status", at("plain")).exit_code, 0);
  EXPECT_EQ(shell("rm -rf '" + repository + "'").exit_code, 0);
}

}  // namespace
}  // namespace ebbfs::test
