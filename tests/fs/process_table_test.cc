// SPDX-License-Identifier: Apache-2.0
//
// Whether owners live, asked of real processes.
#include "fs/process_table.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <chrono>
#include <optional>
#include <thread>

#include "fs/clock.h"
#include "fs/proc_files.h"
#include "index/mutex.h"
#include "tests/support/child.h"
#include "tests/support/process_tables.h"

namespace ebbfs {
namespace {

using Life = OwnerState::Life;
using std::chrono::milliseconds;

class OwnerProcess : public OnEachTable {
 protected:
  [[nodiscard]] Life state(const ProcessId& process) {
    return table_->state(process, table_->boot_id()).life;
  }
};
INSTANTIATE_TEST_SUITE_P(, OwnerProcess, testing::ValuesIn(kTableKinds), kind_name);

TEST_P(OwnerProcess, IsNotMixedUpWithLaterOneOfTheSameNumber) {
  const ChildProcess child;
  auto earlier = id_from_proc(child.pid());
  --earlier.start_time;
  EXPECT_EQ(state(earlier), Life::ended);
  ASSERT_TRUE(table_->watch(earlier).has_value());
  EXPECT_EQ(next_life(*table_, earlier), Life::ended);
  EXPECT_EQ(state(id_from_proc(child.pid())), Life::alive);
}

TEST_P(OwnerProcess, HasEndedWhenItsNumberIsThatOfThread) {
  // The number of an ended process may have become that of somebody's thread.
  const ChildProcess child([](const ChildProcess::Talk& talk) -> int {
    std::thread([&] {
      talk.tell(::gettid());
      talk.wait_for_ever();
    }).join();
    return 0;
  });
  const pid_t tid = child.hear();
  EXPECT_EQ(state(id_from_proc(tid)), Life::ended);
}

TEST_P(OwnerProcess, HasEndedWithItsBoot) {
  auto other_boot = table_->boot_id();
  other_boot.bytes[3] ^= 1U;
  const auto self = id_from_proc(::getpid());
  EXPECT_EQ(table_->state(self, table_->boot_id()).life, Life::alive);
  EXPECT_EQ(table_->state(self, other_boot).life, Life::ended);
}

TEST_P(OwnerProcess, IsUnknownWithoutProcessOrBoot) {
  EXPECT_EQ(state(ProcessId{}), Life::unknown);
  EXPECT_EQ(table_->state(id_from_proc(::getpid()), BootId{}).life, Life::unknown);
  EXPECT_FALSE(table_->watch(ProcessId{}).has_value());
}

TEST_P(OwnerProcess, CannotBeWatchedWithoutDescriptors) {
  const ChildProcess child;
  const auto id = id_from_proc(child.pid());
  ASSERT_EQ(state(id), Life::alive);
  {
    const NoMoreDescriptors full;
    const auto watched = table_->watch(id);
    ASSERT_FALSE(watched.has_value());
    EXPECT_EQ(code(watched.error()), EMFILE);
    EXPECT_EQ(state(id), Life::unknown);
  }
  EXPECT_TRUE(table_->watch(id).has_value());
}

TEST_P(OwnerProcess, IsWatchedInPlaceOfCachedOnesWhenDescriptorsRunOut) {
  const ChildProcess cached[4];
  for (const auto& child : cached) {
    ASSERT_TRUE(table_->identify(child.pid()).process.id.known());
  }
  const ChildProcess child;
  const auto id = id_from_proc(child.pid());
  const NoMoreDescriptors full;
  EXPECT_TRUE(table_->watch(id).has_value());
}

class LivingProcess : public OnEachTable {
 protected:
  const std::uint64_t own_ns_ = ProcFiles::open()->pid_namespace(::getpid()).value();
};
INSTANTIATE_TEST_SUITE_P(, LivingProcess, testing::ValuesIn(kTableKinds), kind_name);

TEST_P(LivingProcess, IsGivenWithItsStart) {
  const SystemClock clock;
  const auto before = clock.boot_now();
  const ChildProcess child;
  const auto after = clock.boot_now();
  const auto living = table_->living(child.pid(), 0);
  ASSERT_TRUE(living.has_value());
  EXPECT_EQ(living->process.id, id_from_proc(child.pid()));
  // Counted in ticks of 10 ms, rounded down.
  EXPECT_GE(living->started, before - milliseconds(30));
  EXPECT_LE(living->started, after + milliseconds(10));
}

TEST_P(LivingProcess, IsNeitherZombieNorThreadNorNobody) {
  const ChildProcess zombie;
  zombie.kill();
  const ChildProcess child(run_with_thread);
  const pid_t tid = child.hear();
  EXPECT_FALSE(table_->living(zombie.pid(), 0).has_value());
  EXPECT_FALSE(table_->living(tid, 0).has_value());
  EXPECT_FALSE(table_->living(0, 0).has_value());
  EXPECT_FALSE(table_->living(-1, 0).has_value());
}

TEST_P(LivingProcess, IsNoThreadOfTheKernel) {
  const auto kthreadd = ProcFiles::open()->stat(2);
  if (!kthreadd || !kthreadd->kernel_thread) GTEST_SKIP() << "shows no kernel threads";
  EXPECT_FALSE(table_->living(2, 0).has_value());
  EXPECT_FALSE(table_->living(2, own_ns_).has_value());
}

TEST_P(LivingProcess, IsTheFirstOfItsNamespaceOnlyWhereThatIsKnown) {
  EXPECT_FALSE(table_->living(1, 0).has_value());
  const auto init = table_->living(1, own_ns_);
  ASSERT_TRUE(init.has_value());
  EXPECT_EQ(init->process.id.tgid, 1);
}

TEST_P(LivingProcess, IsFoundByItsNumberInItsNamespaceAndThoseAround) {
  if (kUnderThreadSanitizer) {
    GTEST_SKIP() << "who is to fork into a namespace can start no thread, as the sanitizer wants";
  }
  // Its child is 1 in a namespace of its own, and that one's child, 2 there, in one of its own.
  const ChildProcess child([](const ChildProcess::Talk& talk) {
    if (::unshare(CLONE_NEWPID) != 0) return talk.tell(0), 1;
    talk.tell(fork_again([&] {
      if (::unshare(CLONE_NEWPID) != 0) return 1;
      fork_again([] { return ::pause(); });
      return ::pause();
    }));
    talk.wait_for_ever();
  });
  const pid_t outer = child.hear();
  if (outer == 0) GTEST_SKIP() << "may not make a pid namespace";
  const auto pid_ns = ProcFiles::open()->pid_namespace(outer);
  ASSERT_TRUE(pid_ns.has_value());
  std::optional<ProcessTable::Living> inner;
  ASSERT_TRUE(becomes_true([&] { return (inner = table_->living(2, *pid_ns)).has_value(); }));
  EXPECT_EQ(inner->process.ns_pid, 1);
  const auto found = table_->living(1, *pid_ns);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->process.id.tgid, outer);
  EXPECT_FALSE(table_->living(3, *pid_ns).has_value());
  EXPECT_FALSE(table_->living(outer, *pid_ns).has_value());
  EXPECT_FALSE(table_->living(1, *pid_ns + 1'000'000).has_value());
}

}  // namespace
}  // namespace ebbfs
