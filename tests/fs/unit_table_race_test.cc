// SPDX-License-Identifier: Apache-2.0
//
// What must hold of units under threads. Rounds are counted, not timed; run under TSan as well.
#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <memory>
#include <thread>
#include <vector>

#include "fs/unit_table.h"
#include "tests/fs/unit_times.h"
#include "tests/support/mem_store.h"

namespace ebbfs {
namespace {

constexpr int kUsers = 3;

// Lets commits through and looks at the unit records in them: the users of these tests leave their
// unit as empty as they entered it, so a clean record must say that it is empty.
class WatchedStore final : public Store {
 public:
  Result<std::optional<std::string>> get(Table table, std::string_view key) override {
    return below_.get(table, key);
  }
  Status scan(Table table, std::string_view from, const Visitor& visit) override {
    return below_.scan(table, from, visit);
  }
  Status commit(const Batch& batch, Durability durability) override {
    for (const Batch::Op& op : batch.ops()) {
      if (op.table != Table::units || !op.value) continue;
      const UnitRecord record = decode_unit(*op.value).value();
      dirty = record.dirty;
      if (record.dirty) continue;
      clean.fetch_add(1);
      if (!record.usage.empty()) wrong.fetch_add(1);
    }
    return below_.commit(batch, durability);
  }

  std::atomic<bool> dirty{false};  // the record stored last
  std::atomic<int> clean{0};
  std::atomic<int> wrong{0};

 private:
  MemStore below_;
};

class UnitRaceTest : public testing::Test {
 protected:
  UnitRef create() {
    UnitRecord record;
    record.path = "worktrees/a";
    record.inode = InodeId{10};
    record.class_name = "worktree";
    record.last_used = kStart;
    return units_.create(record, kNever).value();
  }
  // Runs `user` in several threads until `work` is done in this one.
  template <typename User, typename Work>
  void run(const User& user, const Work& work, int threads = kUsers) {
    std::atomic<bool> done{false};
    std::latch started(threads);
    std::vector<std::jthread> users;
    for (int i = 0; i < threads; ++i) {
      users.emplace_back([&] {
        user();
        started.count_down();
        while (!done) user();
      });
    }
    started.wait();
    work();
    done = true;
  }

  WatchedStore store_;
  std::unique_ptr<UnitIndex> index_ = UnitIndex::open(store_).value();
  UsageLedger ledger_;
  UnitTable units_{*index_, ledger_, UnitRecord{}};
};

TEST_F(UnitRaceTest, NobodyIsInsideAFrozenUnit) {
  const UnitRef unit = create();
  std::atomic<int> inside{0};
  int frozen = 0;
  run(
      [&] {
        if (!unit->try_enter()) return std::this_thread::yield();
        inside.fetch_add(1);
        std::this_thread::yield();
        inside.fetch_sub(1);
        unit->leave();
      },
      [&] {
        for (int round = 0; round < 100; ++round) {
          if (!unit->freeze(kPatience)) continue;
          ++frozen;
          for (int look = 0; look < 20; ++look) ASSERT_EQ(inside.load(), 0);
          unit->thaw();
          while (inside.load() == 0) std::this_thread::yield();
        }
      });
  EXPECT_EQ(frozen, 100) << "requests that are refused must not make a freeze fail";
}

TEST_F(UnitRaceTest, UsersOfAUnitThatFreezesAndThawsAllGetIn) {
  const UnitRef unit = create();
  std::atomic<int> refused{0};
  run(
      [&] {
        if (!units_.use(unit, kStart, true)) refused.fetch_add(1);
        std::this_thread::yield();
      },
      [&] {
        for (int round = 0; round < 300; ++round) {
          if (unit->freeze(kPatience)) unit->thaw();
          std::this_thread::yield();
        }
      });
  EXPECT_EQ(refused, 0);
}

TEST_F(UnitRaceTest, NoCleanRecordIsStoredBehindTheBackOfARequest) {
  const UnitRef unit = create();
  Cell& cell = ledger_.cell(unit->accounts(), 1000, 100);
  const Usage one{{4096}, 1};
  std::atomic<int> unmarked{0};
  // One user only: more would leave no moment to store it clean.
  run(
      [&] {
        for (int i = 0; i < 8; ++i) {
          const auto inside = units_.use(unit, kStart, true);
          ledger_.settle(cell, one);
          if (!store_.dirty) unmarked.fetch_add(1);
          ledger_.settle(cell, -one);
        }
        std::this_thread::yield();
      },
      [&] {
        while (store_.clean < 300) {
          if (units_.flush(kStart, Duration::zero(), false) == 0) std::this_thread::yield();
        }
      },
      1);
  EXPECT_EQ(store_.wrong, 0);
  EXPECT_EQ(unmarked, 0);
}

TEST_F(UnitRaceTest, ARequestThatWaitedMarksTheRecordThatWasStoredCleanMeanwhile) {
  const UnitRef unit = create();
  for (int round = 0; round < 20; ++round) {
    (void)units_.use(unit, kStart, true);  // in use, as the request below finds it
    ASSERT_TRUE(unit->freeze(kPatience));
    std::atomic<bool> asked{false};
    std::jthread request([&] {
      asked = true;
      const auto inside = units_.use(unit, kStart, true);
      EXPECT_TRUE(store_.dirty);
    });
    while (!asked) std::this_thread::yield();
    for (int i = 0; i < 10; ++i) std::this_thread::yield();  // it waits by now, most likely
    unit->thaw();
    (void)units_.flush(kStart, Duration::zero(), false);
  }
  EXPECT_GT(store_.clean, 0);
}

TEST_F(UnitRaceTest, ARecordIsNotStoredAgainAfterItsUnitWasTakenAway) {
  std::vector<UnitRef> taken;
  std::shared_ptr<Unit> present = create();
  Mutex mu;
  std::atomic<int> uses{0};
  run(
      [&] {
        const UnitRef unit = [&] {
          const MutexLock lock(mu);
          return present;
        }();
        (void)units_.use(unit, kStart, false);
        (void)units_.flush(kStart, Duration::zero(), false);
        (void)units_.set_path(*unit, "worktrees/b");
        uses.fetch_add(1);
        std::this_thread::yield();
      },
      [&] {
        for (int round = 0; round < 200; ++round) {
          for (const int before = uses; uses == before;) std::this_thread::yield();
          const UnitRef unit = present;
          if (round % 2 == 0) {
            EXPECT_TRUE(units_.remove(*unit));
          } else if (unit->freeze(kPatience)) {
            // The caller of set_path keeps names stable; here nobody does, so first the table.
            units_.detach(*unit);
            EXPECT_TRUE(index_->erase_unit(unit->id()));
            unit->kill();
          }
          taken.push_back(unit);
          std::this_thread::yield();
          UnitRef next = create();
          const MutexLock lock(mu);
          present = std::move(next);
        }
      });
  ASSERT_TRUE(units_.remove(*present));
  EXPECT_TRUE(index_->load_units().value().empty());
  EXPECT_EQ(units_.size(), 0U);
}

TEST_F(UnitRaceTest, TouchesFromManyThreadsLeaveTheLatest) {
  const UnitRef unit = create();
  std::vector<std::jthread> threads;
  for (int t = 0; t < kUsers; ++t) {
    threads.emplace_back([&unit, t] {
      for (int i = 0; i < 20'000; ++i) {
        const WallTime now = kStart + Duration(i * kUsers + t);
        unit->touch(now);
        if (unit->last_used() < now) ADD_FAILURE() << "went back";
      }
    });
  }
  threads.clear();
  EXPECT_EQ(unit->last_used(), kStart + Duration(20'000 * kUsers - 1));
}

}  // namespace
}  // namespace ebbfs
