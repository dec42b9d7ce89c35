// SPDX-License-Identifier: Apache-2.0
//
// Many threads against the limits of one ledger, watched all the time.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <latch>
#include <random>
#include <thread>
#include <utility>

#include "index/usage.h"
#include "tests/index/outcome.h"

namespace ebbfs {
namespace {

constexpr int kThreads = 16;

// Runs `work(thread number)` on many threads while `watch` is called again and again.
template <typename Work, typename Watch>
void race(Work work, Watch watch) {
  std::atomic<int> running = kThreads;
  std::latch start(kThreads);
  std::vector<std::jthread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      start.arrive_and_wait();
      work(i);
      --running;
    });
  }
  while (running > 0) watch();
}

TEST(UsageRace, NeverShowsMoreThanOneLimitAllows) {
  constexpr std::int64_t kLimit = 40;
  UsageLedger ledger;
  const auto unit = ledger.open_unit(UnitId{1}, "tree", "ci");
  ledger.volume().set_hard(kLimit * kChargeBlock, kLimit);
  std::atomic<int> refused = 0;
  std::atomic<int> granted = 0;
  race(
      [&](int thread) {
        Cell& cell = ledger.cell(*unit, static_cast<uid_t>(thread), 0);
        std::mt19937_64 random(static_cast<std::uint64_t>(thread));
        Usage mine;
        for (int i = 0; i < 5000; ++i) {
          const auto blocks = static_cast<std::int64_t>(1 + random() % 8);
          const Usage more = {{blocks * kChargeBlock}, static_cast<std::int64_t>(random() % 3)};
          if (const Status got = ledger.reserve(cell, more); got) {
            mine += more;
            ++granted;
          } else {
            EXPECT_EQ(error_of(got), ENOSPC);
            ++refused;
          }
          if (random() % 2 == 0) ledger.settle(cell, -std::exchange(mine, Usage{}));
          if (random() % 16 == 0) std::this_thread::yield();  // so that others find it full
        }
        ledger.settle(cell, -mine);
      },
      [&] {
        const Usage now = ledger.volume().usage();
        ASSERT_LE(now.bytes.n, kLimit * kChargeBlock);
        ASSERT_LE(now.inodes, kLimit);
        ASSERT_GE(now.bytes.n, 0);
        ASSERT_GE(now.inodes, 0);
      });
  EXPECT_EQ(ledger.volume().usage(), Usage{});
  EXPECT_GT(refused, 0);
  EXPECT_GT(granted, 0);
}

// Refusals come from every scope, so earlier ones are charged and taken back all the time; what is
// moved grows in one part only or in both.
TEST(UsageRace, NeverShowsMoreThanAnyOfManyLimitsAllows) {
  UsageLedger ledger;
  const auto unit = ledger.open_unit(UnitId{1}, "tree", "ci");
  const auto other = ledger.open_unit(UnitId{2}, "tree", "");
  struct Limited {
    const char* name;
    Account& account;
    Usage limit;
  };
  const Limited limited[] = {
      {"volume", ledger.volume(), {{50}, 23}},
      {"unit", unit->total(), {{37}, 15}},
      {"class", ledger.scope("class:tree"), {{45}, 17}},
      {"user", ledger.scope("user:0"), {{23}, 10}},
      {"group", ledger.scope("group:1"), {{20}, 12}},
      {"job", ledger.scope("job:ci"), {{30}, 11}},
  };
  for (const Limited& l : limited) l.account.set_hard(l.limit.bytes.n, l.limit.inodes);
  std::atomic<int> refused = 0;
  race(
      [&](int thread) {
        const auto number = static_cast<unsigned>(thread);
        std::mt19937_64 random(number);
        Cell& here = ledger.cell(*unit, number % 2, number % 2);
        Cell& there = ledger.cell(*other, number % 3, number % 2);
        Usage mine;  // what this thread has in `here`; `there` it empties at once
        for (int i = 0; i < 3000; ++i) {
          const auto part = [&] { return static_cast<std::int64_t>(random() % 12); };
          Usage change = {{part()}, part()};
          if (random() % 2 == 0) change.bytes.n = -std::min(change.bytes.n, mine.bytes.n);
          if (random() % 2 == 0) change.inodes = -std::min(change.inodes, mine.inodes);
          if (ledger.reserve(here, change)) {
            mine += change;
          } else {
            ++refused;
          }
          const Usage moved = {{std::min(part(), mine.bytes.n)}, std::min(part(), mine.inodes)};
          if (ledger.move(here, there, moved)) {
            mine += -moved;
            ledger.settle(there, -moved);
          } else {
            ++refused;
          }
          if (random() % 16 == 0) std::this_thread::yield();  // so that others find it full
        }
        ledger.settle(here, -mine);
      },
      [&] {
        for (const Limited& l : limited) {
          const Usage now = l.account.usage();
          ASSERT_LE(now.bytes, l.limit.bytes) << l.name;
          ASSERT_LE(now.inodes, l.limit.inodes) << l.name;
        }
      });
  for (const Limited& l : limited) EXPECT_EQ(l.account.usage(), Usage{}) << l.name;
  for (const auto& scope : ledger.scopes()) EXPECT_EQ(scope.usage, Usage{}) << scope.name;
  EXPECT_GT(refused, 0);
}

TEST(UsageRace, GivesTheLastRoomToOneAtATime) {
  UsageLedger ledger;
  const auto unit = ledger.open_unit(UnitId{1}, "tree", "ci");
  ledger.volume().set_hard(1, kUnlimited);
  std::atomic<int> holders = 0;
  const auto expect_room_for_one = [&] { ASSERT_LE(ledger.volume().usage().bytes, Bytes{1}); };
  race(
      [&](int thread) {
        Cell& cell = ledger.cell(*unit, static_cast<uid_t>(thread), 0);
        for (int i = 0; i < 50'000; ++i) {
          if (!ledger.reserve(cell, {{1}, 0})) continue;
          EXPECT_EQ(++holders, 1);
          for (int look = 0; look < 8; ++look) expect_room_for_one();
          --holders;
          ledger.settle(cell, {{-1}, 0});
        }
      },
      expect_room_for_one);
}

TEST(UsageRace, NeverShowsWhatItRefuses) {
  constexpr std::int64_t kFull = 1000;
  UsageLedger ledger;
  const auto unit = ledger.open_unit(UnitId{1}, "tree", "ci");
  ledger.volume().set_hard(kFull, kFull);
  ledger.settle(ledger.cell(*unit, 0, 0), {{kFull}, kFull});
  race(
      [&](int thread) {
        Cell& cell = ledger.cell(*unit, static_cast<uid_t>(thread), 0);
        const Usage more = thread % 2 == 0 ? Usage{{1}, 0} : Usage{{0}, 1};
        for (int i = 0; i < 50'000; ++i) EXPECT_EQ(error_of(ledger.reserve(cell, more)), ENOSPC);
      },
      [&] { ASSERT_EQ(ledger.volume().usage(), (Usage{{kFull}, kFull})); });
}

// What a change would give back is not free before the change is granted as a whole: it could not
// be taken back without passing a limit.
TEST(UsageRace, NeverLendsOutWhatARefusedChangeWouldGiveBack) {
  constexpr std::int64_t kFull = 1000;
  UsageLedger ledger;
  const auto unit = ledger.open_unit(UnitId{1}, "tree", "ci");
  const auto other = ledger.open_unit(UnitId{2}, "tree", "");
  ledger.volume().set_hard(kFull, kUnlimited);
  ledger.scope("job:ci").set_hard(kUnlimited, 0);
  Cell& cell = ledger.cell(*unit, 0, 0);
  ledger.settle(cell, {{kFull}, 0});
  race(
      [&](int thread) {
        const bool asks_more = thread % 2 == 0;
        Cell& mine = asks_more ? ledger.cell(*other, 1, 1) : cell;
        const Usage change = asks_more ? Usage{{5}, 0} : Usage{{-5}, 1};
        for (int i = 0; i < 50'000; ++i) {
          EXPECT_EQ(error_of(ledger.reserve(mine, change)), asks_more ? ENOSPC : EDQUOT);
        }
      },
      [&] { ASSERT_EQ(ledger.volume().usage().bytes, Bytes{kFull}); });
}

TEST(UsageRace, MakesEachCellOnce) {
  UsageLedger ledger;
  const auto unit = ledger.open_unit(UnitId{1}, "tree", "ci");
  race(
      [&](int) {
        for (uid_t uid = 0; uid < 200; ++uid) {
          ledger.settle(ledger.cell(*unit, uid, uid % 7), {{1}, 1});
        }
      },
      [&] { EXPECT_LE(unit->cells().size(), 200U); });
  EXPECT_EQ(unit->cells().size(), 200U);
  for (const UsageCell& cell : unit->cells()) EXPECT_EQ(cell.usage, (Usage{{kThreads}, kThreads}));
}

// Trash and restore, each under the lock that a unit has, beside charges to other units.
TEST(UsageRace, DetachesUnitsBesideChargesToOthers) {
  UsageLedger ledger;
  race(
      [&](int thread) {
        const auto unit = ledger.open_unit(UnitId{1}, "tree", "ci");
        Cell& cell = ledger.cell(*unit, static_cast<uid_t>(thread % 2), 0);
        for (int i = 0; i < 300; ++i) {
          EXPECT_EQ(error_of(ledger.reserve(cell, {{10}, 1})), 0);
          ledger.detach(*unit);
          ledger.settle(cell, {{-4}, 0});
          EXPECT_EQ(error_of(ledger.attach(*unit)), 0);
          if (i % 3 == 0) ledger.forget(*unit);
        }
        ledger.forget(*unit);
      },
      [&] { EXPECT_LE(ledger.class_usage("tree").inodes, 3 * kThreads); });
  EXPECT_EQ(ledger.volume().usage(), Usage{});
  for (const auto& scope : ledger.scopes()) EXPECT_EQ(scope.usage, Usage{}) << scope.name;
}

}  // namespace
}  // namespace ebbfs
