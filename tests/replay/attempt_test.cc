// SPDX-License-Identifier: Apache-2.0
#include "tests/replay/attempt.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <filesystem>

#include "tests/support/child.h"
#include "tests/support/mounted_volume.h"
#include "tests/support/plain_files.h"
#include "tests/support/temp_tree.h"

namespace ebbfs::replay {
namespace {

using namespace std::chrono_literals;
using Names = std::vector<std::string>;

class AttemptAtAJob : public testing::Test {
 protected:
  void SetUp() override {
    if (test::shell("command -v git").exit_code != 0) GTEST_SKIP() << "needs git";
    std::filesystem::create_directory(site_.volume);
    prepare(site_);
  }
  [[nodiscard]] Names names_in(const std::string& directory) const {
    return test::names_in(site_.volume + "/" + directory);
  }
  [[nodiscard]] std::unique_ptr<ChildProcess> start() const {
    return std::make_unique<ChildProcess>([this](const ChildProcess::Talk&) -> int {
      return static_cast<int>(attempt(site_, job_, 0));
    });
  }
  // Until it is at work.
  void wait_for_payload() const {
    const std::string last = site_.volume + "/worktrees/job-00000-1/output-3";
    ASSERT_TRUE(test::eventually([&] { return test::exists(last); }, 20s));
  }

  TempTree tree_;
  std::atomic<int>& robbed_ = *shared_number();
  const Site site_{.volume = std::string(tree_.path()) + "/volume",
                   .scratch = std::string(tree_.path()),
                   .repositories = 2,
                   .live_removed = &robbed_};
  Job job_{.work = 1ms, .until_kill = 1ms, .payload_bytes = 4000};
};

TEST_F(AttemptAtAJob, PutsEverythingAwayWhenItFinishes) {
  EXPECT_EQ(start()->reap(), 0);
  EXPECT_EQ(names_in("locks"), Names{});
  EXPECT_EQ(names_in("worktrees"), Names{});
  EXPECT_FALSE(test::exists(site_.volume + "/repo-0/.git/worktrees"));
  EXPECT_EQ(robbed_, 0);
}

TEST_F(AttemptAtAJob, LeavesLocksAndWorktreeWhenItIsKilledAtWork) {
  job_.fates[0] = Fate::killed_at_work;
  EXPECT_EQ(WTERMSIG(start()->reap()), SIGKILL);
  EXPECT_EQ(names_in("locks").size(), std::size_t{kLocksEach});
  EXPECT_EQ(names_in("worktrees"), Names{"job-00000-1"});
}

TEST_F(AttemptAtAJob, LeavesItsLocksWhenItIsKilledBefore) {
  job_.fates[0] = Fate::killed_before_worktree;
  EXPECT_EQ(WTERMSIG(start()->reap()), SIGKILL);
  EXPECT_EQ(names_in("locks").size(), std::size_t{kLocksEach});
  EXPECT_EQ(names_in("worktrees"), Names{});
}

TEST_F(AttemptAtAJob, NoticesThatALockOfItsOwnHasGone) {
  job_.work = 300ms;
  const auto child = start();
  wait_for_payload();
  std::filesystem::remove(site_.volume + "/locks/slot-00000-1.lock");
  EXPECT_EQ(WEXITSTATUS(child->reap()), static_cast<int>(Ending::robbed));
  EXPECT_EQ(robbed_, 1);
}

TEST_F(AttemptAtAJob, NoticesThatItsWorktreeHasGoneAlsoBeforeItIsKilled) {
  job_.fates[0] = Fate::killed_at_work;
  job_.until_kill = 300ms;
  const auto child = start();
  wait_for_payload();
  std::filesystem::rename(site_.volume + "/worktrees/job-00000-1", site_.volume + "/elsewhere");
  EXPECT_EQ(WTERMSIG(child->reap()), SIGKILL);
  EXPECT_EQ(robbed_, 1);
}

}  // namespace
}  // namespace ebbfs::replay
