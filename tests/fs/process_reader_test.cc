// SPDX-License-Identifier: Apache-2.0
//
// What is read about real processes, through the table that callers see.
#include "fs/process_reader.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "tests/support/child.h"
#include "tests/support/process_tables.h"

namespace ebbfs {
namespace {

std::vector<pid_t> pids_of(const std::vector<ProcessSeen>& processes) {
  std::vector<pid_t> pids;
  pids.reserve(processes.size());
  for (const auto& process : processes) pids.push_back(process.id.tgid);
  return pids;
}

class CallingProcess : public OnEachTable {};
INSTANTIATE_TEST_SUITE_P(, CallingProcess, testing::ValuesIn(kTableKinds), kind_name);

TEST_P(CallingProcess, IsNamedByItsProcess) {
  const ChildProcess child;
  const auto caller = table_->identify(child.pid());
  EXPECT_EQ(caller.process.id, id_from_proc(child.pid()));
  EXPECT_EQ(caller.process.ns_pid, child.pid());
  EXPECT_EQ(caller.process.comm, ProcFiles::open()->comm(::getpid()));
  EXPECT_EQ(caller.pid_ns, ProcFiles::open()->pid_namespace(::getpid()));
  EXPECT_EQ(caller.cgroup, ProcFiles::open()->cgroup(::getpid()));
}

TEST_P(CallingProcess, IsSeenAfterItDroppedItsPrivileges) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const ChildProcess child([](const ChildProcess::Talk& talk) -> int {
    if (::setresgid(1000, 1000, 1000) != 0 || ::setresuid(1000, 1000, 1000) != 0) return 1;
    talk.tell(0);
    talk.wait_for_ever();
  });
  child.hear();
  const auto caller = table_->identify(child.pid());
  EXPECT_EQ(caller.process.id, id_from_proc(child.pid()));
  EXPECT_EQ(caller.pid_ns, ProcFiles::open()->pid_namespace(::getpid()));
}

TEST_P(CallingProcess, InAnotherPidNamespaceHasItsNumberThereToo) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const ChildProcess child([](const ChildProcess::Talk& talk) -> int {
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

TEST_P(CallingProcess, IsSeenAsZombie) {
  const ChildProcess child;
  child.kill();
  const auto caller = table_->identify(child.pid());
  EXPECT_EQ(caller.process.id, id_from_proc(child.pid()));
  ASSERT_FALSE(caller.ancestors.empty());
  EXPECT_EQ(caller.ancestors.front().id.tgid, ::getpid());
}

TEST_P(CallingProcess, MayBeHelperOfShell) {
  const ChildProcess child(
      [](const ChildProcess::Talk&) -> int { exec_command({"sh", "-c", "sleep 20 & wait"}); });
  pid_t helper = 0;
  ASSERT_TRUE(becomes_true([&] {
    const auto children =
        read_file_at(AT_FDCWD, ("/proc/" + std::to_string(child.pid()) + "/task/" +
                                std::to_string(child.pid()) + "/children")
                                   .c_str());
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

TEST_P(CallingProcess, HasAncestorsNearestFirstWithoutPid1) {
  const ChildProcess child;
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
int descend(const ChildProcess::Talk& talk, int depth) {
  if (depth == 0) {
    talk.tell(::getpid());
  } else {
    fork_again([&, depth] { return descend(talk, depth - 1); });
  }
  talk.wait_for_ever();
}

TEST_P(CallingProcess, HasSixteenAncestorsAtMost) {
  const ChildProcess child([](const ChildProcess::Talk& talk) { return descend(talk, 18); });
  EXPECT_EQ(table_->identify(child.hear()).ancestors.size(), 16U);
}

}  // namespace
}  // namespace ebbfs
