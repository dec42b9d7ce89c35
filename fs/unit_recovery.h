// SPDX-License-Identifier: Apache-2.0
//
// Units whose record and top do not agree: a crash came between the change of a name and of the
// record, or the top was moved behind the mount's back. The top decides: a record is followed to
// where that is now, but only to a place for a unit of its class and job; what has left its class
// must never expire. Threading: any thread, unless a function says otherwise.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "fs/volume.h"
#include "index/mutex.h"

namespace ebbfs {

// Whether something at `path` is the top of a unit of the class and job that `record` names.
[[nodiscard]] bool is_unit_place(const Volume& volume, const UnitRecord& record,
                                 std::string_view path);

// Whether the object `handle` is what `path` stands for. Errors: those of the backing calls other
// than its absence.
[[nodiscard]] Result<bool> stands_at(const Volume& volume, std::string_view path,
                                     const FileHandle& handle);

// Where the top of a unit is.
struct FoundTop {
  enum class Where : std::uint8_t {
    here,       // at the path of its record
    moved,      // at `path`, which is a place for it
    misplaced,  // at `path`, which is none
    astray,     // a file that has moved: it cannot be asked for its name
    gone,
    unknown,  // a call has failed
  };
  Where where = Where::unknown;
  std::string path = {};
};
// Of a top that is not at the path of its record: never `here`.
[[nodiscard]] FoundTop follow_top(Volume& volume, const UnitRecord& record);

// Finds out, while units are being loaded, whether each is idle, where its record says, and a unit
// by the policy: then its record is right. Asks on the processors that the loading leaves idle;
// nobody moves anything meanwhile. Threading: one thread.
class TopSurvey {
 public:
  explicit TopSurvey(const Volume& volume) : volume_(volume) {}  // outlives the survey
  ~TopSurvey();
  TopSurvey(const TopSurvey&) = delete;
  TopSurvey& operator=(const TopSurvey&) = delete;

  void add(UnitRef unit);
  // Waits until all have been asked for. Those of which the record is not right, or might not be;
  // all that a crash has met in use are among them.
  [[nodiscard]] std::vector<UnitRef> finish();

 private:
  static constexpr std::size_t kUnitsEach = 4096;  // handed over at once
  static constexpr std::size_t kHelpersMax = 3;
  void hand_over() EXCLUDES(mu_);
  // What has been handed over, and with `until_complete` what will be.
  void ask(bool until_complete) EXCLUDES(mu_);

  const Volume& volume_;
  std::vector<UnitRef> adding_;
  Mutex mu_;
  CondVar more_;
  std::vector<std::vector<UnitRef>> waiting_ GUARDED_BY(mu_);
  std::vector<UnitRef> doubtful_ GUARDED_BY(mu_);
  bool complete_ GUARDED_BY(mu_) = false;
  std::vector<std::jthread> helpers_;
};

// At start, when units and locks are loaded, before requests are served: each unit that a survey
// found `doubtful` gets the path that its top has now, and is forgotten (the record, never the
// files) where its top is gone or no longer in a place for it. One that a crash has met in use is
// counted again anyway, with what it then lies in; of a file that was renamed meanwhile the census
// comes across the name, or does not and forgets the unit. Returns how many had gone or moved that
// were not in use: behind the mount's back, or after the index was last stored.
std::size_t settle_units(Volume& volume, std::span<const UnitRef> doubtful);

}  // namespace ebbfs
