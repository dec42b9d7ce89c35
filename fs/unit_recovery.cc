// SPDX-License-Identifier: Apache-2.0
#include "fs/unit_recovery.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "fs/exports.h"
#include "fs/tree.h"

namespace ebbfs {
namespace {

using Where = FoundTop::Where;

// The class that makes a unit of the very thing at `path`, or kNoClass: it lies in a unit, or
// outside of all.
std::uint16_t tree_class_at(const Volume& volume, std::string_view path) {
  const Classifier& classifier = volume.rules.classifier();
  for (std::size_t end = path.find('/'); end < path.size(); end = path.find('/', end + 1)) {
    // Inside a unit there are no others.
    if (classifier.walk(path.substr(0, end)).tree_class != kNoClass) return kNoClass;
  }
  return classifier.walk(path).tree_class;
}

void forget(Volume& volume, const UnitRef& unit, const char* why) {
  spdlog::warn("event=unit_forgotten path={:?} why={}", unit->path(), why);
  if (const auto removed = volume.units.remove(*unit); !removed) {
    spdlog::error("op=erase_unit unit={} errno={}", raw(unit->id()), code(removed.error()));
  }
}

// No crash can have caused it: somebody has changed the volume from elsewhere.
void forget_unseen(Volume& volume, const UnitRef& unit, const FoundTop& top) {
  EventRecord event;
  event.kind = EventRecord::Kind::warning;
  event.time = volume.clock.wall_now();
  event.path = unit->path();
  event.class_name = unit->class_name();
  event.detail = top.path.empty() ? "the unit is no longer there: forgotten"
                 : top.path == event.path
                     ? "no unit any more: the policy does not cover it; forgotten"
                     : "no unit any more, moved to " + top.path + ": forgotten";
  (void)volume.index.append_event(std::move(event));
  if (unit->pinned() && volume.exports != nullptr) volume.exports->pin_waits(unit->path());
  for (const LockRef& lock : volume.locks.in_unit(unit->id())) volume.locks.remove(lock);
  forget(volume, unit, "unseen_change");
}

void follow(Volume& volume, const UnitRef& unit, const FoundTop& top) {
  spdlog::warn("event=unit_found_again path={:?} now={:?}", unit->path(), top.path);
  (void)volume.units.set_path(*unit, top.path);
}

// Of a class that no policy file names any more nothing will happen to it.
bool has_class(const Volume& volume, const UnitRecord& record) {
  return volume.rules.policy()->find_class(record.class_name) != nullptr;
}

// Whether its record was not right.
bool settle_idle(Volume& volume, const UnitRef& unit, const UnitRecord& record,
                 const FoundTop& top) {
  switch (top.where) {
    case Where::here:
      // The policy may be another one than at the last mount.
      if (!has_class(volume, record) || is_unit_place(volume, record, record.path)) return false;
      forget_unseen(volume, unit, {Where::misplaced, record.path});
      return true;
    case Where::unknown:
      return false;
    case Where::moved:
      follow(volume, unit, top);
      return true;
    case Where::misplaced:
    case Where::astray:
    case Where::gone:
      forget_unseen(volume, unit, top);
      return true;
  }
  return false;
}

// Asks where things are, one after the other, while nobody moves any: a directory is opened once
// for all that follow each other in it.
class Places {
 public:
  explicit Places(const Volume& volume) : volume_(volume) {}

  // As stands_at().
  Result<bool> stand_at(std::string_view path, const FileHandle& handle) {
    const SplitPath split = split_path(path);
    if (!parent_ || split.directory != directory_) {
      parent_ = open_beneath(volume_.backing.root(), split.directory, O_PATH | O_DIRECTORY);
      directory_ = split.directory;
    }
    const Result<UniqueFd>& parent = *parent_;
    const auto there = parent ? volume_.backing.handle(parent->get(), split.name.c_str())
                              : Result<FileHandle>(std::unexpected(parent.error()));
    if (there) return *there == handle;
    if (is_absent(there.error())) return false;
    return std::unexpected(there.error());
  }

 private:
  const Volume& volume_;
  std::string directory_;
  std::optional<Result<UniqueFd>> parent_;  // of directory_; empty: none was asked for
};

// Whether `unit` is idle, where its record says, and a unit by the policy: then its record is
// right.
bool is_as_recorded(const Volume& volume, Places& places, const Unit& unit) {
  const UnitRecord record = unit.record();
  if (record.dirty || !places.stand_at(record.path, record.handle).value_or(false)) return false;
  return !has_class(volume, record) || is_unit_place(volume, record, record.path);
}

// Those that a crash has met in use, of whom several may name one top.
class InUse {
 public:
  explicit InUse(Volume& volume) : volume_(volume) {}

  void settle(const UnitRef& unit, const UnitRecord& record, const FoundTop& top) {
    switch (top.where) {
      case Where::here:
        if (!is_unit_place(volume_, record, record.path)) {
          forget(volume_, unit, "top_is_no_unit");
          break;
        }
        settled_.push_back(unit);
        break;
      case Where::moved:
        settled_.push_back(unit);
        follow(volume_, unit, top);
        break;
      case Where::astray:
        astray_.push_back(unit);
        break;
      case Where::gone:
        forget(volume_, unit, "top_gone");
        break;
      case Where::misplaced:
        forget(volume_, unit, "top_is_no_unit");
        break;
      case Where::unknown:
        break;
    }
  }

  void decide_shared_tops() {
    // A rename that made a unit of the same top came as far as recording it.
    for (const UnitRef& unit : settled_) volume_.units.claim_top(unit);
    for (const UnitRef& unit : astray_) {
      const UnitRef top = volume_.units.find_by_top(unit->top(), unit->handle());
      if (top != nullptr && top != unit) forget(volume_, unit, "top_is_another_unit");
    }
  }

 private:
  Volume& volume_;
  std::vector<UnitRef> settled_;
  std::vector<UnitRef> astray_;
};

}  // namespace

bool is_unit_place(const Volume& volume, const UnitRecord& record, std::string_view path) {
  const auto names = components_of(path);
  if (names.empty() || names.front() == kStateDirName) return false;
  const std::uint16_t at = tree_class_at(volume, path);
  if (at == kNoClass || volume.rules.policy()->classes[at].name != record.class_name) return false;
  const Classifier& classifier = volume.rules.classifier();
  const std::string_view job = classifier.job(classifier.walk(path));
  return job.empty() || job == record.owner.job;
}

Result<bool> stands_at(const Volume& volume, std::string_view path, const FileHandle& handle) {
  return Places(volume).stand_at(path, handle);
}

TopSurvey::~TopSurvey() { (void)finish(); }

void TopSurvey::add(UnitRef unit) {
  adding_.push_back(std::move(unit));
  if (adding_.size() < kUnitsEach) return;
  hand_over();
  const std::size_t idle = std::max(std::thread::hardware_concurrency(), 1U) - 1;
  if (helpers_.size() < std::min(idle, kHelpersMax)) {
    helpers_.emplace_back([this] { ask(true); });
  }
}

void TopSurvey::hand_over() {
  {
    const MutexLock lock(mu_);
    waiting_.push_back(std::exchange(adding_, {}));
  }
  more_.notify_one();
}

void TopSurvey::ask(bool until_complete) {
  Places places(volume_);
  for (;;) {
    std::vector<UnitRef> units;
    {
      const MutexLock lock(mu_);
      while (until_complete && waiting_.empty() && !complete_) more_.wait(mu_);
      if (waiting_.empty()) return;
      units = std::move(waiting_.back());
      waiting_.pop_back();
    }
    std::erase_if(units,
                  [&](const UnitRef& unit) { return is_as_recorded(volume_, places, *unit); });
    const MutexLock lock(mu_);
    doubtful_.insert(doubtful_.end(), units.begin(), units.end());
  }
}

std::vector<UnitRef> TopSurvey::finish() {
  hand_over();
  {
    const MutexLock lock(mu_);
    complete_ = true;
  }
  more_.notify_all();
  ask(false);
  helpers_.clear();
  const MutexLock lock(mu_);
  return std::exchange(doubtful_, {});
}

FoundTop follow_top(Volume& volume, const UnitRecord& record) {
  const auto fd = open_by_handle(volume, record.handle, O_PATH | O_NOFOLLOW);
  if (!fd) return {is_absent(fd.error()) ? Where::gone : Where::unknown};
  const auto attributes = volume.backing.stat(fd->get(), "");
  if (!attributes) return {Where::unknown};
  if (attributes->stx_nlink == 0) return {Where::gone};
  if (!is_directory(*attributes)) return {Where::astray};
  auto path = volume.backing.path_of(fd->get());
  if (!path) return {is_absent(path.error()) ? Where::gone : Where::unknown};
  const Where where = is_unit_place(volume, record, *path) ? Where::moved : Where::misplaced;
  return {where, std::move(*path)};
}

std::size_t settle_units(Volume& volume, std::span<const UnitRef> doubtful) {
  std::size_t unseen = 0;
  InUse in_use(volume);
  Places places(volume);
  const auto find_top = [&](const UnitRecord& record) -> FoundTop {
    const auto here = places.stand_at(record.path, record.handle);
    if (!here) return {Where::unknown};
    return *here ? FoundTop{Where::here} : follow_top(volume, record);
  };
  for (const UnitRef& unit : doubtful) {
    const UnitRecord record = unit->record();
    if (!record.dirty) {
      unseen += settle_idle(volume, unit, record, find_top(record)) ? 1 : 0;
    } else if (has_class(volume, record)) {
      in_use.settle(unit, record, find_top(record));
    }
  }
  in_use.decide_shared_tops();
  return unseen;
}

}  // namespace ebbfs
