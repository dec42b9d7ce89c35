// SPDX-License-Identifier: Apache-2.0
//
// Whom the first line of a lock names, and when that is believed.
#include <gtest/gtest.h>

#include <string>

#include "fs/lock_reaper.h"
#include "tests/fs/lock_fixture.h"

namespace ebbfs {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

class FirstLine : public WithLocks {};

TEST_F(FirstLine, GivesTheLockToTheLiveProcessThatItsFirstLineNames) {
  const ProcessId worker = start();
  rig_.advance(seconds(1));
  const ProcessId maker = start();
  ASSERT_TRUE(rig_.take_lock("locks/a", maker.tgid, std::to_string(worker.tgid) + "\n"));
  rig_.advance(seconds(3));
  touch("locks/a");
  kill(maker);
  pass(kRigLockGrace);
  pass(hours(1));
  ASSERT_TRUE(rig_.exists("locks/a"));
  kill(worker);
  pass(kRigLockGrace);
  EXPECT_FALSE(rig_.exists("locks/a"));
}

TEST_F(FirstLine, DoesNotBelieveANumberThatStandsForAnybodyElse) {
  struct Case {
    const char* name;
    bool younger;       // the live process started after the last write
    bool in_namespace;  // the number is the dead owner's own in its namespace
  };
  for (const Case& row : {Case{"younger than the lock", true, false},
                          Case{"the owner's number in its namespace", false, true}}) {
    SCOPED_TRACE(row.name);
    constexpr pid_t kWritten = 77;
    ProcessId live;
    if (!row.younger) live = rig_.processes.start({.pid = kWritten});
    rig_.advance(seconds(1));
    const ProcessId maker = rig_.processes.start({.ns_pid = row.in_namespace ? kWritten : 5});
    ASSERT_TRUE(rig_.take_lock("locks/a", maker.tgid, "77\n"));
    rig_.advance(seconds(3));
    touch("locks/a");
    if (row.younger) {
      rig_.advance(seconds(1));
      live = rig_.processes.start({.pid = kWritten});
    }
    kill(maker);
    pass(kRigLockGrace);
    EXPECT_FALSE(rig_.exists("locks/a"));
    kill(live);
  }
}

TEST_F(FirstLine, BelievesANumberHoweverTheClockWasSetSince) {
  struct Case {
    const char* name;
    Duration step;
    bool resumed;
    bool remounted;
  };
  for (const Case& row :
       {Case{"by what NTP steps", seconds(50), false, false}, Case{"forth", hours(1), false, false},
        Case{"forth, and looked after", hours(1), true, false},
        Case{"forth, in an earlier run", hours(1), true, true}}) {
    SCOPED_TRACE(row.name);
    const ProcessId worker = start();
    const ProcessId maker = start();
    ASSERT_TRUE(rig_.take_lock("locks/a", maker.tgid, std::to_string(worker.tgid) + "\n"));
    rig_.advance(seconds(3));
    touch("locks/a");
    rig_.clock.step_wall(row.step);
    rig_.reaper().run_once();
    if (row.resumed) {
      ASSERT_TRUE(rig_.reaper().resume("uid=0").value());
    }
    if (row.remounted) {
      rig_.unmount();
      rig_.mount();
    }
    kill(maker);
    pass(kRigLockGrace);
    EXPECT_TRUE(rig_.exists("locks/a"));
    kill(worker);
    pass(kRigLockGrace);
    EXPECT_FALSE(rig_.exists("locks/a"));
    (void)rig_.reaper().resume("uid=0");
  }
}

TEST_F(FirstLine, BelievesANumberThatWasWrittenAsSoonAsItWasGiven) {
  const ProcessId maker = start();
  ASSERT_TRUE(rig_.take_lock("locks/a", maker.tgid, "77\n"));
  rig_.advance(seconds(3));
  touch("locks/a");
  rig_.advance(std::chrono::milliseconds(10));
  const ProcessId worker = rig_.processes.start({.pid = 77});
  kill(maker);
  pass(kRigLockGrace);
  EXPECT_TRUE(rig_.exists("locks/a"));
  kill(worker);
}

TEST_F(FirstLine, TakesANumberForThatOfTheNamespaceItWasWrittenIn) {
  constexpr std::uint64_t kContainer = FakeProcessTable::kOwnPidNs + 1;
  constexpr std::uint64_t kOther = kContainer + 1;
  struct Case {
    const char* name;
    FakeProcessTable::Start maker;
    FakeProcessTable::Start named;
    bool keeps;
  };
  const Case cases[] = {
      {"init of the host, from a container", {.pid_ns = kContainer}, {.pid = 1}, false},
      {"init of the container",
       {.ns_pid = 5, .pid_ns = kContainer},
       {.ns_pid = 1, .pid_ns = kContainer},
       true},
      {"init of another container",
       {.ns_pid = 5, .pid_ns = kContainer},
       {.ns_pid = 1, .pid_ns = kOther},
       false},
      {"init of the host, from there", {}, {.pid = 1}, true},
      {"a thread of the kernel", {}, {.pid = 2, .ns_pid = 1, .kernel_thread = true}, false},
  };
  for (const Case& row : cases) {
    SCOPED_TRACE(row.name);
    const ProcessId named = rig_.processes.start(row.named);
    const ProcessId maker = rig_.processes.start(row.maker);
    rig_.advance(seconds(1));
    ASSERT_TRUE(rig_.take_lock("locks/a", maker.tgid, row.named.pid == 2 ? "2\n" : "1\n"));
    rig_.advance(seconds(3));
    touch("locks/a");
    kill(maker);
    pass(kRigLockGrace);
    EXPECT_EQ(rig_.exists("locks/a"), row.keeps);
    kill(named);
    pass(kRigLockGrace);
    EXPECT_FALSE(rig_.exists("locks/a"));
  }
}

TEST_F(FirstLine, TakesNoInitForTheOneThatAnUnknownOwnerMeant) {
  const ProcessId init = rig_.processes.start({.pid = 1});
  ASSERT_TRUE(rig_.take_lock("locks/a", 0, "1\n"));
  pass(kRigLockTtl);
  pass(seconds(1));
  EXPECT_FALSE(rig_.exists("locks/a"));
  kill(init);
}

}  // namespace
}  // namespace ebbfs
