// SPDX-License-Identifier: Apache-2.0
//
// kill -9 at random instants under a mixed load. EBBFS_CRASH_ROUNDS: how often; EBBFS_CRASH_SEED:
// of an earlier run, whose requests and delays then are the same (not the instants to the
// microsecond).
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <random>
#include <thread>
#include <vector>

#include "tests/crash/ground.h"
#include "tests/crash/observed.h"
#include "tests/crash/workload.h"
#include "tests/support/child.h"
#include "tests/support/each_filesystem.h"

namespace ebbfs::test {
namespace {

using namespace std::chrono_literals;

constexpr pid_t kRight = 1;
constexpr pid_t kWrong = 2;

using MakeWorker = std::unique_ptr<Worker> (*)(const std::string&, const std::string&);

// Verifies, says so, works until the mount is dead, says so, waits: for ever.
int live(const ChildProcess::Talk& talk, MakeWorker make, const std::string& root,
         const std::string& name, unsigned seed) {
  std::mt19937 random(seed);
  const auto worker = make(root, name);
  for (;;) {
    const std::string wrong = worker->verify();
    if (!wrong.empty()) std::fprintf(stderr, "worker %s: %s\n", name.c_str(), wrong.c_str());
    talk.tell(wrong.empty() ? kRight : kWrong);
    while (worker->step(random)) {
    }
    talk.tell(kRight);
    talk.wait();
  }
}

class RandomKill : public OnVolume {
 protected:
  void SetUp() override {
    mount({.policy = crash_policy(
               {.retention = "1s", .orphan_grace = "1s", .lock_ttl = "2s", .short_ttl = "1s"})});
    if (IsSkipped()) return;
    for (const char* name : {"units", "other", "short", "plain", "locks"}) {
      ASSERT_EQ(::mkdir(at(name).c_str(), 0755), 0);
    }
    ASSERT_EQ(::mkdir(at("short/pinned").c_str(), 0755), 0);
    put(at("short/pinned/f"), pattern(5000));
    ASSERT_EQ(volume_->ebbctl("pin short/pinned").exit_code, 0);
  }
  // Units that go by themselves: wholly there or not at all.
  void check_husks() {
    for (const std::string& husk : names_in(at("short"))) {
      if (husk == "pinned") continue;
      unsigned files = 0;
      for_each_below(at("short/" + husk), "", [&](const auto&, const auto&) { ++files; });
      const bool gone = !exists(at("short/" + husk));
      EXPECT_TRUE(gone || files == 3) << husk << " has lost files: " << files << " are left";
    }
    EXPECT_TRUE(exists(at("short/pinned/f")));
  }
  void make_husk(unsigned round) {
    const std::string husk = at("short/h" + std::to_string(round));
    ASSERT_EQ(::mkdir(husk.c_str(), 0755), 0);
    for (const char* name : {"/1", "/2", "/3"}) put(husk + name, pattern(3000));
  }
};

TEST_F(RandomKill, LosesNothingThatWasAcknowledged) {
  const unsigned rounds = from_environment("EBBFS_CRASH_ROUNDS", 200);
  const unsigned seed = from_environment("EBBFS_CRASH_SEED", std::random_device()());
  std::printf("  seed %u, %u rounds\n", seed, rounds);
  std::mt19937 random(seed);
  std::vector<std::unique_ptr<ChildProcess>> workers;
  const MakeWorker kinds[] = {file_worker, names_worker, names_worker, lock_worker, git_worker};
  for (const MakeWorker make : kinds) {
    const std::string name = "w" + std::to_string(workers.size());
    const unsigned own = seed + static_cast<unsigned>(workers.size());
    workers.push_back(std::make_unique<ChildProcess>([&, make, name, own](const auto& talk) {
      return live(talk, make, volume_->path(), name, own);
    }));
  }
  for (unsigned round = 0; round < rounds && !HasFailure(); ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed) + ", round " + std::to_string(round));
    for (const auto& worker : workers) {
      EXPECT_EQ(worker->hear(), kRight) << "what a worker was promised does not hold";
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 100'000));
    volume_->leave_dead_mount();
    for (const auto& worker : workers) (void)worker->hear();
    volume_->mount();
    EXPECT_TRUE(exact_soon(*volume_));
    EXPECT_EQ(wrong_charges(*volume_), "") << volume_->units().dump(1);
    check_husks();
    make_husk(round);
    for (const auto& worker : workers) worker->go_on();
  }
  for (const auto& worker : workers) EXPECT_EQ(worker->hear(), kRight);
  EXPECT_EQ(volume_->hung(), 0) << "a killed daemon had to be freed by an abort";
  workers.clear();
  // With their owners, and what killed processes had left behind before.
  EXPECT_TRUE(eventually([&] { return names_in(at("locks")).empty(); }, 15s))
      << volume_->locks().dump(1);
  EXPECT_TRUE(eventually([&] { return names_in(at("short")).size() == 1; }, 15s));
}

}  // namespace
}  // namespace ebbfs::test
