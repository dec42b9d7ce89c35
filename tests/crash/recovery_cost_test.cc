// SPDX-License-Identifier: Apache-2.0
//
// How long a large volume takes to come back after the daemon was killed. On demand:
// EBBFS_CRASH_FILES=500000, of which EBBFS_CRASH_OUTSIDE (default none) lie outside of any unit.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>

#include "tests/crash/observed.h"
#include "tests/support/each_filesystem.h"

namespace ebbfs::test {
namespace {

using std::chrono::steady_clock;

constexpr unsigned kPerUnit = 250;
constexpr unsigned kActive = 10;
constexpr double kReadySeconds = 2;
constexpr double kExactSeconds = 10;

double seconds_since(steady_clock::time_point start) {
  return std::chrono::duration<double>(steady_clock::now() - start).count();
}

TEST(RecoveryCost, IsThatOfTheUnitsInUse) {
  const unsigned files = from_environment("EBBFS_CRASH_FILES", 0);
  if (files == 0) GTEST_SKIP() << "set EBBFS_CRASH_FILES=500000";
  const unsigned outside = from_environment("EBBFS_CRASH_OUTSIDE", 0);
  if (const auto why = MountedVolume::cannot_run("tmpfs")) GTEST_SKIP() << *why;
  MountedVolume volume({.size = "4G,nr_inodes=2000000"});
  volume.unmount();
  const std::string fill =
      "set -e; rm -rf .ebbfs; mkdir -p worktrees repo; "
      "for ((u = 0; u < " +
      std::to_string((files - outside) / kPerUnit) +
      "; u++)); do mkdir worktrees/u$u; (cd worktrees/u$u; touch f{1.." + std::to_string(kPerUnit) +
      "}); done; "
      "for ((d = 0; d < " +
      std::to_string(outside / 1000) +
      "; d++)); do mkdir repo/d$d; (cd repo/d$d; touch f{1..1000}); done";
  ASSERT_EQ(shell(fill, volume.path()).exit_code, 0);
  auto start = steady_clock::now();
  volume.mount();
  const double adopting = seconds_since(start);
  const auto adopted = [&] { return !volume.json("status").value("provisional", true); };
  ASSERT_TRUE(eventually(adopted, std::chrono::minutes(5)));
  std::printf("  first mount: ready in %.2f s, exact in %.1f s\n", adopting, seconds_since(start));
  volume.unmount();
  start = steady_clock::now();
  volume.mount();
  std::printf("  after a clean end: ready in %.2f s\n", seconds_since(start));
  for (unsigned unit = 0; unit < kActive; ++unit) {
    put(volume.at("worktrees/u" + std::to_string(unit) + "/new"), "new");
  }
  put(volume.at("repo/new"), "new");
  volume.leave_dead_mount();
  start = steady_clock::now();
  volume.mount();
  const double ready = seconds_since(start);
  ASSERT_TRUE(exact_soon(volume));
  const double exact = seconds_since(start);
  std::printf("  after a kill: ready in %.2f s, exact in %.2f s\n", ready, exact);
  EXPECT_LT(ready, kReadySeconds);
  EXPECT_LT(exact, kExactSeconds);
  EXPECT_EQ(volume.charged(), volume.count());
}

}  // namespace
}  // namespace ebbfs::test
