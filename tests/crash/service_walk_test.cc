// SPDX-License-Identifier: Apache-2.0
//
// The daemon's own work, killed between any two steps: what administrators ask for, removals, and
// its start and end.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <optional>
#include <regex>
#include <stdexcept>

#include "tests/crash/observed.h"
#include "tests/crash/walk.h"
#include "tests/support/git.h"
#include "tests/support/plain_files.h"

namespace ebbfs::test {
namespace {

const char* const kShortPolicy = R"(
[volume]
adopt_grace = "0s"
trash_retention = "0s"
[[class]]
name = "tree"
kind = "tree"
match = ["units/*"]
ttl = "24h"
[[class]]
name = "lock"
kind = "lock"
match = ["locks/**"]
orphan_grace = "1s"
ttl = "1h"
)";

void furnish(MountedVolume& volume) {
  const Ran ran = shell(
      "set -e; umask 022; mkdir -p units/a/sub units/b locks plain\n"
      "for f in 1 2 3; do head -c 5000 /dev/zero >units/a/sub/$f; done; echo b >units/b/f\n"
      "ln units/a/sub/1 units/a/one; chown 21001 units/a/sub/2",
      volume.path());
  ASSERT_EQ(ran.exit_code, 0) << ran.out;
}

void furnish_git(MountedVolume& volume) {
  furnish(volume);
  make_repository(volume.at("repo"));
  git(volume.at("repo"), "worktree add -q ../units/wt -b side");
}

std::function<bool(MountedVolume&)> asks(const std::string& arguments) {
  return [arguments](MountedVolume& volume) { return volume.ebbctl(arguments).exit_code == 0; };
}

// A lock whose owner was killed, and nobody lives who might have sent it.
std::function<void(MountedVolume&)> orphan(const std::string& take) {
  return [take](MountedVolume& volume) {
    furnish(volume);
    const Ran ran =
        shell("setsid --fork bash -c 'sleep 0.2; " + take + "; kill -9 $$'", volume.path());
    ASSERT_EQ(ran.exit_code, 0) << ran.out;
    ASSERT_TRUE(eventually([&] { return exists(volume.at("locks/l")); }, std::chrono::seconds(5)));
  };
}

// What git writes has times in it, and where the volume is.
std::string without_git_contents(const std::string& picture) {
  static const std::regex kRepository("repo(?!/.git/worktrees)[^\\n]*\\n");
  static const std::regex kContents("(size=)[^\\n]*");
  return std::regex_replace(std::regex_replace(picture, kRepository, ""), kContents, "$1?");
}

bool trash_is_empty(MountedVolume& volume) { return volume.json("status")["trash"]["units"] == 0; }

const Operation kService[] = {
    {.name = "Pin", .prepare = furnish, .act = asks("pin units/a")},
    {.name = "Unpin",
     .prepare =
         [](MountedVolume& volume) {
           furnish(volume);
           ASSERT_TRUE(asks("pin units/a")(volume));
         },
     .act = asks("unpin units/a")},
    {.name = "QuotaSet",
     .prepare = furnish,
     .act = asks("quota set unit:units/a --bytes 1MiB --inodes 100")},
    {.name = "QuotaClear",
     .prepare =
         [](MountedVolume& volume) {
           furnish(volume);
           ASSERT_TRUE(asks("quota set unit:units/a --bytes 1MiB")(volume));
         },
     .act = asks("quota clear unit:units/a")},
    {.name = "Expire", .prepare = furnish, .act = asks("expire units/a")},
    {.name = "ExpireWithGitEntry",
     .prepare = furnish_git,
     .act = asks("expire units/wt"),
     .forgive = without_git_contents},
    {.name = "ExpireAndPurge",
     .prepare = furnish,
     .act = asks("expire units/a"),
     .ended = trash_is_empty,
     .policy = kShortPolicy},
    {.name = "ExpireWithGitEntryAndPurge",
     .prepare = furnish_git,
     .act = asks("expire units/wt"),
     .ended = trash_is_empty,
     .forgive = without_git_contents,
     .policy = kShortPolicy},
    {.name = "ReclaimLock",
     .prepare = orphan(": >locks/l"),
     .act = asks("expire locks/l"),
     .lock = "locks/l"},
    {.name = "ReclaimLockDirectory",
     .prepare = orphan("mkdir locks/l"),
     .act = asks("expire locks/l"),
     .ended = trash_is_empty,
     .lock = "locks/l"},
};

std::string name_of(const testing::TestParamInfo<Operation>& info) { return info.param.name; }

class KilledServing : public testing::TestWithParam<Operation> {
 protected:
  void SetUp() override {
    const auto why = MountedVolume::cannot_run("tmpfs");
    if (why) GTEST_SKIP() << *why;
  }
};

TEST_P(KilledServing, AnyGapIsDoneOrUndone) { EXPECT_GT(walk(GetParam()), 0U); }
INSTANTIATE_TEST_SUITE_P(Service, KilledServing, testing::ValuesIn(kService), name_of);

// Dies one change later at each start, until one comes through and all is counted.
class KilledStarting : public testing::Test {
 protected:
  void SetUp() override {
    const auto why = MountedVolume::cannot_run("tmpfs");
    if (why) GTEST_SKIP() << *why;
    VolumeOptions options;
    options.policy = kCrashPolicy;
    options.program = "ebbfs-crash";
    options.launcher = switch_.launcher();
    volume_.emplace(options);
  }
  std::uint32_t walk_starts() {
    constexpr std::uint32_t kMax = 200;
    for (std::uint32_t gap = 0; gap < kMax; ++gap) {
      switch_.arm(gap);
      const bool through = comes_through();
      std::printf("  start %3u  %s\n", gap, switch_.gap(gap).c_str());
      switch_.disarm();
      if (through) return gap;
      volume_->kill_daemon();
    }
    return kMax;
  }
  bool comes_through() {
    try {
      volume_->mount();
    } catch (const std::runtime_error& error) {
      EXPECT_TRUE(switch_.fired()) << error.what();
      return false;
    }
    const auto settled = [&] {
      return switch_.fired() || volume_->json("status").value("provisional", true) == false;
    };
    return eventually(settled, std::chrono::seconds(20)) && !switch_.fired();
  }

  KillSwitch switch_{"/tmp/ebbfs-crash-board." + std::to_string(::getpid())};
  std::optional<MountedVolume> volume_;
};

TEST_F(KilledStarting, AdoptsAllTheSame) {
  volume_->unmount();
  const Ran ran = shell(
      "set -e; rm -rf .ebbfs; mkdir -p units/a units/b locks plain; echo a >units/a/f\n"
      "echo l >locks/l; ln -s x locks/s; head -c 9000 /dev/zero >plain/f",
      volume_->path());
  ASSERT_EQ(ran.exit_code, 0) << ran.out;
  EXPECT_GT(walk_starts(), 5U);
  EXPECT_EQ(wrong_charges(*volume_), "");
  EXPECT_EQ(volume_->units().size(), 2U);
  EXPECT_EQ(volume_->locks().size(), 2U);
}

TEST_F(KilledStarting, RecoversAllTheSame) {
  furnish(*volume_);
  ASSERT_EQ(shell("mkdir locks/left", volume_->path()).exit_code, 0);
  const UniqueFd held(::open(volume_->at("locks/held").c_str(), O_CREAT | O_EXCL | O_RDWR, 0644));
  ASSERT_TRUE(asks("pin units/b")(*volume_));
  ASSERT_TRUE(asks("expire units/a")(*volume_));
  const std::string before = picture_of(*volume_);
  volume_->kill_daemon();
  EXPECT_GT(walk_starts(), 1U);
  EXPECT_EQ(wrong_charges(*volume_), "");
  EXPECT_EQ(without_owner(picture_of(*volume_), "locks/left"), without_owner(before, "locks/left"));
}

TEST_F(KilledStarting, StopsAllTheSame) {
  for (std::uint32_t gap = 0; gap < 100; ++gap) {
    ASSERT_EQ(shell("mkdir -p units/u; echo x >>units/u/f", volume_->path()).exit_code, 0);
    const std::string before = picture_of(*volume_);
    switch_.arm(gap);
    ASSERT_EQ(::kill(volume_->daemon(), SIGTERM), 0);
    EXPECT_TRUE(eventually([&] { return volume_->ended(); }, std::chrono::seconds(20)));
    const bool died = switch_.fired();
    std::printf("  stop %3u  %s\n", gap, switch_.gap(gap).c_str());
    switch_.disarm();
    volume_->kill_daemon();
    volume_->mount();
    EXPECT_TRUE(exact_soon(*volume_));
    EXPECT_EQ(wrong_charges(*volume_), "");
    EXPECT_EQ(picture_of(*volume_), before);
    if (!died) return;
  }
  ADD_FAILURE() << "it never stopped";
}

}  // namespace
}  // namespace ebbfs::test
