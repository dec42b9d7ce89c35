// SPDX-License-Identifier: Apache-2.0
//
// What every Store promises, asked of each of them: what passes on the double holds for the real
// one.
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>
#include <thread>

#include "index/rocks_store.h"
#include "index/steady_store.h"
#include "tests/index/outcome.h"
#include "tests/support/fault_store.h"
#include "tests/support/mem_store.h"
#include "tests/support/temp_tree.h"

namespace ebbfs {
namespace {

using Rows = std::vector<std::pair<std::string, std::string>>;

// A store with all that it lives on.
struct Stand {
  virtual ~Stand() = default;
  virtual Store& store() = 0;
};

struct MemoryStand final : Stand {
  MemStore memory;
  Store& store() override { return memory; }
};

struct FaultStand final : Stand {
  MemStore memory;
  FaultStore fault{memory};
  Store& store() override { return fault; }
};

// Over a store that takes changes, and over one that takes none.
struct SteadyStand final : Stand {
  MemStore memory;
  FaultStore fault{memory};
  SteadyStore steady{fault};
  Store& store() override { return steady; }
};

struct RefusedStand final : Stand {
  RefusedStand() { stand.fault.fail_commits(1, EIO, std::uint32_t{0} - 1); }
  SteadyStand stand;
  Store& store() override { return stand.steady; }
};

struct RocksStand final : Stand {
  TempTree tree;
  std::unique_ptr<RocksStore> rocks = RocksStore::open(tree.at("index")).value();
  Store& store() override { return *rocks; }
};

struct KindOfStore {
  const char* name;
  std::unique_ptr<Stand> (*make)();
};

class StoreContract : public testing::TestWithParam<KindOfStore> {
 protected:
  Store& store() { return stand_->store(); }

  void commit(const Batch& batch) {
    EXPECT_EQ(error_of(store().commit(batch, Durability::process_crash)), 0);
  }
  void put(Table table, std::string key, std::string value) {
    Batch batch;
    batch.put(table, std::move(key), std::move(value));
    commit(batch);
  }
  std::optional<std::string> get(Table table, std::string_view key) {
    return store().get(table, key).value();
  }
  Rows rows(Table table, std::string_view from = {}) {
    Rows found;
    const Status scanned = store().scan(table, from, [&](auto key, auto value) {
      found.emplace_back(key, value);
      return true;
    });
    EXPECT_EQ(error_of(scanned), 0);
    return found;
  }

 private:
  std::unique_ptr<Stand> stand_ = GetParam().make();
};

INSTANTIATE_TEST_SUITE_P(
    Stores, StoreContract,
    testing::Values(
        KindOfStore{"MemStore",
                    [] -> std::unique_ptr<Stand> { return std::make_unique<MemoryStand>(); }},
        KindOfStore{"FaultStore",
                    [] -> std::unique_ptr<Stand> { return std::make_unique<FaultStand>(); }},
        KindOfStore{"SteadyStore",
                    [] -> std::unique_ptr<Stand> { return std::make_unique<SteadyStand>(); }},
        KindOfStore{"SteadyStoreOverOneThatRefuses",
                    [] -> std::unique_ptr<Stand> { return std::make_unique<RefusedStand>(); }},
        KindOfStore{"RocksStore",
                    [] -> std::unique_ptr<Stand> { return std::make_unique<RocksStand>(); }}),
    [](const auto& kind) { return kind.param.name; });

TEST_P(StoreContract, GetsNothingForAnAbsentKey) {
  put(Table::units, "b", "1");
  EXPECT_EQ(get(Table::units, "a"), std::nullopt);
  EXPECT_EQ(get(Table::units, "bb"), std::nullopt);
}

TEST_P(StoreContract, GetsWhatWasPutLast) {
  put(Table::units, "a", "1");
  put(Table::units, "a", "2");
  EXPECT_EQ(get(Table::units, "a"), "2");
}

TEST_P(StoreContract, TellsAnEmptyValueFromNone) {
  put(Table::units, "a", "");
  EXPECT_EQ(get(Table::units, "a"), "");
  EXPECT_EQ(rows(Table::units), (Rows{{"a", ""}}));
}

TEST_P(StoreContract, KeepsAllTablesApart) {
  for (std::size_t i = 0; i < kTables; ++i) put(static_cast<Table>(i), "k", std::to_string(i));
  for (std::size_t i = 0; i < kTables; ++i) {
    EXPECT_EQ(rows(static_cast<Table>(i)), (Rows{{"k", std::to_string(i)}}));
  }
}

TEST_P(StoreContract, AppliesChangesInOrder) {
  Batch batch;
  batch.put(Table::units, "kept", "1");
  batch.erase(Table::units, "kept");
  batch.put(Table::units, "kept", "2");
  batch.put(Table::units, "gone", "1");
  batch.erase(Table::units, "gone");
  commit(batch);
  EXPECT_EQ(rows(Table::units), (Rows{{"kept", "2"}}));
}

TEST_P(StoreContract, ErasesWhatIsNotThere) {
  Batch batch;
  batch.erase(Table::units, "a");
  commit(batch);
  EXPECT_EQ(rows(Table::units), Rows{});
}

TEST_P(StoreContract, CommitsNothing) { commit({}); }

TEST_P(StoreContract, SyncsWhenAsked) {
  Batch batch;
  batch.put(Table::units, "a", "1");
  EXPECT_EQ(error_of(store().commit(batch, Durability::power_loss)), 0);
  EXPECT_EQ(get(Table::units, "a"), "1");
}

TEST_P(StoreContract, ScansInOrderOfUnsignedBytes) {
  using std::string_literals::operator""s;
  const Rows want = {{"\0"s, "1"}, {"\0\0"s, "2"}, {"a", "3"}, {"a\0"s, "4"}, {"\x80", "5"}};
  for (auto row = want.rbegin(); row != want.rend(); ++row) {
    put(Table::journal, row->first, row->second);
  }
  EXPECT_EQ(rows(Table::journal), want);
}

TEST_P(StoreContract, ScansFromTheFirstKeyNotBelow) {
  for (const char* key : {"a", "c", "e"}) put(Table::units, key, "");
  EXPECT_EQ(rows(Table::units, "b"), (Rows{{"c", ""}, {"e", ""}}));
  EXPECT_EQ(rows(Table::units, "c"), (Rows{{"c", ""}, {"e", ""}}));
  EXPECT_EQ(rows(Table::units, "f"), Rows{});
}

TEST_P(StoreContract, StopsAScanWhenTold) {
  for (const char* key : {"a", "b", "c"}) put(Table::units, key, "");
  int seen = 0;
  EXPECT_EQ(error_of(store().scan(Table::units, {}, [&](auto, auto) { return ++seen < 2; })), 0);
  EXPECT_EQ(seen, 2);
}

TEST_P(StoreContract, ScansASnapshotThatItsVisitorMayChange) {
  for (const char* key : {"a", "b", "c"}) put(Table::units, key, "old");
  Rows seen;
  const Status scanned = store().scan(Table::units, {}, [&](auto key, auto value) {
    seen.emplace_back(key, value);
    Batch batch;
    batch.erase(Table::units, "c");
    batch.put(Table::units, "b", "new");
    batch.put(Table::units, "d", "new");
    commit(batch);
    return true;
  });
  EXPECT_EQ(error_of(scanned), 0);
  EXPECT_EQ(seen, (Rows{{"a", "old"}, {"b", "old"}, {"c", "old"}}));
  EXPECT_EQ(rows(Table::units), (Rows{{"a", "old"}, {"b", "new"}, {"d", "new"}}));
}

TEST_P(StoreContract, ShowsABatchAsAWholeOrNotAtAll) {
  constexpr int kRounds = 500;
  std::jthread writer([&] {
    for (int i = 0; i < kRounds; ++i) {
      Batch batch;
      batch.put(Table::units, "a", std::to_string(i));
      batch.put(Table::units, "b", std::to_string(i));
      commit(batch);
    }
  });
  const std::string last = std::to_string(kRounds - 1);
  for (Rows seen = rows(Table::units); seen.empty() || seen.back().second != last;) {
    seen = rows(Table::units);
    if (seen.empty()) continue;
    ASSERT_EQ(seen.size(), 2U);
    ASSERT_EQ(seen[0].second, seen[1].second);
  }
}

TEST_P(StoreContract, LosesNothingOfManyThreads) {
  constexpr int kThreads = 4;
  constexpr int kEach = 100;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kEach; ++i) {
          put(Table::locks, std::to_string(t) + "/" + std::to_string(i), "");
        }
      });
    }
  }
  EXPECT_EQ(rows(Table::locks).size(), std::size_t{kThreads * kEach});
}

TEST_P(StoreContract, AgreesWithAMap) {
  constexpr std::uint64_t kMapSeed = 99;
  SCOPED_TRACE(testing::Message() << "seed " << kMapSeed);
  std::mt19937_64 random(kMapSeed);
  std::map<std::string, std::string> model;
  for (int round = 0; round < 300; ++round) {
    Batch batch;
    for (std::uint64_t op = random() % 8; op > 0; --op) {
      std::string key(1 + random() % 2, static_cast<char>(random() % 8 * 36));
      if (random() % 3 == 0) {
        model.erase(key);
        batch.erase(Table::units, std::move(key));
      } else {
        std::string value(random() % 20, static_cast<char>(random()));
        model[key] = value;
        batch.put(Table::units, std::move(key), std::move(value));
      }
    }
    commit(batch);
    const std::string from(random() % 2, static_cast<char>(random() % 8 * 36));
    ASSERT_EQ(rows(Table::units, from), Rows(model.lower_bound(from), model.end()));
  }
}

}  // namespace
}  // namespace ebbfs
