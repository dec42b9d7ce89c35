// SPDX-License-Identifier: Apache-2.0
//
// What the crash tests have in common: the policy, what their volumes hold, and ways to act on
// them. Threading: none of its own.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "tests/crash/kill_board.h"
#include "tests/support/mounted_volume.h"

namespace ebbfs::test {

// Units are what lies in units/, deep/*/tasks/, other/, short/ and jobs/{job}/tasks/; locks what
// lies in locks/, and *.lk in units. Nothing goes by itself, but for what these times say.
struct CrashTimes {
  std::string retention = "1h";
  std::string orphan_grace = "1h";
  std::string lock_ttl = "1h";
  std::string short_ttl = "24h";
  std::string brake = {};  // further lines for [volume]
};
[[nodiscard]] std::string crash_policy(const CrashTimes& times = {});

// The daemon with kill points, whose board `disk` is.
[[nodiscard]] VolumeOptions killable(const KillSwitch& disk, std::string policy = crash_policy());

using Prepare = std::function<void(MountedVolume&)>;
// Whether it was acknowledged.
using Act = std::function<bool(MountedVolume&)>;

// Runs `commands` in the volume; a failure is one of the test.
void run(MountedVolume& volume, const std::string& commands);
// Two units and one of each other class but short/, with files of two users, directories and files
// outside, and locks/, which is empty.
void furnish(MountedVolume& volume);
// The same, and what `commands` make.
[[nodiscard]] Prepare with(const std::string& commands);
// Asks with ebbctl.
[[nodiscard]] Act asks(const std::string& arguments);

// Skips what needs a mount where there can be none.
class Crashing : public testing::Test {
 protected:
  void SetUp() override;
};

}  // namespace ebbfs::test
