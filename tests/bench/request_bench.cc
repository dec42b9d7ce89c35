// SPDX-License-Identifier: Apache-2.0
//
// What a request costs in the daemon besides its system calls: finding the inode, classifying the
// name, entering and touching the unit; and what the reaper pays for a verdict.
#include <benchmark/benchmark.h>

#include <memory>

#include "fs/inode_table.h"
#include "fs/request_counts.h"
#include "fs/unit.h"
#include "index/usage.h"
#include "policy/classifier.h"
#include "policy/expiry.h"

namespace ebbfs {
namespace {

using namespace std::chrono_literals;

constexpr WallTime kNow{1'800'000'000s};

UnitRef make_unit(std::uint64_t id) {
  static UsageLedger ledger;
  UnitRecord record;
  record.id = UnitId{id};
  record.last_used = kNow;
  return std::make_shared<Unit>(record, ledger.open_unit(record.id, "worktree", ""), kNever);
}

void classify_a_name(benchmark::State& state) {
  const Classifier classifier(std::make_shared<const Policy>(default_policy()));
  const Match top = classifier.walk("worktrees/feature-4711");
  const MatchState inside = classifier.inside_unit(top.state);
  for (auto _ : state) benchmark::DoNotOptimize(classifier.step(inside, "filesystem.cc"));
}
BENCHMARK(classify_a_name);

// With so many inodes known.
void find_an_inode(benchmark::State& state) {
  static InodeTable table;
  static const UnitRef unit = make_unit(7);
  const auto count = static_cast<std::uint64_t>(state.range(0));
  Inode::Place place;
  place.unit = unit;
  if (state.thread_index() == 0) {
    for (std::uint64_t i = 2; i < count; ++i) table.intern(InodeId{i}, place).add_lookup();
  }
  std::uint64_t next = static_cast<std::uint64_t>(state.thread_index());
  for (auto _ : state) {
    next = next * 6'364'136'223'846'793'005U + 1'442'695'040'888'963'407U;
    benchmark::DoNotOptimize(table.find(InodeId{2 + (next >> 33) % (count - 2)}));
  }
  if (state.thread_index() == 0) table.clear_lookups();
}
BENCHMARK(find_an_inode)->Arg(10'000)->Arg(1'000'000)->Threads(1)->Threads(2);

void enter_touch_and_leave_a_unit(benchmark::State& state) {
  static const UnitRef unit = make_unit(8);
  WallTime now = kNow;
  for (auto _ : state) {
    now += 1us;
    bool inside = unit->try_enter();
    benchmark::DoNotOptimize(inside);
    unit->touch(now);
    unit->leave();
  }
}
BENCHMARK(enter_touch_and_leave_a_unit)->Threads(1)->Threads(2);

void count_a_request(benchmark::State& state) {
  static RequestCounts counts;
  for (auto _ : state) counts.add(RequestKind::lookup);
}
BENCHMARK(count_a_request)->Threads(1)->Threads(2);

void judge_a_unit(benchmark::State& state) {
  UnitRecord unit;
  unit.id = UnitId{9};
  unit.last_used = unit.created = kNow - 48h;
  const ClassRule rule{.name = "worktree", .ttl = 24h};
  const UnitBusy busy{.open_files = Answer::no,
                      .process_inside = Answer::no,
                      .live_lock = Answer::no,
                      .git_locked = Answer::no,
                      .mount_inside = Answer::no};
  for (auto _ : state) {
    benchmark::DoNotOptimize(judge_expiry(unit, busy, rule, kNow, WallTime::min()));
  }
}
BENCHMARK(judge_a_unit);

}  // namespace
}  // namespace ebbfs

BENCHMARK_MAIN();
