// SPDX-License-Identifier: Apache-2.0
//
// The ledger against a model that keeps what each cell holds and sums it up anew each time.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "index/usage.h"

namespace ebbfs {
namespace {

constexpr std::size_t kUnits = 4;  // the first is the root unit
constexpr uid_t kUsers = 3;
constexpr gid_t kGroups = 2;

std::string class_of(std::size_t unit) { return unit == 0 ? "" : unit == 3 ? "b" : "a"; }
std::string job_of(std::size_t unit) { return unit < 2 ? "" : "j"; }

struct Place {
  std::size_t unit = 0;
  uid_t uid = 0;
  gid_t gid = 0;

  auto operator<=>(const Place&) const = default;
};

class UsageModel {
 public:
  explicit UsageModel(std::uint64_t seed) : random_(seed) {
    for (std::size_t i = 0; i < kUnits; ++i) {
      units_.push_back(ledger_.open_unit(UnitId{i}, class_of(i), job_of(i)));
    }
    // Tight enough that about half of what is asked does not fit.
    for (const char* name : {"class:a", "class:b", "job:j", "user:0", "user:2", "group:1"}) {
      limits_[name] = some(60);
    }
    limits_["volume"] = some(150);
    for (const auto& [name, limit] : limits_) account(name).set_hard(limit.bytes.n, limit.inodes);
  }

  void step() {
    const Place place = somewhere();
    switch (random_() % 8) {
      case 0:
        return attach_or_detach(place.unit);
      case 1:
        return forget(place.unit);
      case 2:
      case 3:
        return move(place, somewhere());
      default:
        return reserve(place);
    }
  }

  void expect_agreement() {
    const auto sums = sums_of(cells_);
    EXPECT_EQ(ledger_.volume().usage(), sums.at("volume"));
    for (const auto& scope : ledger_.scopes()) {
      const auto sum = sums.find(scope.name);
      EXPECT_EQ(scope.usage, sum == sums.end() ? Usage{} : sum->second) << scope.name;
    }
    for (std::size_t i = 0; i < kUnits; ++i) {
      std::vector<UsageCell> want;
      Usage total;
      for (const auto& [place, usage] : cells_) {
        if (place.unit != i) continue;
        total += usage;
        if (usage != Usage{}) want.push_back({place.uid, place.gid, usage});
      }
      EXPECT_EQ(units_[i]->cells(), want) << "unit " << i;
      EXPECT_EQ(units_[i]->total().usage(), total) << "unit " << i;
    }
  }
  [[nodiscard]] int refused() const { return refused_; }

 private:
  using Cells = std::map<Place, Usage>;
  using Sums = std::map<std::string, Usage>;

  Usage some(std::int64_t most) {
    const auto up_to = [&] { return static_cast<std::int64_t>(random_()) % (most + 1); };
    return {{std::abs(up_to())}, std::abs(up_to())};
  }
  // Of either sign, but never more than `held` back.
  Usage some_change(const Usage& held) {
    Usage change = some(20);
    if (random_() % 2 == 0) change.bytes.n = -std::min(change.bytes.n, held.bytes.n);
    if (random_() % 2 == 0) change.inodes = -std::min(change.inodes, held.inodes);
    return change;
  }
  Place somewhere() {
    return {random_() % kUnits, static_cast<uid_t>(random_() % kUsers),
            static_cast<gid_t>(random_() % kGroups)};
  }
  Account& account(const std::string& name) {
    return name == "volume" ? ledger_.volume() : ledger_.scope(name);
  }
  Cell& cell(const Place& place) { return ledger_.cell(*units_[place.unit], place.uid, place.gid); }

  [[nodiscard]] Sums sums_of(const Cells& cells) const {
    Sums sums = {{"volume", {}}};
    for (const auto& [place, usage] : cells) {
      sums["volume"] += usage;
      if (detached_.contains(place.unit)) continue;
      sums["user:" + std::to_string(place.uid)] += usage;
      sums["group:" + std::to_string(place.gid)] += usage;
      if (!class_of(place.unit).empty()) sums["class:" + class_of(place.unit)] += usage;
      if (!job_of(place.unit).empty()) sums["job:" + job_of(place.unit)] += usage;
    }
    return sums;
  }
  // No scope that grows from the one to the other passes its limit in what grows.
  bool fits(const Sums& before, const Sums& after) const {
    return std::ranges::all_of(limits_, [&](const auto& entry) {
      const auto old = before.find(entry.first);
      const auto now = after.find(entry.first);
      const Usage was = old == before.end() ? Usage{} : old->second;
      const Usage is = now == after.end() ? Usage{} : now->second;
      return (is.bytes <= was.bytes || is.bytes <= entry.second.bytes) &&
             (is.inodes <= was.inodes || is.inodes <= entry.second.inodes);
    });
  }
  void settle_outcome(bool want, const Status& got, Cells next) {
    EXPECT_EQ(got.has_value(), want);
    if (want) {
      cells_ = std::move(next);
    } else {
      ++refused_;
    }
  }

  void reserve(const Place& place) {
    const Usage change = some_change(cells_[place]);
    Cells next = cells_;
    next[place] += change;
    const bool want = fits(sums_of(cells_), sums_of(next));
    settle_outcome(want, ledger_.reserve(cell(place), change), std::move(next));
  }
  void move(const Place& from, const Place& to) {
    Usage change = some(20);
    change.bytes.n = std::min(change.bytes.n, cells_[from].bytes.n);
    change.inodes = std::min(change.inodes, cells_[from].inodes);
    Cells next = cells_;
    next[from] += -change;
    next[to] += change;
    const bool want = fits(sums_of(cells_), sums_of(next));
    settle_outcome(want, ledger_.move(cell(from), cell(to), change), std::move(next));
  }
  void attach_or_detach(std::size_t unit) {
    if (!detached_.contains(unit)) {
      detached_[unit] = true;
      return ledger_.detach(*units_[unit]);
    }
    const Sums before = sums_of(cells_);
    detached_.erase(unit);
    const bool want = fits(before, sums_of(cells_));
    settle_outcome(want, ledger_.attach(*units_[unit]), cells_);
    if (!want) detached_[unit] = true;
  }
  void forget(std::size_t unit) {
    ledger_.forget(*units_[unit]);
    std::erase_if(cells_, [&](const auto& entry) { return entry.first.unit == unit; });
  }

  std::mt19937_64 random_;
  UsageLedger ledger_;
  std::vector<std::shared_ptr<UnitAccounts>> units_;
  std::map<std::string, Usage> limits_;
  Cells cells_;
  std::map<std::size_t, bool> detached_;
  int refused_ = 0;
};

TEST(UsageModelTest, AgreesAfterEveryStep) {
  int refused = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    UsageModel model(seed);
    for (int i = 0; i < 500 && !testing::Test::HasFailure(); ++i) {
      model.step();
      model.expect_agreement();
    }
    refused += model.refused();
  }
  EXPECT_GT(refused, 1000) << "limits too wide to test anything";
}

}  // namespace
}  // namespace ebbfs
