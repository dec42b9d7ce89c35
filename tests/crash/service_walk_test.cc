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

using namespace std::chrono_literals;

// What is expired is deleted at once, and orphans after a second.
std::string short_times() { return crash_policy({.retention = "0s", .orphan_grace = "1s"}); }

// Enough in one unit for a deletion to take its time, and of two owners.
void furnish_more(MountedVolume& volume) {
  furnish(volume);
  run(volume,
      "for f in 1 2 3; do head -c 5000 /dev/zero >units/a/sub/$f; done\n"
      "ln units/a/sub/1 units/a/one; chown 21001 units/a/sub/2");
}

void furnish_git(MountedVolume& volume) {
  furnish(volume);
  make_repository(volume.at("repo"));
  git(volume.at("repo"), "worktree add -q ../units/wt -b side");
}

// A lock whose owner was killed, and nobody lives who might have sent it.
Prepare orphan(const std::string& take) {
  return [take](MountedVolume& volume) {
    furnish(volume);
    run(volume, "setsid --fork bash -c 'sleep 0.2; " + take + "; kill -9 $$'");
    ASSERT_TRUE(eventually([&] { return exists(volume.at("locks/l")); }, 5s));
  };
}

// What git writes has times in it, and where the volume is.
std::string without_git_contents(const std::string& picture) {
  static const std::regex kRepository("repo(?!/.git/worktrees)[^\\n]*\\n");
  static const std::regex kContents("(size=)[^\\n]*");
  return std::regex_replace(std::regex_replace(picture, kRepository, ""), kContents, "$1?");
}

void expire_more(MountedVolume& volume) {
  furnish_more(volume);
  ASSERT_TRUE(asks("expire units/a")(volume));
}

void expire_git(MountedVolume& volume) {
  furnish_git(volume);
  ASSERT_TRUE(asks("expire units/wt")(volume));
}

// What lies in short/ is in the way of a file that grows.
constexpr const char* kLimited = R"([[quota]]
scope = "volume"
bytes = "4MiB"
)";
void fill(MountedVolume& volume) {
  furnish(volume);
  run(volume, "mkdir -p short/u/d; head -c 3400000 /dev/zero >short/u/d/f; : >plain/grows");
}

bool grow(MountedVolume& volume) {
  const std::string data(900'000, 'x');
  const UniqueFd fd(::open(volume.at("plain/grows").c_str(), O_WRONLY | O_CLOEXEC));
  return ::pwrite(fd.get(), data.data(), data.size(), 0) == static_cast<ssize_t>(data.size());
}

// What makes room has to go even when the one who asked for it is not served any more.
std::string without_grown(const std::string& picture) {
  static const std::regex kGrown("plain/grows[^\\n]*\\n");
  return std::regex_replace(picture, kGrown, "");
}

bool none_short(MountedVolume& volume) {
  return names_in(volume.at("short")).empty() && volume.json("status")["trash"]["units"] == 0;
}

bool trash_is_empty(MountedVolume& volume) { return volume.json("status")["trash"]["units"] == 0; }

const Operation kService[] = {
    {.name = "Pin", .prepare = furnish_more, .act = asks("pin units/a")},
    {.name = "Unpin",
     .prepare =
         [](MountedVolume& volume) {
           furnish(volume);
           ASSERT_TRUE(asks("pin units/a")(volume));
         },
     .act = asks("unpin units/a")},
    {.name = "QuotaSet",
     .prepare = furnish_more,
     .act = asks("quota set unit:units/a --bytes 1MiB --inodes 100")},
    {.name = "QuotaClear",
     .prepare =
         [](MountedVolume& volume) {
           furnish(volume);
           ASSERT_TRUE(asks("quota set unit:units/a --bytes 1MiB")(volume));
         },
     .act = asks("quota clear unit:units/a")},
    {.name = "Expire", .prepare = furnish_more, .act = asks("expire units/a")},
    {.name = "ExpireWithGitEntry",
     .prepare = furnish_git,
     .act = asks("expire units/wt"),
     .forgive = without_git_contents},
    {.name = "ExpireAndPurge",
     .prepare = furnish_more,
     .act = asks("expire units/a"),
     .ended = trash_is_empty,
     .policy = short_times()},
    {.name = "ExpireWithGitEntryAndPurge",
     .prepare = furnish_git,
     .act = asks("expire units/wt"),
     .ended = trash_is_empty,
     .forgive = without_git_contents,
     .policy = short_times()},
    {.name = "RestoreElsewhere",
     .prepare = expire_more,
     .act = asks("restore units/a --to other/a")},
    {.name = "RestoreWithGitEntry",
     .prepare = expire_git,
     .act = asks("restore units/wt"),
     .forgive = without_git_contents},
    {.name = "EvictForSpace",
     .prepare = fill,
     .act = grow,
     .ended = none_short,
     .forgive = without_grown,
     .policy = crash_policy({.retention = "0s"}) + kLimited},
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

class KilledServing : public Crashing, public testing::WithParamInterface<Operation> {};

TEST_P(KilledServing, AnyGapIsDoneOrUndone) { EXPECT_GT(walk(GetParam()), 0U); }
INSTANTIATE_TEST_SUITE_P(Service, KilledServing, testing::ValuesIn(kService), operation_name);

// Dies one change later at each start, until one comes through and all is counted.
class KilledStarting : public Crashing {
 protected:
  void SetUp() override {
    Crashing::SetUp();
    if (IsSkipped()) return;
    volume_.emplace(killable(switch_));
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
    return eventually(settled, 20s) && !switch_.fired();
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
  furnish_more(*volume_);
  run(*volume_, "mkdir locks/left");
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
    EXPECT_TRUE(eventually([&] { return volume_->ended(); }, 20s));
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
