// SPDX-License-Identifier: Apache-2.0
//
// What the index costs on the path of a request: taking and giving up a lock, charging usage, the
// codec, looking for what is due.
#include <benchmark/benchmark.h>

#include <memory>
#include <vector>

#include "index/rocks_store.h"
#include "index/unit_index.h"
#include "index/usage.h"
#include "tests/support/mem_store.h"
#include "tests/support/temp_tree.h"

namespace ebbfs {
namespace {

using namespace std::chrono_literals;

constexpr WallTime kNow{1'800'000'000s};

LockRecord typical_lock(LockId id) {
  FileHandle handle = {.type = 1, .size = 24};
  Owner owner;
  owner.uid = 1000;
  owner.gid = 1000;
  owner.process = {.id = {.tgid = 4242, .start_time = 123'456}, .ns_pid = 17, .comm = "git"};
  owner.boot.bytes.fill(7);
  owner.pid_ns = 4'026'531'836;
  owner.cgroup = "/system.slice/ci-worker-17.service";
  owner.job = "ci-worker-17";
  LockRecord lock;
  lock.id = id;
  lock.path = "worktrees/feature-4711/.git/index.lock";
  lock.parent = handle;
  lock.parent_inode = InodeId{815};
  lock.name = "index.lock";
  lock.object = handle;
  lock.object_inode = InodeId{816};
  lock.unit = UnitId{12};
  lock.class_name = "lock";
  lock.owner = owner;
  lock.ancestors = {owner.process, owner.process, owner.process};
  lock.made = kNow;
  return lock;
}

template <typename T>
T value_or_stop(Result<T> result, benchmark::State& state) {
  if (result) return *std::move(result);
  state.SkipWithError("set-up failed");
  return T{};
}

// A lock's whole life in the index, with as many others held meanwhile.
void take_and_give_up_lock(benchmark::State& state) {
  const TempTree tree;
  const auto store = value_or_stop(RocksStore::open(tree.at("index")), state);
  if (!store) return;
  const auto index = value_or_stop(UnitIndex::open(*store), state);
  if (!index) return;
  bool ok = true;
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    ok &= index->put_lock(typical_lock(index->next_lock_id()), kNow + 1h).has_value();
  }
  WallTime now = kNow;
  for (auto _ : state) {
    now += 50us;
    const LockRecord lock = typical_lock(index->next_lock_id());
    ok &= index->put_lock(lock, now + 5min).has_value();
    ok &= index->erase_lock(lock.id).has_value();
  }
  if (!ok) state.SkipWithError("commit failed");
}
BENCHMARK(take_and_give_up_lock)->Arg(0)->Arg(12'000)->MinTime(2);

void reserve_and_settle(benchmark::State& state) {
  static UsageLedger ledger;
  static const auto unit = ledger.open_unit(UnitId{1}, "worktree", "ci-17");
  static const auto root = ledger.open_unit(kRootUnit, "", "");
  const bool all_scopes = state.range(0) == 6;
  Cell& cell = ledger.cell(all_scopes ? *unit : *root, 1000, 1000);
  ledger.volume().set_hard(std::int64_t{1} << 40, kUnlimited);
  const Usage block = {{kChargeBlock}, 0};
  for (auto _ : state) {
    benchmark::DoNotOptimize(ledger.reserve(cell, block));
    ledger.settle(cell, -block);
  }
}
BENCHMARK(reserve_and_settle)->ArgName("scopes")->Arg(4)->Arg(6)->Threads(1)->Threads(2);

void charge_one_account(benchmark::State& state) {
  static Account account;
  account.set_hard(std::int64_t{1} << 40, kUnlimited);
  const Usage block = {{kChargeBlock}, 0};
  for (auto _ : state) {
    benchmark::DoNotOptimize(account.try_add(block));
    account.add(-block);
  }
}
BENCHMARK(charge_one_account)->Threads(1)->Threads(2);

void find_cell(benchmark::State& state) {
  static UsageLedger ledger;
  static const auto unit = ledger.open_unit(UnitId{1}, "worktree", "ci-17");
  for (auto _ : state) benchmark::DoNotOptimize(&ledger.cell(*unit, 1000, 1000));
}
BENCHMARK(find_cell)->Threads(1)->Threads(2);

void encode_lock(benchmark::State& state) {
  const LockRecord lock = typical_lock(LockId{1});
  for (auto _ : state) benchmark::DoNotOptimize(encode(lock));
  state.counters["bytes"] = static_cast<double>(encode(lock).size());
}
BENCHMARK(encode_lock);

void decode_lock_record(benchmark::State& state) {
  const std::string bytes = encode(typical_lock(LockId{1}));
  for (auto _ : state) benchmark::DoNotOptimize(decode_lock(bytes));
}
BENCHMARK(decode_lock_record);

// One entry is due; so many are queued.
void ask_what_is_due(benchmark::State& state) {
  MemStore store;
  const auto index = value_or_stop(UnitIndex::open(store), state);
  if (!index) return;
  bool ok = true;
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    ok &= index->reschedule(Deadline::Kind::unit, static_cast<std::uint64_t>(i), kNow + i * 1s)
              .has_value();
  }
  if (!ok) state.SkipWithError("commit failed");
  for (auto _ : state) benchmark::DoNotOptimize(index->due(kNow, 64));
}
BENCHMARK(ask_what_is_due)->Arg(1'000)->Arg(100'000);

}  // namespace
}  // namespace ebbfs

BENCHMARK_MAIN();
