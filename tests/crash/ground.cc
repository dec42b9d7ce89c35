// SPDX-License-Identifier: Apache-2.0
#include "tests/crash/ground.h"

#include <fmt/format.h>

#include <utility>

namespace ebbfs::test {

std::string crash_policy(const CrashTimes& times) {
  return fmt::format(R"(
[volume]
adopt_grace = "0s"
trash_retention = "{}"
{}
[[class]]
name = "tree"
kind = "tree"
match = ["units/*", "deep/*/tasks/*"]
ttl = "24h"
[[class]]
name = "other"
kind = "tree"
match = ["other/*"]
ttl = "24h"
[[class]]
name = "job"
kind = "tree"
match = ["jobs/{{job}}/tasks/*"]
ttl = "24h"
[[class]]
name = "short"
kind = "tree"
match = ["short/*"]
ttl = "{}"
keep = "0s"
[[class]]
name = "lock"
kind = "lock"
match = ["locks/**", "units/*/*.lk"]
orphan_grace = "{}"
ttl = "{}"
)",
                     times.retention, times.brake, times.short_ttl, times.orphan_grace,
                     times.lock_ttl);
}

VolumeOptions killable(const KillSwitch& disk, std::string policy) {
  VolumeOptions options;
  options.policy = std::move(policy);
  options.program = "ebbfs-crash";
  options.launcher = disk.launcher();
  return options;
}

void run(MountedVolume& volume, const std::string& commands) {
  const Ran ran = shell("set -e; umask 022\n" + commands, volume.path());
  ASSERT_EQ(ran.exit_code, 0) << ran.out;
}

void furnish(MountedVolume& volume) {
  run(volume,
      "mkdir -p units/a/sub units/b other/o plain/d locks jobs/one/tasks/w "
      "jobs/two/tasks deep/x/tasks/w deep/y\n"
      "head -c 10000 /dev/zero >units/a/sub/f; echo b >units/b/f; echo o >other/o/f\n"
      "echo w >jobs/one/tasks/w/f; echo x >deep/x/tasks/w/f; head -c 5000 /dev/zero >plain/f\n"
      "echo d >plain/d/f; chown 21001:21001 plain/d/f units/a/sub/f\n");
}

Prepare with(const std::string& commands) {
  return [commands](MountedVolume& volume) {
    furnish(volume);
    run(volume, commands);
  };
}

Act asks(const std::string& arguments) {
  return [arguments](MountedVolume& volume) { return volume.ebbctl(arguments).exit_code == 0; };
}

void Crashing::SetUp() {
  const auto why = MountedVolume::cannot_run("tmpfs");
  if (why) GTEST_SKIP() << *why;
}

}  // namespace ebbfs::test
