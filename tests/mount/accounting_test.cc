// SPDX-License-Identifier: Apache-2.0
//
// Usage as ebbfs counts it against what find counts: after single operations, after a long random
// session of two users, after a restart and after the daemon was killed.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <random>

#include "tests/mount/random_session.h"
#include "tests/support/each_filesystem.h"

namespace ebbfs::test {
namespace {

using namespace std::chrono_literals;

constexpr const char* kUnitsAndLocksPolicy = R"(
[[class]]
name = "tree"
kind = "tree"
match = ["units/*", "other/*"]
ttl = "24h"
[[class]]
name = "lock"
kind = "lock"
match = ["locks/**"]
ttl = "1h"
orphan_grace = "1h"
)";

class Accounting : public OnVolume {
 protected:
  void SetUp() override {
    mount({.policy = kUnitsAndLocksPolicy});
    if (IsSkipped()) return;
    for (const char* dir : {"units", "other", "locks", "plain"}) {
      ASSERT_EQ(::mkdir(at(dir).c_str(), 0755), 0);
      ASSERT_EQ(::chmod(at(dir).c_str(), 0777), 0);
    }
  }
  [[nodiscard]] Counted unit(const std::string& path) const {
    for (const auto& each : volume_->units()) {
      if (each["path"] == path) return {.bytes = each["bytes"], .inodes = each["inodes"]};
    }
    return {.bytes = -1, .inodes = -1};
  }
  void make(const std::string& commands) {
    const Ran ran = shell("set -e\n" + commands, volume_->path());
    ASSERT_EQ(ran.exit_code, 0) << commands << "\n" << ran.out;
  }
};

TEST_F(Accounting, OfAUnitIncludesItsTopAndRoundsFilesUp) {
  make(
      "mkdir -p units/a/sub; head -c 1 /dev/zero >units/a/f; head -c 4097 /dev/zero >units/a/g;"
      "ln -s f units/a/l; ln units/a/f units/a/h");
  EXPECT_EQ(unit("units/a"), (Counted{.bytes = 4096 + 8192, .inodes = 5}));
}

TEST_F(Accounting, ASparseFileIsChargedByItsSize) {
  make("mkdir units/a; truncate -s 1G units/a/f");
  EXPECT_EQ(unit("units/a"), (Counted{.bytes = 1 << 30, .inodes = 2}));
}

TEST_F(Accounting, MovesWithARenameBetweenUnitsOutOfThemAndIn) {
  make("mkdir -p units/a/sub units/b; head -c 10000 /dev/zero >units/a/sub/f");
  make("mv units/a/sub units/b/");
  EXPECT_EQ(unit("units/a"), (Counted{.bytes = 0, .inodes = 1}));
  EXPECT_EQ(unit("units/b"), (Counted{.bytes = 12288, .inodes = 3}));
  make("mv units/b/sub plain/");
  EXPECT_EQ(unit("units/b"), (Counted{.bytes = 0, .inodes = 1}));
  make("mv plain/sub units/a/");
  EXPECT_EQ(unit("units/a"), (Counted{.bytes = 12288, .inodes = 3}));
  make("mv units/a units/c");
  EXPECT_EQ(unit("units/c"), (Counted{.bytes = 12288, .inodes = 3}));
  make("mv units/c plain/c");
  EXPECT_EQ(unit("units/c").inodes, -1);
  make("mv plain/c other/d");
  EXPECT_EQ(unit("other/d"), (Counted{.bytes = 12288, .inodes = 3}));
}

TEST_F(Accounting, IsAsBeforeWhenARenameOntoAUnitIsRefused) {
  make(
      "mkdir units/a plain/d; for f in units/a/f plain/d/f plain/f; do head -c 5000 /dev/zero >$f; "
      "done");
  const Counted before = volume_->charged();
  EXPECT_EQ(errno_of(::rename(at("plain/d").c_str(), at("units/a").c_str())), ENOTEMPTY);
  EXPECT_EQ(errno_of(::rename(at("plain/f").c_str(), at("units/a").c_str())), EISDIR);
  EXPECT_EQ(volume_->charged(), before);
  EXPECT_EQ(unit("units/a"), (Counted{.bytes = 8192, .inodes = 2}));
}

TEST_F(Accounting, ThingsOfDifferentUnitsDoNotChangePlaces) {
  make("mkdir -p units/a/sub units/b; head -c 10000 /dev/zero >units/a/sub/f; touch units/b/g");
  const auto exchange = [&](const char* one, const char* other) {
    return errno_of(
        ::renameat2(AT_FDCWD, at(one).c_str(), AT_FDCWD, at(other).c_str(), RENAME_EXCHANGE));
  };
  EXPECT_EQ(exchange("units/a/sub", "units/b/g"), EXDEV);
  EXPECT_EQ(exchange("units/a/sub/f", "plain"), EXDEV);
  EXPECT_EQ(exchange("units/a", "units/b"), 0);
  EXPECT_EQ(unit("units/a"), (Counted{.bytes = 0, .inodes = 2}));
  EXPECT_EQ(unit("units/b"), (Counted{.bytes = 12288, .inodes = 3}));
}

TEST_F(Accounting, AFileWithTwoNamesStaysInItsUnit) {
  make("mkdir units/a units/b; echo x >units/a/f; ln units/a/f units/a/g");
  EXPECT_EQ(errno_of(::link(at("units/a/f").c_str(), at("units/b/f").c_str())), EXDEV);
  EXPECT_EQ(errno_of(::link(at("units/a/f").c_str(), at("plain/f").c_str())), EXDEV);
  EXPECT_EQ(errno_of(::rename(at("units/a/f").c_str(), at("units/b/f").c_str())), EXDEV);
  EXPECT_EQ(errno_of(::rename(at("units/a/f").c_str(), at("plain/f").c_str())), EXDEV);
  EXPECT_EQ(::rename(at("units/a/g").c_str(), at("units/a/h").c_str()), 0);
}

TEST_F(Accounting, OfUsersFollowsOwnersThroughUnits) {
  make("mkdir units/a; chmod 777 units/a");
  ASSERT_EQ(as(alice(),
               [&] {
                 put(at("units/a/f"), pattern(5000));
                 return 0;
               }),
            0);
  EXPECT_EQ(volume_->charged(kAlice), (Counted{.bytes = 8192, .inodes = 1}));
  ASSERT_EQ(::chown(at("units/a/f").c_str(), kBob, kBob), 0);
  EXPECT_EQ(volume_->charged(kAlice), Counted{});
  EXPECT_EQ(volume_->charged(kBob), (Counted{.bytes = 8192, .inodes = 1}));
}

TEST_F(Accounting, EqualsFindAfterARandomSessionOfTwoUsers) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  EXPECT_TRUE(run_random_session(volume_->path(), seed, 3000));
  EXPECT_TRUE(volume_->counts_right());
  for (const auto& each : volume_->units()) {
    EXPECT_EQ(unit(each["path"]), volume_->count(each["path"])) << each["path"];
  }
}

TEST_F(Accounting, IsTheSameAfterACleanRemountWithUnitsOwnersAndAges) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  EXPECT_TRUE(run_random_session(volume_->path(), seed, 500));
  EXPECT_TRUE(volume_->counts_right());
  const nlohmann::json before = volume_->units();
  const Counted charged = volume_->charged();
  volume_->unmount();
  volume_->mount();
  EXPECT_EQ(volume_->units(), before);
  EXPECT_EQ(volume_->charged(), charged);
  EXPECT_TRUE(volume_->counts_right());
}

TEST_F(Accounting, IsCountedAgainAfterAKill) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  for (unsigned round = 0; round < 3; ++round) {
    EXPECT_TRUE(run_random_session(volume_->path(), seed + round, 400));
    const Counted real = volume_->count();
    volume_->kill_daemon();
    volume_->mount();
    EXPECT_EQ(volume_->count(), real);
    EXPECT_TRUE(volume_->counts_right()) << "round " << round;
  }
}

TEST_F(Accounting, IsRightWhenTheDaemonIsKilledInTheMiddleOfWork) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  const pid_t worker = ::fork();
  if (worker == 0) {
    (void)run_random_session(volume_->path(), seed, 1'000'000);
    ::_exit(0);
  }
  EXPECT_TRUE(eventually([&] { return volume_->count().inodes > 100; }, 20s));
  volume_->leave_dead_mount();
  ::kill(worker, SIGKILL);
  ::waitpid(worker, nullptr, 0);
  volume_->mount();
  EXPECT_TRUE(volume_->counts_right());
}

TEST_F(Accounting, OfUnitsSurvivesAKillWithTheirNamesAndOwners) {
  make("mkdir units/a units/b; echo x >units/a/f");
  put(at("locks/l"), "");  // by who lives on: the lock of a helper changes hands when that ends
  const auto identities = [&] {
    std::vector<std::string> seen;
    for (const auto& each : volume_->units()) {
      seen.push_back(each["path"].get<std::string>() + " " + each["owner"].dump() + " " +
                     each["created"].get<std::string>());
    }
    for (const auto& each : volume_->locks()) {
      seen.push_back(each["path"].get<std::string>() + " " + each["owner"].dump());
    }
    std::ranges::sort(seen);  // they come by last use, which a kill makes "now"
    return seen;
  };
  const auto before = identities();
  ASSERT_EQ(before.size(), 3U);
  volume_->kill_daemon();
  volume_->mount();
  EXPECT_EQ(identities(), before);
  EXPECT_EQ(get(at("units/a/f")), "x\n");
}

}  // namespace
}  // namespace ebbfs::test
