// SPDX-License-Identifier: Apache-2.0
//
// Expiry of units on a real mount, with a policy of seconds.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include "tests/support/child.h"
#include "tests/support/each_filesystem.h"
#include "tests/support/git.h"

namespace ebbfs::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kShortTtlPolicy = R"(
[volume]
adopt_grace = "0s"
[[class]]
name = "worktree"
kind = "tree"
match = ["worktrees/*"]
ttl = "2s"
keep = "1s"
[[class]]
name = "old"
kind = "tree"
match = ["old/*"]
ttl = "1h"
max_age = "2s"
[[class]]
name = "endless"
kind = "tree"
match = ["endless/*"]
ttl = "none"
[[class]]
name = "lock"
kind = "lock"
match = ["**/*.lk"]
orphan_grace = "1s"
ttl = "1h"
)";
// Long enough for a unit of 2 s to have gone, had it been going to.
constexpr auto kWellPastTheDeadline = 3300ms;

class Expiry : public OnVolume {
 protected:
  void SetUp() override {
    mount({.policy = kShortTtlPolicy});
    if (IsSkipped()) return;
    ASSERT_EQ(::mkdir(at("worktrees").c_str(), 0755), 0);
    ASSERT_EQ(::mkdir(at("old").c_str(), 0755), 0);
  }
  void make_unit(const std::string& path) {
    ASSERT_EQ(::mkdir(at(path).c_str(), 0755), 0);
    put(at(path + "/file"), pattern(10000));
  }
  [[nodiscard]] bool goes(const std::string& path) {
    return eventually([&] { return !exists(at(path)); }, 10s);
  }
  // Watching does not use: lstat only.
  [[nodiscard]] bool stays(const std::string& path) {
    return !eventually([&] { return !exists(at(path)); }, kWellPastTheDeadline);
  }
  [[nodiscard]] nlohmann::json removal(const std::string& path) const {
    for (const auto& event : volume_->events()) {
      if (event["path"] == path && event["kind"] == "expired") return event;
    }
    return nullptr;
  }
  [[nodiscard]] std::string verdict(const std::string& path) const {
    return volume_->json("show " + path).dump();
  }
};

TEST_F(Expiry, TakesAnIdleUnitWithinOneSecondOfItsDeadline) {
  make_unit("worktrees/idle");
  ASSERT_TRUE(goes("worktrees/idle"));
  const auto event = removal("worktrees/idle");
  ASSERT_FALSE(event.is_null());
  EXPECT_GE(event["age_seconds"].get<double>(), 2.0);
  EXPECT_LT(event["age_seconds"].get<double>(), 3.0);
  EXPECT_EQ(event["bytes"], 12288);
  EXPECT_EQ(event["rule"], "idle 2s");
  EXPECT_TRUE(names_in(at("worktrees")).empty());
  EXPECT_EQ(volume_->json("status")["trash"]["units"], 1);
  // The name is free at once.
  make_unit("worktrees/idle");
  EXPECT_EQ(get(at("worktrees/idle/file")), pattern(10000));
}

TEST_F(Expiry, TakesAUnitThatIsOneFile) {
  put(at("worktrees/file"), "x");
  EXPECT_TRUE(goes("worktrees/file"));
}

TEST_F(Expiry, KeepsWhatIsUsedAndNotWhatIsOnlyWatched) {
  make_unit("worktrees/used");
  make_unit("worktrees/watched");
  const auto until = std::chrono::steady_clock::now() + kWellPastTheDeadline;
  EXPECT_TRUE(eventually(
      [&] {
        EXPECT_TRUE(exists(at("worktrees/used")));
        put(at("worktrees/used/file"), "again");
        (void)shell("ls -lR worktrees/watched", volume_->path());
        return std::chrono::steady_clock::now() > until;
      },
      20s));
  EXPECT_FALSE(exists(at("worktrees/watched")));
}

TEST_F(Expiry, TakesByAgeHoweverMuchUsed) {
  make_unit("old/used");
  EXPECT_TRUE(eventually(
      [&] {
        const UniqueFd fd(::open(at("old/used/file").c_str(), O_RDONLY | O_CLOEXEC));
        return !fd.valid();
      },
      10s));
}

TEST_F(Expiry, KeepsAUnitWithAnOpenFileUntilItIsClosed) {
  make_unit("worktrees/open");
  UniqueFd fd = opened(at("worktrees/open/file"), O_RDONLY);
  EXPECT_TRUE(stays("worktrees/open")) << verdict("worktrees/open");
  EXPECT_THAT(verdict("worktrees/open"), HasSubstr("\"busy\""));
  fd.reset();
  EXPECT_TRUE(goes("worktrees/open"));
}

TEST_F(Expiry, KeepsAUnitWithAMappedFile) {
  make_unit("worktrees/mapped");
  void* memory = nullptr;
  {
    const UniqueFd fd = opened(at("worktrees/mapped/file"), O_RDONLY);
    memory = ::mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fd.get(), 0);
    ASSERT_NE(memory, MAP_FAILED);
  }
  EXPECT_TRUE(stays("worktrees/mapped")) << verdict("worktrees/mapped");
  ::munmap(memory, 4096);
  EXPECT_TRUE(goes("worktrees/mapped"));
}

// Large enough to be read past the daemon, which then sees it closed.
TEST_F(Expiry, KeepsAUnitWithALargeMappedFile) {
  make_unit("worktrees/mapped");
  put(at("worktrees/mapped/large"), pattern(1 << 20));
  const ChildProcess process([&](const ChildProcess::Talk& talk) -> int {
    const int fd = ::open(at("worktrees/mapped/large").c_str(), O_RDONLY);
    const void* memory = ::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
    talk.tell(memory != MAP_FAILED ? ::close(fd) : -1);
    talk.wait_for_ever();
  });
  ASSERT_EQ(process.hear(), 0);
  EXPECT_TRUE(stays("worktrees/mapped")) << verdict("worktrees/mapped");
  process.kill();
  EXPECT_TRUE(goes("worktrees/mapped"));
}

TEST_F(Expiry, KeepsAUnitInWhichAProcessHasItsWorkingDirectory) {
  make_unit("worktrees/cwd");
  ASSERT_EQ(::mkdir(at("worktrees/cwd/sub").c_str(), 0755), 0);
  const ChildProcess process([&](const ChildProcess::Talk& talk) -> int {
    talk.tell(::chdir(at("worktrees/cwd/sub").c_str()));
    talk.wait_for_ever();
  });
  ASSERT_EQ(process.hear(), 0);
  EXPECT_TRUE(stays("worktrees/cwd")) << verdict("worktrees/cwd");
  process.kill();
  EXPECT_TRUE(goes("worktrees/cwd"));
}

TEST_F(Expiry, KeepsAUnitThatWasInUseBeforeTheMount) {
  make_unit("worktrees/cwd");
  make_unit("worktrees/open");
  make_unit("worktrees/idle");
  volume_->unmount();
  const ChildProcess process([&](const ChildProcess::Talk& talk) -> int {
    const bool open = ::open(at("worktrees/open/file").c_str(), O_RDONLY) >= 0;
    talk.tell(open ? ::chdir(at("worktrees/cwd").c_str()) : -1);
    talk.wait_for_ever();
  });
  ASSERT_EQ(process.hear(), 0);
  volume_->mount();
  EXPECT_TRUE(goes("worktrees/idle"));
  EXPECT_TRUE(stays("worktrees/cwd")) << verdict("worktrees/cwd");
  EXPECT_TRUE(exists(at("worktrees/open"))) << verdict("worktrees/open");
  process.kill();
  EXPECT_TRUE(goes("worktrees/cwd"));
  EXPECT_TRUE(goes("worktrees/open"));
}

TEST_F(Expiry, KeepsAUnitWithAnOpenFifo) {
  make_unit("worktrees/fifo");
  ASSERT_EQ(::mkfifo(at("worktrees/fifo/f").c_str(), 0600), 0);
  UniqueFd fd = opened(at("worktrees/fifo/f"), O_RDWR);
  EXPECT_TRUE(stays("worktrees/fifo")) << verdict("worktrees/fifo");
  fd.reset();
  EXPECT_TRUE(goes("worktrees/fifo"));
}

TEST_F(Expiry, KeepsAUnitFromWhichAProgramRuns) {
  make_unit("worktrees/exe");
  ASSERT_EQ(shell("cp /bin/sleep worktrees/exe/", volume_->path()).exit_code, 0);
  const ChildProcess process(
      [&](const ChildProcess::Talk&) -> int { exec_command({at("worktrees/exe/sleep"), "1000"}); });
  EXPECT_TRUE(stays("worktrees/exe")) << verdict("worktrees/exe");
  process.kill();
  EXPECT_TRUE(goes("worktrees/exe"));
}

TEST_F(Expiry, KeepsAUnitThatSomethingIsMountedInInAnotherNamespace) {
  make_unit("worktrees/mounted");
  ASSERT_EQ(::mkdir(at("worktrees/mounted/m").c_str(), 0755), 0);
  const ChildProcess process([&](const ChildProcess::Talk& talk) -> int {
    const bool mounted = ::unshare(CLONE_NEWNS) == 0 &&
                         ::mount("", "/", "", MS_REC | MS_PRIVATE, nullptr) == 0 &&
                         ::mount("t", at("worktrees/mounted/m").c_str(), "tmpfs", 0, nullptr) == 0;
    talk.tell(mounted ? 0 : 1);
    talk.wait_for_ever();
  });
  ASSERT_EQ(process.hear(), 0);
  EXPECT_TRUE(stays("worktrees/mounted")) << verdict("worktrees/mounted");
  process.kill();
  EXPECT_TRUE(goes("worktrees/mounted"));
}

TEST_F(Expiry, KeepsAUnitWithALiveLockInside) {
  make_unit("worktrees/locked");
  const ChildProcess process([&](const ChildProcess::Talk& talk) -> int {
    put(at("worktrees/locked/a.lk"), "");
    talk.tell(0);
    talk.wait_for_ever();
  });
  process.hear();
  EXPECT_TRUE(stays("worktrees/locked")) << verdict("worktrees/locked");
  process.kill();
  EXPECT_TRUE(goes("worktrees/locked"));
}

TEST_F(Expiry, KeepsAPinnedUnitUntilItIsUnpinnedAlsoAcrossARemount) {
  make_unit("worktrees/pinned");
  ASSERT_EQ(volume_->ebbctl("pin worktrees/pinned").exit_code, 0);
  volume_->unmount();
  volume_->mount();
  EXPECT_TRUE(stays("worktrees/pinned"));
  ASSERT_EQ(volume_->ebbctl("unpin worktrees/pinned").exit_code, 0);
  EXPECT_TRUE(goes("worktrees/pinned"));
}

TEST_F(Expiry, ListsAPinnedUnitAsPinnedAlsoWhereNoTimeLimitsIt) {
  ASSERT_EQ(shell("mkdir -p endless/a endless/b", volume_->path()).exit_code, 0);
  ASSERT_EQ(volume_->ebbctl("pin endless/a").exit_code, 0);
  const auto pinned = volume_->json("units --state pinned")["units"];
  ASSERT_EQ(pinned.size(), 1U) << pinned;
  EXPECT_EQ(pinned[0]["path"], "endless/a");
  const auto permanent = volume_->json("units --state permanent")["units"];
  ASSERT_EQ(permanent.size(), 1U) << permanent;
  EXPECT_EQ(permanent[0]["path"], "endless/b");
}

TEST_F(Expiry, GoesOnAfterARemountAndAfterAKill) {
  make_unit("worktrees/remounted");
  volume_->unmount();
  volume_->mount();
  EXPECT_TRUE(goes("worktrees/remounted"));
  make_unit("worktrees/killed");
  volume_->kill_daemon();
  volume_->mount();
  EXPECT_TRUE(goes("worktrees/killed"));
}

TEST_F(Expiry, IsSeenByWhoWatchesTheUnit) {
  make_unit("worktrees/watched");
  const UniqueFd inotify(::inotify_init1(IN_CLOEXEC));
  ASSERT_GE(::inotify_add_watch(inotify.get(), at("worktrees/watched").c_str(), IN_DELETE_SELF), 0);
  pollfd ready{.fd = inotify.get(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(::poll(&ready, 1, 15000), 1);
  inotify_event event{};
  ASSERT_EQ(::read(inotify.get(), &event, sizeof event), static_cast<ssize_t>(sizeof event));
  EXPECT_NE(event.mask & IN_DELETE_SELF, 0U);
  EXPECT_FALSE(exists(at("worktrees/watched")));
}

TEST_F(Expiry, AskedForTakesAUnitNowButNotABusyOne) {
  make_unit("worktrees/asked");
  EXPECT_EQ(volume_->ebbctl("expire worktrees/asked --dry-run").exit_code, 0);
  EXPECT_TRUE(exists(at("worktrees/asked")));
  {
    const UniqueFd fd = opened(at("worktrees/asked/file"), O_RDONLY);
    EXPECT_EQ(volume_->ebbctl("expire worktrees/asked").exit_code, 1);
    EXPECT_TRUE(exists(at("worktrees/asked")));
  }
  EXPECT_TRUE(
      eventually([&] { return volume_->ebbctl("expire worktrees/asked").exit_code == 0; }, 5s));
  EXPECT_FALSE(exists(at("worktrees/asked")));
}

TEST_F(Expiry, TakesTheGitEntryOfAWorktreeAlongAndOnlyThatOne) {
  if (shell("command -v git").exit_code != 0) GTEST_SKIP() << "needs git";
  make_repository(at("main"));
  git(at("main"), "worktree add -q " + at("worktrees/gone") + " -b gone");
  git(at("main"), "worktree add -q " + at("worktrees/kept") + " -b kept");
  ASSERT_EQ(volume_->ebbctl("pin worktrees/kept").exit_code, 0);
  ASSERT_EQ(::mkdir(at("elsewhere").c_str(), 0755), 0);
  git(at("main"), "worktree add -q " + at("elsewhere/missing") + " -b missing");
  ASSERT_EQ(::rename(at("elsewhere/missing").c_str(), at("elsewhere/moved").c_str()), 0);
  EXPECT_TRUE(goes("worktrees/gone"));
  EXPECT_EQ(names_in(at("main/.git/worktrees")), (std::vector<std::string>{"kept", "missing"}));
  EXPECT_THAT(git(at("main"), "worktree list"), Not(HasSubstr("worktrees/gone")));
  EXPECT_EQ(git(at("worktrees/kept"), "status --porcelain"), "");
}

TEST_F(Expiry, KeepsAWorktreeThatGitHasLocked) {
  if (shell("command -v git").exit_code != 0) GTEST_SKIP() << "needs git";
  make_repository(at("main"));
  git(at("main"), "worktree add -q " + at("worktrees/locked") + " -b locked");
  git(at("main"), "worktree lock " + at("worktrees/locked"));
  EXPECT_TRUE(stays("worktrees/locked")) << verdict("worktrees/locked");
  git(at("main"), "worktree unlock " + at("worktrees/locked"));
  EXPECT_TRUE(goes("worktrees/locked"));
}

}  // namespace
}  // namespace ebbfs::test
