// SPDX-License-Identifier: Apache-2.0
//
// A volume that filled up before there was ebbfs, as in the incident that it answers: worktrees and
// lockfiles that nobody cleaned up. A part of it here; EBBFS_INCIDENT=full makes all 2,306
// worktrees and 11,847 locks. What it measures is printed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/support/each_filesystem.h"
#include "tests/support/git.h"

namespace ebbfs::test {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

struct Size {
  int worktrees;
  int locks;
  std::chrono::seconds grace;
};

Size size() {
  const char* wanted = std::getenv("EBBFS_INCIDENT");
  if (wanted != nullptr && std::string(wanted) == "full") return {2306, 11847, 60s};
  return {230, 1200, 6s};
}

std::string policy() {
  return "[volume]\nadopt_grace = \"" + std::to_string(size().grace.count()) +
         "s\"\ntrash_retention = \"1s\"\nbrake_units = 100000\n"
         "[[class]]\nname = \"worktree\"\nkind = \"tree\"\nmatch = [\"worktrees/*\"]\nttl = "
         "\"1s\"\n"
         "[[class]]\nname = \"lock\"\nkind = \"lock\"\nmatch = [\"locks/**\"]\nttl = \"1s\"\n";
}

class Adoption : public OnVolume {
 protected:
  void SetUp() override {
    mount({.size = "1G", .policy = policy()});
    if (IsSkipped()) return;
    volume_->unmount();
    const Size incident = size();
    const Ran made = shell(
        "rm -rf .ebbfs && mkdir worktrees locks && git init -q repo && cd repo && "
        "git config user.email a@b.c && git config user.name n && "
        "for i in $(seq 40); do echo $i >file$i; done && git add . && git commit -qm one && "
        "for i in 1 2 3; do git worktree add -q ../worktrees/git$i -b branch$i; done && cd .. && "
        "for i in $(seq " +
            std::to_string(incident.worktrees - 3) +
            "); do mkdir -p worktrees/w$i/src; for f in a b src/c src/d; do echo $i "
            ">worktrees/w$i/$f; "
            "done; done && cd locks && for i in $(seq " +
            std::to_string(incident.locks) + "); do echo 999999 >job$i.lock; done",
        volume_->path());
    ASSERT_EQ(made.exit_code, 0) << made.out;
  }
  [[nodiscard]] int count_in(const std::string& directory) const {
    return std::stoi(shell("ls " + directory + " | wc -l", volume_->path()).out);
  }
  static double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  }
};

TEST_F(Adoption, OfTheIncidentIsUsableAtOnceExactSoonAndCleansUpWhenItsTimeComes) {
  const Size incident = size();
  const auto start = Clock::now();
  volume_->mount();
  std::printf("[ measured ] mounted after %.2f s\n", seconds_since(start));
  put(at("usable"), "at once");
  EXPECT_EQ(get(at("worktrees/w7/src/c")), "7\n");
  const auto first = volume_->json("status");
  EXPECT_FALSE(first["adoption"]["started"].is_null());

  std::int64_t entries = 0;
  ASSERT_TRUE(eventually(
      [&] {
        const auto status = volume_->json("status");
        EXPECT_GE(status["adoption"]["entries"].get<std::int64_t>(), entries) << "progress";
        entries = status["adoption"]["entries"];
        return !status["provisional"].get<bool>();
      },
      60s));
  std::printf("[ measured ] exact after %.2f s, %lld entries\n", seconds_since(start),
              static_cast<long long>(entries));
  EXPECT_TRUE(volume_->counts_right());
  EXPECT_EQ(volume_->json("units")["total"], incident.worktrees);
  EXPECT_GE(volume_->json("locks")["total"], incident.locks);
  EXPECT_FALSE(volume_->json("status")["enforcing"].is_null());

  while (seconds_since(start) + 1 < static_cast<double>(incident.grace.count())) {
    ASSERT_EQ(count_in("worktrees"), incident.worktrees) << "in the grace";
    ASSERT_EQ(count_in("locks"), incident.locks) << "in the grace";
  }
  EXPECT_TRUE(eventually([&] { return count_in("worktrees") == 0 && count_in("locks") == 0; }, 90s))
      << count_in("worktrees") << " worktrees, " << count_in("locks") << " locks";
  std::printf("[ measured ] all of it gone %.2f s after the grace\n",
              seconds_since(start) - static_cast<double>(incident.grace.count()));
  EXPECT_EQ(shell("git worktree list | wc -l", at("repo")).out, "1\n");
  EXPECT_EQ(get(at("usable")), "at once");
  EXPECT_TRUE(eventually([&] { return volume_->json("status")["trash"]["units"] == 0; }, 90s));

  volume_->unmount();
  EXPECT_EQ(shell("$EBBFS_BIN_DIR/ebbfs --forget --yes " + volume_->path()).exit_code, 0);
  EXPECT_THAT(names_in(volume_->path()),
              testing::ElementsAre("locks", "repo", "usable", "worktrees"));
  volume_->mount();
}

}  // namespace
}  // namespace ebbfs::test
