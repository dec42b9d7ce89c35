// SPDX-License-Identifier: Apache-2.0
//
// A volume with a directory for locks, and workers that take them. Threading: one thread.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>

#include "tests/support/volume_rig.h"

namespace ebbfs {

class WithLocks : public testing::Test {
 protected:
  WithLocks() {
    rig_.mount();
    EXPECT_TRUE(rig_.make_dir("locks"));
    rig_.advance(std::chrono::seconds(10));  // nothing is as old as the volume
  }
  ProcessId start(pid_t parent = 1) { return rig_.processes.start({.parent = parent}); }
  void kill(const ProcessId& process) {
    rig_.processes.kill(process);
    rig_.reaper().run_once();
  }
  void pass(Duration time) {
    rig_.advance(time);
    rig_.reaper().run_once();
  }
  // Stamps a lock's object as modified now, by the clock of the test.
  void touch(const std::string& path) {
    const auto since = rig_.clock.wall_now().time_since_epoch();
    const auto whole = std::chrono::floor<std::chrono::seconds>(since);
    const timespec now{whole.count(), (since - whole).count()};
    const timespec times[2] = {now, now};
    ASSERT_EQ(::utimensat(AT_FDCWD, rig_.tree.at(path).c_str(), times, AT_SYMLINK_NOFOLLOW), 0);
  }

  VolumeRig rig_;
};

}  // namespace ebbfs
