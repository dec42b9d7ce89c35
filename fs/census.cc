// SPDX-License-Identifier: Apache-2.0
//
// What is counted, in which order, and when a unit is done. The walk itself is census_walk.cc.
#include "fs/census.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <malloc.h>
#include <spdlog/spdlog.h>

#include "fs/pace.h"
#include "fs/tree.h"

namespace ebbfs {
namespace {

// In place of kWalkPause after a crash, when until the end nothing of what is counted can expire:
// half of one processor.
constexpr Duration kRecoveryPause = std::chrono::milliseconds(2);
// Entries seen and not yet charged: bounds memory (40 bytes each).
constexpr std::size_t kSightsMax = 4096;

std::string how_many(std::uint64_t count, std::string_view one, std::string_view more) {
  return fmt::format("{} {}", count, count == 1 ? one : more);
}

}  // namespace

Census::~Census() { stop(); }

void Census::prepare(TopSurvey& loaded, bool recount) {
  const VolumeState state = volume_.index.volume_state();
  const bool after_power_loss = !state.clean && state.boot != volume_.processes.boot_id();
  adopting_ = state.fresh || !state.adopted;
  const std::vector<UnitRef> doubtful = loaded.finish();
  const std::size_t unseen = settle_units(volume_, doubtful);
  if (unseen > 0 && state.clean) {
    spdlog::warn("event=changed_while_unmounted units={} action=everything_is_counted", unseen);
  }
  // After a crash, a unit may have gone or moved just before its record did.
  const bool all = recount || adopting_ || after_power_loss || (unseen > 0 && state.clean);
  // The root first: its walk finds units that nobody has recorded.
  if (count_from_nothing(volume_.units.root(), all)) enqueue(volume_.units.root());
  for (const UnitRef& unit : all ? volume_.units.all() : doubtful) {
    const bool forgotten = volume_.units.find(unit->id()) != unit;
    if (!forgotten && count_from_nothing(unit, all)) enqueue(unit);
  }
  if (queue_.empty() && !adopting_) {
    volume_.locks.forget_remembered();
    return;
  }
  spdlog::info("event=census_begins units={} adopting={}", queue_.size(), adopting_);
  const MutexLock lock(mu_);
  progress_.running = true;
  progress_.adopting = adopting_;
  progress_.started = volume_.clock.wall_now();
}

bool Census::count_from_nothing(const UnitRef& unit, bool all) {
  const WallTime now = volume_.clock.wall_now();
  if (unit->counting()) {
    // Met in use by a crash: when it was last used is not known either, but it was not later.
    unit->touch(now);
  } else if (all) {
    // Stored as in use, so that it is counted again should this count not end.
    if (const auto marked = volume_.units.use(unit, unit->last_used(), true); !marked) {
      spdlog::error("op=mark_unit unit={} errno={}", raw(unit->id()), code(marked.error()));
    }
    unit->set_counting(true);
  } else {
    return false;
  }
  volume_.ledger.forget(unit->accounts());
  return true;
}

void Census::start() {
  {
    const MutexLock lock(mu_);
    stopping_ = false;
  }
  thread_ = std::thread([this] { run(); });
}

void Census::stop() {
  {
    const MutexLock lock(mu_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void Census::run() {
  std::uint64_t paused_at = 0;
  for (;;) {
    const Step step_made = step();
    if (step_made == Step::done) {
      if (!wait_for_more()) return;
      continue;
    }
    Duration wait{};
    if (step_made == Step::blocked) wait = Unit::kRetryFreeze;
    if (entries_.load() - paused_at >= kWalkBatch) {
      paused_at = entries_.load();
      wait = std::max(wait, adopting_ ? kWalkPause : kRecoveryPause);
    }
    if (!pause(wait)) return;
  }
}

bool Census::pause(Duration wait) {
  const MutexLock lock(mu_);
  if (wait == Duration::zero()) return !stopping_;
  const auto until = std::chrono::steady_clock::now() + wait;
  while (!stopping_ && changed_.wait_until(mu_, until)) {
  }
  return !stopping_;
}

bool Census::wait_for_more() {
  const MutexLock lock(mu_);
  while (!stopping_ && !more_) changed_.wait(mu_);
  return !stopping_;
}

void Census::look_again() {
  const MutexLock lock(mu_);
  more_ = true;
  if (!progress_.running) {
    progress_.running = true;
    progress_.started = volume_.clock.wall_now();
    progress_.finished.reset();
  }
  changed_.notify_all();
}

void Census::walk_again(const FileHandle& directory) {
  const MutexLock lock(mu_);
  // Else it is for a check.
  if (progress_.running) waiting_.push_back(directory);
}

Census::Progress Census::progress() const {
  const MutexLock lock(mu_);
  Progress progress = progress_;
  progress.entries = entries_.load();
  return progress;
}

Census::Step Census::step() {
  take_waiting();
  if (sights_count_ >= kSightsMax && !charge_all_seen()) return Step::blocked;
  if (!to_walk_.empty()) {
    Inode::Place place = std::move(to_walk_.back());
    to_walk_.pop_back();
    if (visit(place)) return Step::more;
    // What was counted is not counted twice.
    to_walk_.insert(to_walk_.begin(), std::move(place));
    return Step::blocked;
  }
  if (current_ != nullptr) {
    if (!finish(current_)) return Step::blocked;
    current_ = nullptr;
  }
  if (queue_.empty() && !find_more() && conclude()) return Step::done;
  if (queue_.empty()) return Step::more;
  current_ = std::move(queue_.front());
  queue_.pop_front();
  begin(current_);
  return Step::more;
}

void Census::enqueue(const UnitRef& unit) {
  if (seen_.insert(unit->id()).second) queue_.push_back(unit);
}

void Census::take_waiting() {
  std::vector<FileHandle> waiting;
  {
    const MutexLock lock(mu_);
    waiting.swap(waiting_);
  }
  for (const FileHandle& directory : waiting) {
    if (auto place = place_of(directory)) to_walk_.push_back(std::move(*place));
  }
}

std::optional<Inode::Place> Census::place_of(const FileHandle& directory) {
  const auto fd = open_by_handle(volume_, directory, O_RDONLY | O_DIRECTORY);
  if (!fd) return std::nullopt;
  const auto path = volume_.backing.path_of(fd->get());
  if (!path) return std::nullopt;
  Inode::Place place;
  place.handle = directory;
  place.unit = unit_of_path(volume_, *path);
  if (!place.unit->counting()) return std::nullopt;
  const Classifier& classifier = volume_.rules.classifier();
  place.state = classifier.walk(*path).state;
  if (!place.unit->is_root()) place.state = classifier.inside_unit(place.state);
  return place;
}

std::optional<Inode::Place> Census::top_of(const UnitRef& unit) {
  const Classifier& classifier = volume_.rules.classifier();
  Inode::Place place;
  place.unit = unit;
  if (unit->is_root()) {
    const auto handle = volume_.backing.handle(volume_.backing.root(), "");
    if (!handle) return std::nullopt;
    place.handle = *handle;
    place.state = classifier.root();
    return place;
  }
  place.handle = unit->handle();
  place.state = classifier.inside_unit(classifier.walk(unit->path()).state);
  place.unit_top = true;
  return place;
}

void Census::begin(const UnitRef& unit) {
  ++units_found_;
  const auto top = top_of(unit);
  if (!top) return;
  const auto fd = open_by_handle(volume_, top->handle, O_PATH | O_NOFOLLOW);
  if (!fd) return;
  const auto attributes = volume_.backing.stat(fd->get(), "");
  if (!attributes) return;
  if (is_directory(*attributes)) {
    to_walk_.push_back(*top);
    return;
  }
  // The root unit was first, so a file that was renamed has been come across by now.
  if (!unit->is_root() && !stands_at(volume_, unit->path(), unit->handle()).value_or(true)) {
    spdlog::warn("event=unit_forgotten path={:?} why=not_found", unit->path());
    (void)volume_.units.remove(*unit);
    return;
  }
  saw(unit, *attributes);
}

bool Census::finish(const UnitRef& unit) {
  if (!charge_all_seen()) return false;
  if (unit->gone()) return true;
  if (!unit->freeze(Unit::kPatience)) return unit->gone();
  const bool complete = [&] {
    const MutexLock lock(mu_);
    return waiting_.empty();
  }();
  if (complete) unit->set_counting(false);
  unit->thaw();
  // It may have been due, and kept only because nobody knew what is in it.
  if (complete && !unit->is_root()) agenda_.unit_closed(unit->id());
  return complete;
}

bool Census::find_more() {
  for (const UnitRef& unit : volume_.units.all()) {
    if (!unit->counting()) continue;
    seen_.erase(unit->id());
    enqueue(unit);
  }
  return !queue_.empty();
}

bool Census::conclude() {
  {
    // Nobody finds another unit meanwhile: what is forgotten are inodes of none that is counting.
    const MutexLock recording(volume_.recording_mu);
    if (find_more()) return false;
    volume_.accounting.forget_counted();
    const MutexLock lock(mu_);
    more_ = false;
    if (!progress_.running) return true;
  }
  volume_.locks.forget_remembered();
  // Counting wrote each unit's record anew, in between much that is free by now.
  ::malloc_trim(0);
  const std::uint64_t entries = entries_.load();
  spdlog::info("event=census_ends entries={} units={} locks={}", entries, units_found_,
               locks_found_);
  if (adopting_) {
    EventRecord event;
    event.kind = EventRecord::Kind::adopted;
    event.time = volume_.clock.wall_now();
    // The root unit is one of them.
    event.detail = how_many(entries, "entry", "entries") + ", " +
                   how_many(units_found_ > 0 ? units_found_ - 1 : 0, "unit", "units") + ", " +
                   how_many(locks_found_, "lock", "locks");
    event.usage = volume_.ledger.volume().usage();
    if (const auto told = volume_.index.append_event(std::move(event)); !told) {
      spdlog::error("op=append_event errno={}", code(told.error()));
    }
    if (const auto marked = volume_.index.mark_adopted(); !marked) {
      spdlog::error("op=mark_adopted errno={}", code(marked.error()));
    }
  }
  const MutexLock lock(mu_);
  progress_.running = more_;
  progress_.adopting = false;
  progress_.finished = volume_.clock.wall_now();
  adopting_ = false;
  return true;
}

}  // namespace ebbfs
