// SPDX-License-Identifier: Apache-2.0
//
// Who is behind a thread id, asked of real processes.
#include "fs/process_table.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
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

std::vector<pid_t> pids_of(const std::vector<ProcessSeen>& processes) {
  std::vector<pid_t> pids;
  for (const auto& process : processes) pids.push_back(process.id.tgid);
  return pids;
}

// Runs a second thread, tells its id, ends it when told to, and waits.
int run_with_thread(const Child::Talk& talk) {
  std::thread([&] {
    talk.tell(::gettid());
    talk.wait();
  }).join();
  talk.tell(0);
  talk.wait_for_ever();
}

class Identify : public OnEachTable {};
INSTANTIATE_TEST_SUITE_P(, Identify, testing::ValuesIn(kTableKinds), kind_name);

TEST_P(Identify, NamesTheProcessOfItsLeader) {
  const Child child;
  const auto caller = table_->identify(child.pid());
  EXPECT_EQ(caller.process.id, id_from_proc(child.pid()));
  EXPECT_EQ(caller.process.ns_pid, child.pid());
  EXPECT_EQ(caller.process.comm, ProcFiles::open()->comm(::getpid()));
  EXPECT_EQ(caller.pid_ns, ProcFiles::open()->pid_namespace(::getpid()));
  EXPECT_EQ(caller.cgroup, ProcFiles::open()->cgroup(::getpid()));
}

TEST_P(Identify, MapsAnyThreadToItsProcess) {
  const Child child(run_with_thread);
  const pid_t tid = child.hear();
  ASSERT_NE(tid, child.pid());
  for (int time = 0; time < 2; ++time) {  // read, then remembered
    EXPECT_EQ(table_->identify(tid).process.id, id_from_proc(child.pid()));
  }
}

TEST_P(Identify, KnowsThreadThatHasEndedWhileItsProcessLives) {
  const Child child(run_with_thread);
  const pid_t tid = child.hear();
  const auto caller = table_->identify(tid);
  child.go_on();
  child.hear();
  EXPECT_EQ(table_->identify(tid).process.id, caller.process.id);
  EXPECT_EQ(table_->state(caller.process.id, table_->boot_id()).life, Life::alive);
}

TEST_P(Identify, SeesProcessWhoseLeaderHasEnded) {
  const Child child([](const Child::Talk& talk) -> int {
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
  const Child child([](const Child::Talk& talk) -> int {
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
  Child child;
  child.kill();
  child.reap();
  EXPECT_FALSE(table_->identify(child.pid()).process.id.known());
}

TEST_P(Identify, KnowsProcessThatWasReapedAfterItWasSeen) {
  Child child;
  const auto before = table_->identify(child.pid());
  child.kill();
  child.reap();
  const auto after = table_->identify(child.pid());
  EXPECT_EQ(after.process.id, before.process.id);
  EXPECT_EQ(pids_of(after.ancestors), pids_of(before.ancestors));
}

TEST_P(Identify, SeesZombie) {
  const Child child;
  child.kill();
  const auto caller = table_->identify(child.pid());
  EXPECT_EQ(caller.process.id, id_from_proc(child.pid()));
  ASSERT_FALSE(caller.ancestors.empty());
  EXPECT_EQ(caller.ancestors.front().id.tgid, ::getpid());
}

TEST_P(Identify, SeesProcessThatDroppedItsPrivileges) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const Child child([](const Child::Talk& talk) -> int {
    if (::setresgid(1000, 1000, 1000) != 0 || ::setresuid(1000, 1000, 1000) != 0) return 1;
    talk.tell(0);
    talk.wait_for_ever();
  });
  child.hear();
  const auto caller = table_->identify(child.pid());
  EXPECT_EQ(caller.process.id, id_from_proc(child.pid()));
  EXPECT_EQ(caller.pid_ns, ProcFiles::open()->pid_namespace(::getpid()));
}

TEST_P(Identify, GivesNumberAndNamespaceOfProcessInAnotherPidNamespace) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const Child child([](const Child::Talk& talk) -> int {
    if (::unshare(CLONE_NEWPID) != 0) return 1;
    talk.tell(fork_again([&]() -> int { talk.wait_for_ever(); }));
    talk.wait_for_ever();
  });
  const pid_t inside = child.hear();
  const auto caller = table_->identify(inside);
  EXPECT_EQ(caller.process.id, id_from_proc(inside));
  EXPECT_EQ(caller.process.ns_pid, 1);
  EXPECT_NE(caller.pid_ns, ProcFiles::open()->pid_namespace(::getpid()));
  ASSERT_FALSE(caller.ancestors.empty());
  EXPECT_EQ(caller.ancestors.front().id.tgid, child.pid());
}

TEST_P(Identify, NamesHelperCommandAndTheShellThatRunsIt) {
  const Child child([](const Child::Talk&) -> int {
    exec_command({"sh", "-c", "sleep 20 & wait"});
  });
  pid_t helper = 0;
  ASSERT_TRUE(becomes_true([&] {
    const auto children = read_file_at(
        AT_FDCWD, ("/proc/" + std::to_string(child.pid()) + "/task/" +
                   std::to_string(child.pid()) + "/children").c_str());
    helper = children && !children->empty() ? std::stoi(*children) : 0;
    return helper != 0 && table_->identify(helper).process.comm == "sleep";
  }));
  const auto caller = table_->identify(helper);
  ::kill(helper, SIGKILL);
  ASSERT_GE(caller.ancestors.size(), 2U);
  EXPECT_EQ(caller.ancestors[0].id.tgid, child.pid());
  EXPECT_EQ(caller.ancestors[0].comm, "sh");
  EXPECT_EQ(caller.ancestors[1].id.tgid, ::getpid());
}

TEST_P(Identify, ListsAncestorsNearestFirstWithoutPid1) {
  const Child child;
  const auto caller = table_->identify(child.pid());
  std::vector<pid_t> expected;
  for (pid_t pid = ::getpid(); pid > 1 && expected.size() < 16;
       pid = ProcFiles::open()->stat(pid)->ppid) {
    expected.push_back(pid);
  }
  EXPECT_EQ(pids_of(caller.ancestors), expected);
  EXPECT_EQ(caller.ancestors.front().id, id_from_proc(::getpid()));
}

// Tells its pid from `depth` processes below the child.
int descend(const Child::Talk& talk, int depth) {
  if (depth == 0) {
    talk.tell(::getpid());
  } else {
    fork_again([&, depth] { return descend(talk, depth - 1); });
  }
  talk.wait_for_ever();
}

TEST_P(Identify, StopsAtSixteenAncestors) {
  const Child child([](const Child::Talk& talk) { return descend(talk, 18); });
  EXPECT_EQ(table_->identify(child.hear()).ancestors.size(), 16U);
}

TEST_P(Identify, NoticesThatCallerWasReparented) {
  // Orphans come to the test program instead of pid 1.
  ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  Child middle([](const Child::Talk& talk) -> int {
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

TEST_P(Identify, TellsProcessesWithTheSameNumberApart) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  Child first;
  const auto before = table_->identify(first.pid());
  first.kill();
  first.reap();
  // Start times are counted in ticks of 10 ms.
  ASSERT_TRUE(becomes_true([&] {
    const Child probe;
    return id_from_proc(probe.pid()).start_time > before.process.id.start_time + 1;
  }));
  const Child second([](const Child::Talk& talk) -> int { talk.wait_for_ever(); }, first.pid());
  ASSERT_EQ(second.pid(), first.pid());
  const auto after = table_->identify(second.pid());
  EXPECT_EQ(after.process.id, id_from_proc(second.pid()));
  EXPECT_NE(after.process.id, before.process.id);
  EXPECT_EQ(table_->state(after.process.id, table_->boot_id()).life, Life::alive);
  EXPECT_NE(table_->state(before.process.id, table_->boot_id()).life, Life::alive);
}

TEST_P(Identify, FollowsCallerIntoAnotherCgroup) {
  const TestCgroup one;
  const TestCgroup other;
  if (one.path().empty()) GTEST_SKIP() << "no cgroup v2 that may be changed";
  const Child child;
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
  const Child child;
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
    const Child child;
    ASSERT_EQ(table->identify(child.pid()).process.id.tgid, child.pid());
  }
  EXPECT_LE(open_fds(), before + 32);
}

TEST_P(Identify, GivesUpDescriptorsWhenTheyRunOut) {
  const Child seen[4];
  for (const auto& child : seen) {
    ASSERT_TRUE(table_->identify(child.pid()).process.id.known());
  }
  const Child fresh;
  const NoMoreDescriptors full;
  EXPECT_EQ(table_->identify(fresh.pid()).process.id.tgid, fresh.pid());
}

TEST_P(Identify, AnswersManyThreadsAtOnceWhileProcessesComeAndGo) {
  // Each thread asks about children of its own making and must get those.
  std::atomic<bool> wrong = false;
  {
    std::vector<std::jthread> threads;
    for (int n = 0; n < 4; ++n) {
      threads.emplace_back([&] {
        for (int i = 0; i < 50; ++i) {
          Child child;
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

class LivingProcess : public OnEachTable {};
INSTANTIATE_TEST_SUITE_P(, LivingProcess, testing::ValuesIn(kTableKinds), kind_name);

TEST_P(LivingProcess, IsGivenWithItsStart) {
  const auto before = std::chrono::system_clock::now();
  const Child child;
  const auto after = std::chrono::system_clock::now();
  const auto living = table_->living(child.pid());
  ASSERT_TRUE(living.has_value());
  EXPECT_EQ(living->process.id, id_from_proc(child.pid()));
  // Counted in ticks of 10 ms, rounded down.
  EXPECT_GE(living->started, before - std::chrono::milliseconds(30));
  EXPECT_LE(living->started, after + std::chrono::milliseconds(10));
}

TEST_P(LivingProcess, IsNeitherZombieNorThreadNorNobody) {
  const Child zombie;
  zombie.kill();
  const Child child(run_with_thread);
  const pid_t tid = child.hear();
  EXPECT_FALSE(table_->living(zombie.pid()).has_value());
  EXPECT_FALSE(table_->living(tid).has_value());
  EXPECT_FALSE(table_->living(0).has_value());
  EXPECT_FALSE(table_->living(-1).has_value());
}

}  // namespace
}  // namespace ebbfs
