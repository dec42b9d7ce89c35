// SPDX-License-Identifier: Apache-2.0
//
// A volume of 64 MiB and writers that never stop: nothing that is busy, pinned, young or locked
// goes (invariants 1 and 2), no limit is passed (4), locks and removal work at 100 % (6), and the
// writers get on. EBBFS_TORTURE_SEED: of an earlier run; EBBFS_TORTURE_SECONDS: how long.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "tests/mount/torture_workers.h"
#include "tests/support/child.h"
#include "tests/support/each_filesystem.h"

namespace ebbfs::test {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr const char* kTorturePolicy = R"(
[volume]
adopt_grace = "0s"
[[class]]
name = "worktree"
kind = "tree"
match = ["worktrees/*"]
ttl = "24h"
keep = "500ms"
[[class]]
name = "lock"
kind = "lock"
match = ["locks/**"]
orphan_grace = "1s"
ttl = "1h"
[[quota]]
scope = "unit:worktrees/limited"
bytes = "2MiB"
)";
// The second that is promised after the grace, and one for a machine that is busy.
constexpr auto kOrphanGoes = 1s + 1s + 1s;
constexpr std::int64_t kVolume = 64 << 20;

class Torture : public OnVolume, public testing::WithParamInterface<Ground> {
 protected:
  void SetUp() override {
    mount({.filesystem = GetParam().filesystem, .size = "64M", .policy = kTorturePolicy});
    if (IsSkipped()) return;
    for (const char* dir : {"worktrees", "locks"}) ASSERT_EQ(::mkdir(at(dir).c_str(), 0755), 0);
    for (const std::string& unit : kept_) {
      ASSERT_EQ(::mkdir(at("worktrees/" + unit).c_str(), 0755), 0);
      put(at("worktrees/" + unit + "/file"), pattern(200'000));
    }
    ASSERT_EQ(volume_->ebbctl("pin worktrees/pinned").exit_code, 0);
    ASSERT_EQ(volume_->ebbctl("pin worktrees/limited").exit_code, 0);
  }
  void TearDown() override {
    processes_.clear();
    writers_.clear();
    OnVolume::TearDown();
  }

  void run(const std::function<void()>& work) {
    processes_.push_back(std::make_unique<ChildProcess>([&](const ChildProcess::Talk&) -> int {
      work();
      return 0;
    }));
  }
  [[nodiscard]] std::unique_ptr<ChildProcess> writer(int number) {
    return std::make_unique<ChildProcess>([&](const ChildProcess::Talk&) -> int {
      write_for_ever(volume_->path(), board_, number, seed_ + static_cast<unsigned>(number));
    });
  }
  // Holds the unit by what `take` does, for ever.
  void hold(const std::function<int()>& take) {
    processes_.push_back(std::make_unique<ChildProcess>([&](const ChildProcess::Talk& talk) -> int {
      talk.tell(take());
      talk.wait_for_ever();
    }));
    ASSERT_EQ(processes_.back()->hear(), 0);
  }
  void start_all() {
    hold([&] { return errno_of(::chdir(at("worktrees/inside").c_str())); });
    hold([&] { return errno_of(::open(at("worktrees/open/file").c_str(), O_RDONLY)); });
    run([&] { lock_for_ever(volume_->path(), board_); });
    run([&] { hog_for_ever(volume_->path(), board_); });
    run([&] { reach_limit_for_ever(volume_->path(), board_); });
    for (int number = 0; number < kWriters; ++number) writers_.push_back(writer(number));
  }

  // kill -9 for one writer; another takes its place.
  void kill_one(std::mt19937& random) {
    const int number = static_cast<int>(random() % kWriters);
    auto& process = writers_[static_cast<std::size_t>(number)];
    process->kill();
    const int n = board_.writers.at(static_cast<std::size_t>(number)).n;
    orphans_.push_back({.path = at("locks/" + torture_name(number, n)), .since = Clock::now()});
    process = writer(number);
    ++kills_;
  }
  void look_at_orphans() {
    std::erase_if(orphans_, [](const Orphan& orphan) {
      const bool gone = !exists(orphan.path);
      EXPECT_TRUE(gone || Clock::now() - orphan.since < kOrphanGoes)
          << orphan.path << " outlives its killed owner";
      return gone || HasFailure();
    });
  }
  void look_at_what_is_kept() const {
    for (const std::string& unit : kept_) {
      EXPECT_TRUE(exists(at("worktrees/" + unit + "/file")) || unit == "limited") << unit;
      EXPECT_TRUE(exists(at("worktrees/" + unit))) << unit;
    }
  }
  void look_at_limits() {
    const nlohmann::json list = volume_->json("quota list")["quotas"];
    for (const auto& quota : list) {
      const auto& bytes = quota["bytes"];
      if (!bytes["hard"].is_number()) continue;
      ++limits_seen_;
      EXPECT_LE(bytes["used"].get<std::int64_t>(), bytes["hard"].get<std::int64_t>()) << quota;
    }
  }

  struct Orphan {
    std::string path;
    Clock::time_point since;
  };
  const std::vector<std::string> kept_ = {"pinned", "inside", "open", "limited"};
  const unsigned seed_ = from_environment("EBBFS_TORTURE_SEED", std::random_device()());
  TortureBoard& board_ = TortureBoard::make();
  std::vector<std::unique_ptr<ChildProcess>> processes_;
  std::vector<std::unique_ptr<ChildProcess>> writers_;
  std::vector<Orphan> orphans_;
  int kills_ = 0;
  int limits_seen_ = 0;
};
INSTANTIATE_TEST_SUITE_P(, Torture, testing::Values(kFilesystems[0], kFilesystems[1]), ground_name);

TEST_P(Torture, TakesNothingThatLivesPassesNoLimitAndLetsEverybodyGetOn) {
  std::printf("  seed %u\n", seed_);
  std::mt19937 random(seed_);
  start_all();
  const auto end =
      Clock::now() + std::chrono::seconds(from_environment("EBBFS_TORTURE_SECONDS", 15));
  auto next_kill = Clock::now() + 200ms;
  while (Clock::now() < end && !HasFailure()) {
    look_at_what_is_kept();
    look_at_limits();
    look_at_orphans();
    if (Clock::now() >= next_kill) {
      kill_one(random);
      next_kill = Clock::now() + std::chrono::milliseconds(100 + random() % 400);
    }
    EXPECT_EQ(board_.wrong, 0);
    std::this_thread::sleep_for(10ms);
  }
  if (HasFailure()) return;
  std::int64_t bytes = 0;
  for (const auto& each : board_.writers) {
    EXPECT_GT(each.units, 3);
    bytes += each.bytes;
  }
  std::printf("  %.0f MiB written, %d kills, %d lock cycles (%d while full), ENOSPC %d times\n",
              static_cast<double>(bytes) / (1 << 20), kills_, board_.lock_cycles.load(),
              board_.locks_at_full.load(), board_.full.load());
  EXPECT_GT(bytes, kVolume) << "writers do not get on";
  EXPECT_GT(board_.full, 0);
  EXPECT_GT(board_.locks_at_full, 0);
  EXPECT_GT(board_.met_limit, 0);
  EXPECT_GT(limits_seen_, 0);
  EXPECT_FALSE(volume_->json("events --kind evicted")["events"].empty());
  EXPECT_TRUE(eventually(
      [&] {
        look_at_orphans();
        return orphans_.empty();
      },
      kOrphanGoes));
  EXPECT_TRUE(volume_->json("status")["degraded"].empty());
}

}  // namespace
}  // namespace ebbfs::test
