// SPDX-License-Identifier: Apache-2.0
//
// Who is behind a thread id, asked again and again while real processes change.
#include "fs/process_cache.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "tests/support/child.h"
#include "tests/support/process_tables.h"

namespace ebbfs {
namespace {

using Life = OwnerState::Life;

class Identify : public OnEachTable {};
INSTANTIATE_TEST_SUITE_P(, Identify, testing::ValuesIn(kTableKinds), kind_name);

TEST_P(Identify, MapsAnyThreadToItsProcess) {
  const ChildProcess child(run_with_thread);
  const pid_t tid = child.hear();
  ASSERT_NE(tid, child.pid());
  for (int time = 0; time < 2; ++time) {  // read, then remembered
    EXPECT_EQ(table_->identify(tid).process.id, id_from_proc(child.pid()));
  }
}

TEST_P(Identify, KnowsThreadThatHasEndedWhileItsProcessLives) {
  const ChildProcess child(run_with_thread);
  const pid_t tid = child.hear();
  const auto caller = table_->identify(tid);
  child.go_on();
  child.hear();
  EXPECT_EQ(table_->identify(tid).process.id, caller.process.id);
  EXPECT_EQ(table_->state(caller.process.id, table_->boot_id()).life, Life::alive);
}

TEST_P(Identify, SeesProcessWhoseLeaderHasEnded) {
  const ChildProcess child([](const ChildProcess::Talk& talk) -> int {
    std::thread thread([&] {
      talk.tell(::gettid());
      talk.wait_for_ever();
    });
    ::syscall(SYS_exit, 0);  // of this thread alone
    return 1;
  });
  const pid_t tid = child.hear();
  ASSERT_TRUE(becomes_true([&] { return ProcFiles::open()->stat(child.pid())->state == 'Z'; }));
  const auto caller = table_->identify(tid);
  EXPECT_EQ(caller.process.id, id_from_proc(child.pid()));
  EXPECT_EQ(table_->state(caller.process.id, table_->boot_id()).life, Life::alive);
}

TEST_P(Identify, FollowsProcessThroughExecOfAnotherThread) {
  const ChildProcess child([](const ChildProcess::Talk& talk) -> int {
    std::thread([&] {
      talk.tell(::gettid());
      talk.wait();
      exec_command({"sleep", "20"});
    }).join();
    return 1;
  });
  const pid_t tid = child.hear();
  const auto before = table_->identify(tid);
  child.go_on();
  // The command name is read again after a while.
  EXPECT_TRUE(becomes_true([&] { return table_->identify(child.pid()).process.comm == "sleep"; }));
  EXPECT_EQ(table_->identify(child.pid()).process.id, before.process.id);
}

TEST_P(Identify, SaysNothingOfCallerThatIsNotVisible) {
  constexpr pid_t kAbovePidMax = (1 << 22) + 1;
  for (const pid_t tid : {0, -1, kAbovePidMax}) {
    const auto caller = table_->identify(tid);
    EXPECT_FALSE(caller.process.id.known()) << tid;
    EXPECT_TRUE(caller.ancestors.empty()) << tid;
    EXPECT_TRUE(caller.cgroup.empty()) << tid;
  }
}

TEST_P(Identify, SaysNothingOfProcessThatWasReapedUnseen) {
  ChildProcess child;
  child.kill();
  child.reap();
  EXPECT_FALSE(table_->identify(child.pid()).process.id.known());
}

TEST_P(Identify, KnowsProcessThatWasReapedAfterItWasSeen) {
  ChildProcess child;
  const auto before = table_->identify(child.pid());
  child.kill();
  child.reap();
  const auto after = table_->identify(child.pid());
  EXPECT_EQ(after.process.id, before.process.id);
  EXPECT_EQ(after.ancestors, before.ancestors);
}

TEST_P(Identify, NoticesThatCallerWasReparented) {
  // Orphans come to the test program instead of pid 1.
  ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  ChildProcess middle([](const ChildProcess::Talk& talk) -> int {
    const pid_t pid = ::fork();
    if (pid == 0) talk.wait_for_ever();
    talk.tell(pid);
    talk.wait_for_ever();
  });
  const pid_t caller = middle.hear();
  const auto before = table_->identify(caller);
  middle.kill();
  const auto after = table_->identify(caller);
  ::kill(caller, SIGKILL);
  ::waitpid(caller, nullptr, 0);
  ::prctl(PR_SET_CHILD_SUBREAPER, 0);
  ASSERT_GE(before.ancestors.size(), 2U);
  EXPECT_EQ(before.ancestors[0].id.tgid, middle.pid());
  EXPECT_EQ(before.ancestors[1].id.tgid, ::getpid());
  ASSERT_FALSE(after.ancestors.empty());
  EXPECT_EQ(after.ancestors[0].id.tgid, ::getpid());
}

// Start times are counted in ticks of 10 ms: waits until a new process has a later one.
void wait_for_later_start(const ProcessId& process) {
  ASSERT_TRUE(becomes_true([&] {
    const ChildProcess probe;
    return id_from_proc(probe.pid()).start_time > process.start_time + 1;
  }));
}

TEST_P(Identify, TellsProcessesWithTheSameNumberApart) {
  if (!ChildProcess::can_choose_pid()) GTEST_SKIP() << "needs CAP_CHECKPOINT_RESTORE";
  ChildProcess first;
  const auto before = table_->identify(first.pid());
  first.kill();
  first.reap();
  wait_for_later_start(before.process.id);
  const ChildProcess second([](const ChildProcess::Talk& talk) -> int { talk.wait_for_ever(); },
                            first.pid());
  ASSERT_EQ(second.pid(), first.pid());
  const auto after = table_->identify(second.pid());
  EXPECT_EQ(after.process.id, id_from_proc(second.pid()));
  EXPECT_NE(after.process.id, before.process.id);
  EXPECT_EQ(table_->state(after.process.id, table_->boot_id()).life, Life::alive);
  EXPECT_NE(table_->state(before.process.id, table_->boot_id()).life, Life::alive);
}

TEST_P(Identify, TellsThreadsOfProcessesWithTheSameNumberApart) {
  if (!ChildProcess::can_choose_pid()) GTEST_SKIP() << "needs CAP_CHECKPOINT_RESTORE";
  ChildProcess first;
  const auto before = table_->identify(first.pid());
  first.kill();
  first.reap();
  wait_for_later_start(before.process.id);
  const ChildProcess second(run_with_thread, first.pid());
  EXPECT_EQ(table_->identify(second.hear()).process.id, id_from_proc(second.pid()));
}

TEST_P(Identify, SeesProcessThatHasTheNumberOfAnEndedThread) {
  if (!ChildProcess::can_choose_pid()) GTEST_SKIP() << "needs CAP_CHECKPOINT_RESTORE";
  const ChildProcess first(run_with_thread);
  const pid_t tid = first.hear();
  ASSERT_EQ(table_->identify(tid).process.id.tgid, first.pid());
  first.go_on();
  first.hear();
  const ChildProcess second([](const ChildProcess::Talk& talk) -> int { talk.wait_for_ever(); },
                            tid);
  EXPECT_EQ(table_->identify(tid).process.id, id_from_proc(tid));
}

TEST_P(Identify, FollowsCallerIntoAnotherCgroup) {
  const TestCgroup one;
  const TestCgroup other;
  if (one.path().empty()) GTEST_SKIP() << "no cgroup v2 that may be changed";
  const ChildProcess child;
  ASSERT_TRUE(one.add(child.pid()));
  EXPECT_EQ(table_->identify(child.pid()).cgroup, one.path());
  ASSERT_TRUE(other.add(child.pid()));
  EXPECT_TRUE(becomes_true([&] { return table_->identify(child.pid()).cgroup == other.path(); }));
}

TEST(IdentifyByPidfd, NoticesAnotherCgroupAtOnce) {
  const TestCgroup one;
  const TestCgroup other;
  if (one.path().empty()) GTEST_SKIP() << "no cgroup v2 that may be changed";
  const auto table = open_table({});
  const ChildProcess child;
  for (int move = 0; move < 10; ++move) {
    const auto& to = move % 2 == 0 ? one : other;
    ASSERT_TRUE(to.add(child.pid()));
    ASSERT_EQ(table->identify(child.pid()).cgroup, to.path());
  }
}

std::size_t open_fds() {
  std::size_t count = 0;
  for (int fd = 0; fd < 1024; ++fd) count += ::fcntl(fd, F_GETFD) >= 0 ? 1U : 0U;
  return count;
}

TEST_P(Identify, HoldsNoMoreDescriptorsThanItMay) {
  auto options = GetParam().options;
  options.cached_max = 32;
  const auto table = open_table(options);
  const auto before = open_fds();
  for (int i = 0; i < 100; ++i) {
    const ChildProcess child;
    ASSERT_EQ(table->identify(child.pid()).process.id.tgid, child.pid());
  }
  EXPECT_LE(open_fds(), before + 32);
}

TEST_P(Identify, GivesUpDescriptorsWhenTheyRunOut) {
  const ChildProcess seen[4];
  for (const auto& child : seen) {
    ASSERT_TRUE(table_->identify(child.pid()).process.id.known());
  }
  const ChildProcess fresh;
  const NoMoreDescriptors full;
  EXPECT_EQ(table_->identify(fresh.pid()).process.id.tgid, fresh.pid());
}

TEST_P(Identify, AnswersManyThreadsAtOnceWhileProcessesComeAndGo) {
  // Each thread asks about children of its own making and must get those.
  std::atomic<bool> wrong = false;
  {
    std::vector<std::jthread> threads;
    threads.reserve(4);
    for (int n = 0; n < 4; ++n) {
      threads.emplace_back([&] {
        for (int i = 0; i < 50; ++i) {
          ChildProcess child;
          const auto alive = table_->identify(child.pid());
          if (alive.process.id != id_from_proc(child.pid())) wrong = true;
          child.kill();
          child.reap();
          const auto dead = table_->identify(child.pid()).process.id;
          if (dead.known() && dead != alive.process.id) wrong = true;
        }
      });
    }
  }
  EXPECT_FALSE(wrong);
}

}  // namespace
}  // namespace ebbfs
