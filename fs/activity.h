// SPDX-License-Identifier: Apache-2.0
//
// Who does how much, for `ebbctl top`. Requests pay nothing for it: what they count anyway is read
// when somebody asks, how often each unit was entered (Unit::entries) and what was reserved
// (Cell::reserved), and compared with what the same asker was told of before. The first question
// reads every unit, the next ones those that were used since, and pass over the others at one load
// each.
//
// A unit that went between two questions takes along what was done in it since the first.
//
// Threading: any thread, holding no lock and inside no unit. Lock order: `mu_`, then what reading
// units takes.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "fs/control_activity.h"
#include "fs/filesystem.h"
#include "fs/volume.h"
#include "index/mutex.h"

namespace ebbfs {

class Activity {
 public:
  // So many are told at the same time; of more, who has not asked for the longest begins anew.
  static constexpr std::size_t kAskersMax = 4;
  // Who has not asked for so long is forgotten when another asks.
  static constexpr Duration kPatience = std::chrono::minutes(2);

  // `volume` outlives the object.
  explicit Activity(Volume& volume) : volume_(volume) {}
  Activity(const Activity&) = delete;
  Activity& operator=(const Activity&) = delete;

  // What was done since the last answer with `token`; one that is not known (0) begins. Root is
  // told of everybody, users of themselves and of their units.
  [[nodiscard]] ActivityView since(const Caller& caller, std::uint64_t token) EXCLUDES(mu_);

 private:
  struct Reading {
    std::uint64_t entries = 0;
    std::vector<UnitAccounts::Reserved> reserved;
  };
  using Held = std::map<std::string, std::int64_t, std::less<>>;  // bytes, by scope
  struct Asker {
    uid_t uid = 0;
    MonoTime asked{};
    WallTime wall{};
    std::unordered_map<UnitId, Reading> units;
    Held held;
  };
  struct Counted {
    std::int64_t ops = 0;
    std::int64_t bytes_new = 0;
  };
  struct Totals {
    std::map<uid_t, Counted> users;
    std::map<std::string, Counted> jobs;
    Counted all;
    std::int64_t ops_outside = 0;
  };
  // Null where `token` is nobody's, or another user's.
  [[nodiscard]] Asker* find(const Caller& caller, std::uint64_t token) REQUIRES(mu_);
  [[nodiscard]] std::uint64_t admit(const Caller& caller, MonoTime now) REQUIRES(mu_);
  // Reads each unit that was used since `from`.
  [[nodiscard]] Totals read_units(Asker& asker, WallTime from) const;
  void read_unit(const Unit& unit, Asker& asker, Totals& totals) const;
  [[nodiscard]] Held held() const;
  static void tell(const Caller& caller, const Totals& totals, const Held& before, const Held& now,
                   ActivityView& view);

  Volume& volume_;
  Mutex mu_;
  std::uint64_t last_token_ GUARDED_BY(mu_) = 0;
  std::map<std::uint64_t, Asker> askers_ GUARDED_BY(mu_);
};

}  // namespace ebbfs
