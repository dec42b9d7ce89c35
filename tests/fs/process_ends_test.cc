// SPDX-License-Identifier: Apache-2.0
//
// That owners end, and how, learnt from real processes.
#include "fs/process_ends.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "tests/support/child.h"
#include "tests/support/process_tables.h"

namespace ebbfs {
namespace {

using Life = OwnerState::Life;

class Ends : public OnEachTable {
 protected:
  void SetUp() override {
    if (!has_ptrace_capability()) GTEST_SKIP() << "needs CAP_SYS_PTRACE";
  }
  [[nodiscard]] Life state(const ProcessId& process) {
    return table_->state(process, table_->boot_id()).life;
  }
};
INSTANTIATE_TEST_SUITE_P(, Ends, testing::ValuesIn(kTableKinds), kind_name);

struct EndCase {
  const char* name;
  int (*body)(const ChildProcess::Talk&);
  Life want;
};

const EndCase kEndCases[] = {
    {"exit 0", [](const ChildProcess::Talk& talk) { return talk.wait(), 0; }, Life::exited},
    {"exit 7", [](const ChildProcess::Talk& talk) { return talk.wait(), 7; }, Life::exited},
    {"exit 137, as a shell whose child was killed",
     [](const ChildProcess::Talk& talk) { return talk.wait(), 137; }, Life::exited},
    {"SIGKILL",
     [](const ChildProcess::Talk& talk) { return talk.wait(), ::kill(::getpid(), SIGKILL); },
     Life::killed},
    {"SIGTERM",
     [](const ChildProcess::Talk& talk) { return talk.wait(), ::kill(::getpid(), SIGTERM); },
     Life::killed},
    {"SIGABRT",
     [](const ChildProcess::Talk& talk) {
       const rlimit no_core{};
       ::setrlimit(RLIMIT_CORE, &no_core);
       ::signal(SIGABRT, SIG_DFL);
       talk.wait();
       return ::kill(::getpid(), SIGABRT);
     },
     Life::killed},
    {"exit by a thread that is not the leader",
     [](const ChildProcess::Talk& talk) {
       talk.wait();
       std::thread([] { std::_Exit(3); }).join();
       return 0;
     },
     Life::exited},
    {"SIGKILL after the leader has ended",
     [](const ChildProcess::Talk& talk) {
       talk.wait();
       std::thread([] {
         while (ProcFiles::open()->stat(::getpid())->state != 'Z') std::this_thread::yield();
         ::kill(::getpid(), SIGKILL);
       }).detach();
       return static_cast<int>(::syscall(SYS_exit, 0));
     },
     Life::killed},
    {"exec, then exit",
     [](const ChildProcess::Talk& talk) -> int {
       talk.wait();
       exec_command({"true"});
     },
     Life::exited},
    {"unprivileged, SIGKILL",
     [](const ChildProcess::Talk& talk) {
       if (::geteuid() == 0 && ::setresuid(1000, 1000, 1000) != 0) return 1;
       talk.wait();
       return ::kill(::getpid(), SIGKILL);
     },
     Life::killed},
};

TEST_P(Ends, AreToldApartWhileTheProcessIsZombie) {
  for (const auto& row : kEndCases) {
    SCOPED_TRACE(row.name);
    const ChildProcess child(row.body);
    const auto id = id_from_proc(child.pid());
    ASSERT_TRUE(table_->watch(id).has_value());
    EXPECT_FALSE(is_readable(table_->event_fd()));
    child.go_on();
    child.wait_end();
    EXPECT_EQ(next_life(*table_, id), row.want);
    EXPECT_EQ(state(id), row.want);
    table_->unwatch(id);
    EXPECT_FALSE(is_readable(table_->event_fd()));
  }
}

TEST(EndsByPidfd, AreToldApartAfterTheProcessWasReaped) {
  if (!keeps_exit_status()) GTEST_SKIP() << "needs Linux 6.15";
  const auto table = open_table({});
  for (const auto& row : kEndCases) {
    SCOPED_TRACE(row.name);
    ChildProcess child(row.body);
    const auto id = id_from_proc(child.pid());
    ASSERT_TRUE(table->watch(id).has_value());
    child.go_on();
    child.reap();
    EXPECT_EQ(next_life(*table, id), row.want);
    table->unwatch(id);
  }
}

TEST(EndsByProc, AreOfUnknownKindAfterTheProcessWasReaped) {
  const auto table = open_table({.pidfd_info = false});
  ChildProcess child;
  const auto id = id_from_proc(child.pid());
  ASSERT_TRUE(table->watch(id).has_value());
  child.kill();
  child.reap();
  EXPECT_EQ(next_life(*table, id), Life::ended);
}

TEST_P(Ends, CarryTheTimeAtWhichTheyWereLearnt) {
  const ChildProcess child;
  const auto id = id_from_proc(child.pid());
  ASSERT_TRUE(table_->watch(id).has_value());
  const auto before = std::chrono::system_clock::now();
  child.kill();
  const auto ended = next_ends(*table_);
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_GE(ended.front().state.ended_at, before);
  EXPECT_LE(ended.front().state.ended_at, std::chrono::system_clock::now());
}

TEST_P(Ends, OfOneThreadAreNotThoseOfItsProcess) {
  const ChildProcess child(run_with_thread);
  const auto id = table_->identify(child.hear()).process.id;
  ASSERT_EQ(id, id_from_proc(child.pid()));
  ASSERT_TRUE(table_->watch(id).has_value());
  child.go_on();
  child.hear();
  EXPECT_FALSE(is_readable(table_->event_fd()));
  EXPECT_EQ(state(id), Life::alive);
}

TEST_P(Ends, AreReportedOnceHoweverOftenWatched) {
  const ChildProcess child;
  const auto id = id_from_proc(child.pid());
  ASSERT_TRUE(table_->watch(id).has_value());
  ASSERT_TRUE(table_->watch(id).has_value());
  table_->unwatch(id);
  child.kill();
  EXPECT_EQ(next_life(*table_, id), Life::killed);
  EXPECT_FALSE(is_readable(table_->event_fd()));
  EXPECT_TRUE(table_->drain_ended().empty());
}

TEST_P(Ends, AreReportedAgainToLaterWatch) {
  const ChildProcess child;
  const auto id = id_from_proc(child.pid());
  ASSERT_TRUE(table_->watch(id).has_value());
  child.kill();
  EXPECT_EQ(next_life(*table_, id), Life::killed);
  ASSERT_TRUE(table_->watch(id).has_value());
  EXPECT_EQ(next_life(*table_, id), Life::killed);
}

TEST_P(Ends, AreNotReportedAfterUnwatch) {
  const ChildProcess child;
  const auto id = table_->identify(child.pid()).process.id;  // so that its pidfd is kept
  ASSERT_TRUE(table_->watch(id).has_value());
  table_->unwatch(id);
  child.kill();
  EXPECT_FALSE(is_readable(table_->event_fd()));
  EXPECT_TRUE(table_->drain_ended().empty());
}

TEST_P(Ends, OfManyProcessesAtOnceAreAllReported) {
  constexpr std::size_t kMany = 150;  // more than one batch of epoll
  std::vector<std::unique_ptr<ChildProcess>> children;
  for (std::size_t i = 0; i < kMany; ++i) {
    children.push_back(std::make_unique<ChildProcess>());
    ASSERT_TRUE(table_->watch(id_from_proc(children.back()->pid())).has_value());
  }
  for (const auto& child : children) child->kill();
  const auto ended = next_ends(*table_);
  EXPECT_EQ(ended.size(), kMany);
  EXPECT_TRUE(
      std::ranges::all_of(ended, [](const auto& end) { return end.state.life == Life::killed; }));
}

TEST_P(Ends, OfZombieAreReportedWhenTheWatchBeginsLater) {
  const ChildProcess child;
  const auto id = id_from_proc(child.pid());
  child.kill();
  ASSERT_TRUE(table_->watch(id).has_value());
  EXPECT_EQ(next_life(*table_, id), Life::killed);
}

TEST_P(Ends, OfProcessThatIsGoneAreReportedWhenTheWatchBeginsLater) {
  ChildProcess child;
  const auto id = id_from_proc(child.pid());
  child.kill();
  child.reap();
  ASSERT_TRUE(table_->watch(id).has_value());
  EXPECT_EQ(next_life(*table_, id), Life::ended);
  EXPECT_EQ(state(id), Life::ended);
}

TEST(EndsByPidfd, OfIdentifiedHelperAreToldApartThoughItWasReapedBeforeTheWatch) {
  if (!keeps_exit_status()) GTEST_SKIP() << "needs Linux 6.15";
  const auto table = open_table({});
  ChildProcess child([](const ChildProcess::Talk& talk) { return talk.wait(), 0; });
  const auto id = table->identify(child.pid()).process.id;
  child.go_on();
  child.reap();
  EXPECT_EQ(table->state(id, table->boot_id()).life, Life::exited);
  ASSERT_TRUE(table->watch(id).has_value());
  EXPECT_EQ(next_life(*table, id), Life::exited);
}

// ---- A zombie that does not show its exit code (no CAP_SYS_PTRACE) ----

TEST(EndsOfSilentZombie, AreToldOnceItIsReaped) {
  if (!keeps_exit_status()) GTEST_SKIP() << "needs Linux 6.15";
  const auto table = open_table({.zombie_status = false});
  ChildProcess child;
  const auto id = id_from_proc(child.pid());
  ASSERT_TRUE(table->watch(id).has_value());
  child.kill();
  ASSERT_TRUE(becomes_readable(table->event_fd()));
  EXPECT_TRUE(table->drain_ended().empty());
  EXPECT_EQ(table->state(id, table->boot_id()).life, Life::unknown);
  const auto reaped_at = std::chrono::system_clock::now();
  child.reap();
  const auto ended = next_ends(*table);
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended.front().state.life, Life::killed);
  // The grace runs from the end, not from when its kind was learnt.
  EXPECT_LE(ended.front().state.ended_at, reaped_at);
}

TEST(EndsOfSilentZombie, AreGivenUpAfterBoundedTime) {
  if (!pidfd_info_supported()) GTEST_SKIP() << "no PIDFD_GET_INFO";
  const auto table = open_table({.zombie_status = false});
  const ChildProcess child;
  const auto id = id_from_proc(child.pid());
  ASSERT_TRUE(table->watch(id).has_value());
  const auto start = std::chrono::steady_clock::now();
  child.kill();
  int wake_ups = 0;
  std::vector<EndedOwner> ended;
  for (; ended.empty() && becomes_readable(table->event_fd()); ++wake_ups) {
    ended = table->drain_ended();
  }
  const auto took = std::chrono::steady_clock::now() - start;
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended.front().state.life, Life::ended);
  EXPECT_GE(took, ProcessEnds::kAskFor);
  EXPECT_LT(took, 2 * ProcessEnds::kAskFor);
  EXPECT_LE(wake_ups, 12);  // it sleeps in between
}

TEST(EndsOfSilentZombie, AreOfUnknownKindAtOnceWhereNothingCouldTellLater) {
  const auto table = open_table({.pidfd_info = false, .zombie_status = false});
  const ChildProcess child;
  const auto id = id_from_proc(child.pid());
  ASSERT_TRUE(table->watch(id).has_value());
  child.kill();
  ASSERT_TRUE(becomes_readable(table->event_fd()));
  EXPECT_EQ(table->drain_ended().size(), 1U);
}

}  // namespace
}  // namespace ebbfs
