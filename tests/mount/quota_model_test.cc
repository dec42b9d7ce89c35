// SPDX-License-Identifier: Apache-2.0
//
// Quotas against a model: every way to grow, shrink and move, by several users, under limits that
// come and go. One thread is checked after each step; many are checked against their limits while
// they run, and against a fresh count when they are done. Longer on demand:
//   EBBFS_QUOTA_SEED=N   replays a run
//   EBBFS_QUOTA_STEPS=N  steps of the single thread, and of each of the many
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>

#include "tests/mount/quota_scopes.h"
#include "tests/mount/quota_steps.h"
#include "tests/mount/random_session.h"
#include "tests/support/each_filesystem.h"
#include "tools/control_client.h"

namespace ebbfs::test {
namespace {

using namespace std::chrono_literals;

class QuotaModelTest : public OnVolume, public testing::WithParamInterface<Ground> {
 protected:
  void SetUp() override {
    mount({.filesystem = GetParam().filesystem, .size = "1G", .policy = kScopesPolicy});
    seed_ = from_environment("EBBFS_QUOTA_SEED", std::random_device()());
    std::printf("EBBFS_QUOTA_SEED=%u\n", seed_);
  }
  // Trash is charged and not to be seen.
  void TearDown() override {}
  unsigned seed_ = 0;
};
INSTANTIATE_TEST_SUITE_P(, QuotaModelTest, testing::ValuesIn(kFilesystems), ground_name);

TEST_P(QuotaModelTest, AgreesAfterEachStep) {
  const unsigned long steps = from_environment("EBBFS_QUOTA_STEPS", 2500);
  {
    QuotaSteps session(volume_->path(), seed_);
    for (unsigned long step = 0; step < steps; ++step) {
      ASSERT_TRUE(session.step()) << "seed " << seed_ << ", step " << step << "\n" << session.why();
      if (step % 250 != 0) continue;
      ByScope counted = count_tree(volume_->path());
      ByScope want = session.model().usage();
      // What has no name is in no tree.
      if (session.model().only_named()) {
        counted["volume"].bytes += session.model().trash.bytes;
        counted["volume"].inodes += session.model().trash.inodes;
        ASSERT_EQ(want, counted) << "the model is wrong:\n" << difference(want, counted);
      }
    }
    const auto& seen = session.outcomes();
    const auto often = [&](int outcome) { return seen.contains(outcome) ? seen.at(outcome) : 0; };
    std::printf("done %d, EDQUOT %d, ENOSPC %d, EXDEV %d\n", often(0), often(EDQUOT), often(ENOSPC),
                often(EXDEV));
    EXPECT_GT(often(0), static_cast<int>(steps / 4));
    EXPECT_GT(often(EDQUOT), static_cast<int>(steps / 100));
    EXPECT_GT(often(ENOSPC), 0);
  }
}

// Of many at once: who works, what is sampled meanwhile.
class Crowd {
 public:
  Crowd(const std::string& root, unsigned seed, unsigned long steps) : root_(root), random_(seed) {
    for (unsigned i = 0; i < 4; ++i) {
      const pid_t worker = ::fork();
      if (worker == 0) {
        (void)run_random_session(root, seed + i * 104729, static_cast<int>(steps));
        ::_exit(0);
      }
      workers_.push_back(worker);
    }
  }
  // Whether some still work.
  [[nodiscard]] bool at_work() {
    std::erase_if(workers_,
                  [](pid_t worker) { return ::waitpid(worker, nullptr, WNOHANG) == worker; });
    return !workers_.empty();
  }
  void expire_one() {
    const auto rows = told_rows(root_);
    std::vector<std::string> units;
    for (const auto& [scope, row] : rows) {
      if (scope.starts_with("unit:") && !scope.ends_with("*")) units.push_back(scope.substr(5));
    }
    if (units.empty()) return;
    ControlRequest request;
    request.command = command::kExpire;
    request.path = units[random_() % units.size()];
    const ControlReply reply = ask(root_, request);
    if (reply.exit_code != kExitDone) return;
    ++expired;
  }
  // What is there still: it goes as the volume fills.
  [[nodiscard]] Counted trash() const {
    ControlRequest request;
    request.command = command::kTrashList;
    const ControlReply reply = ask(root_, request);
    return {.bytes = reply.body["bytes"], .inodes = reply.body["inodes"]};
  }
  int expired = 0;

 private:
  const std::string root_;
  std::mt19937 random_;
  std::vector<pid_t> workers_;
};

TEST_P(QuotaModelTest, IsNeverPassedByManyAndEqualsAFreshCountAfterwards) {
  for (const char* dir : {"plain", "units", "other", "locks"}) {
    ASSERT_EQ(::mkdir(at(dir).c_str(), 0755), 0);
    ASSERT_EQ(::chmod(at(dir).c_str(), 0777), 0);
  }
  for (const char* arguments :
       {"set volume --bytes 40M --inodes 400", "set class:tree --bytes 3M --inodes 90",
        "set class:work --bytes 2M --inodes 60", "set user:21001 --bytes 4M --inodes 120",
        "set group:21002 --bytes 4M", "default unit --bytes 700K --inodes 25",
        "default job --bytes 1M --inodes 30"}) {
    ASSERT_EQ(volume_->ebbctl(std::string("quota ") + arguments).exit_code, 0) << arguments;
  }
  Crowd crowd(volume_->path(), seed_, from_environment("EBBFS_QUOTA_STEPS", 6000));
  unsigned long samples = 0;
  std::int64_t refusals_seen = 0;
  while (crowd.at_work()) {
    for (const auto& [scope, row] : told_rows(volume_->path())) {
      if (scope == "user:21002") continue;  // its limit comes and goes
      EXPECT_LE(row.used.bytes, row.hard.bytes) << scope << ", seed " << seed_;
      EXPECT_LE(row.used.inodes, row.hard.inodes) << scope << ", seed " << seed_;
      if (row.used.bytes >= row.hard.bytes / 10 * 9) ++refusals_seen;
    }
    ++samples;
    if (samples % 10 == 0) crowd.expire_one();
    if (samples % 40 == 0) (void)volume_->ebbctl("quota set user:21002 --bytes 300K");
    if (samples % 40 == 20) (void)volume_->ebbctl("quota clear user:21002");
  }
  std::printf("%lu samples, %d expired, a limit nearly reached in %ld\n", samples, crowd.expired,
              static_cast<long>(refusals_seen));
  EXPECT_GT(refusals_seen, 0);
  const auto counted = [&] {
    ByScope scopes = count_tree(volume_->path());
    const Counted trash = crowd.trash();
    scopes["volume"].bytes += trash.bytes;
    scopes["volume"].inodes += trash.inodes;
    return scopes;
  };
  EXPECT_TRUE(eventually([&] { return told(volume_->path()) == counted(); }, 10s))
      << "seed " << seed_ << "\n"
      << difference(told(volume_->path()), counted());
}

}  // namespace
}  // namespace ebbfs::test
