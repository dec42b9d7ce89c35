// SPDX-License-Identifier: Apache-2.0
#include "fs/index_watch.h"

#include <spdlog/spdlog.h>

#include <cstring>
#include <utility>

namespace ebbfs {
namespace {

using Removal = Health::Removal;

constexpr std::string_view kStart = "index_at_start";
constexpr std::string_view kChanges = "index_changes";
constexpr std::string_view kReads = "index_reads";
constexpr std::string_view kCounters = "index_counters";

}  // namespace

IndexWatch::IndexWatch(Volume& volume, SteadyStore& steady, Exports& exports,
                       std::function<bool()> counting)
    : volume_(volume), steady_(steady), exports_(exports), counting_(std::move(counting)) {
  steady_.on_trouble([&exports](Errno why) { exports.distrust(std::strerror(code(why))); });
}

bool IndexWatch::must_recount(const OpenedIndex& opened, bool whole_filesystem) {
  const Exports::Found& found = exports_.found();
  const VolumeState state = opened.index->volume_state();
  if (!opened.lost.empty() || opened.rolled_back) return true;
  if (state.fresh) return false;  // adopted anyway
  if (!found.trusted) {
    spdlog::warn("event=index_not_trusted action=everything_is_counted");
    return true;
  }
  const auto inodes = exports_.inodes_in_use();
  if (!whole_filesystem || !state.clean || !found.inodes || !inodes || *inodes == *found.inodes) {
    return false;
  }
  spdlog::warn(
      "event=changed_while_unmounted inodes_then={} inodes_now={} "
      "action=everything_is_counted",
      *found.inodes, *inodes);
  return true;
}

void IndexWatch::begin(const OpenedIndex& opened) {
  trust();
  export_pins(volume_);
  volume_.quotas.export_to(&exports_);
  const VolumeState state = volume_.index.volume_state();
  // The last run may have ended before everything was counted.
  const bool rebuilding = !opened.lost.empty() || (state.rebuilt() && !state.adopted);
  if (rebuilding) {
    const std::string kept =
        opened.kept_as.empty() ? "" : "; the old one is kept as .ebbfs/" + opened.kept_as;
    volume_.health.report(
        kStart,
        "the index was lost (" + state.rebuilt_why +
            ") and is rebuilt from the tree: removal is paused until everything is counted; "
            "pins and quotas were taken over, history and owners are lost" +
            kept + "; check the disk (dmesg, SMART) if nobody deleted it",
        Removal::paused);
    tell("index lost", state.rebuilt_why + kept);
  } else if (opened.rolled_back) {
    volume_.health.report(kStart,
                          "the index was damaged at its end and is back at an earlier state: "
                          "removal is paused until everything is counted; check the disk (dmesg, "
                          "SMART)",
                          Removal::paused);
    tell("index rolled back", "its log was damaged");
  }
  waits_for_census_ = rebuilding || opened.rolled_back;
}

void IndexWatch::trust() {
  exports_.trust();
  // Refused just now: on_trouble may have come before.
  if (const auto why = steady_.trouble()) exports_.distrust(std::strerror(code(*why)));
}

void IndexWatch::tell(std::string_view what, std::string detail) {
  EventRecord event;
  event.kind = EventRecord::Kind::warning;
  event.time = volume_.clock.wall_now();
  event.rule = what;
  event.detail = std::move(detail);
  (void)volume_.index.append_event(std::move(event));
}

void IndexWatch::look() {
  look_at_changes();
  look_at_reads();
  look_at_counters();
  look_at_census();
}

void IndexWatch::look_at_changes() {
  const auto why = steady_.trouble();
  if (!why) {
    if (!std::exchange(refusing_, false)) return;
    // A request's own commit cannot have got through: only retry() ends it.
    volume_.health.recovered(kChanges);
    return;
  }
  const std::string reason = std::strerror(code(*why));
  if (!std::exchange(refusing_, true)) tell("index refuses changes", reason);
  if (steady_.retry()) {
    refusing_ = false;
    volume_.health.recovered(kChanges);
    if (believed_) trust();
    tell("index takes changes again", "");
    return;
  }
  if (steady_.lost()) {
    believed_ = false;
    volume_.health.report(kChanges,
                          "the index takes no changes (" + reason +
                              ") and too many had to be kept in memory: removal is paused; mount "
                              "again when the cause is gone, everything is counted then",
                          Removal::paused);
    return;
  }
  const bool full = *why == Errno{ENOSPC} || *why == Errno{EDQUOT};
  volume_.health.report(
      kChanges,
      full ? "the index has no space: changes are kept in memory until there is some; make room"
           : "the index takes no changes (" + reason +
                 "): they are kept in memory, removal is paused; see the log, check the disk, then "
                 "mount again",
      full ? Removal::goes_on : Removal::paused);
}

void IndexWatch::look_at_reads() {
  const auto why = steady_.read_trouble();
  if (!why ||
      !volume_.health.report(kReads,
                             "the index cannot be read (" + std::string(std::strerror(code(*why))) +
                                 "): removal is paused; mount again, it is rebuilt then",
                             Removal::paused)) {
    return;
  }
  believed_ = false;
  exports_.distrust("it cannot be read");
  tell("index cannot be read", std::strerror(code(*why)));
}

void IndexWatch::look_at_counters() {
  if (!volume_.ledger.went_below_zero()) return;
  if (!volume_.health.report(kCounters,
                             "something was freed that was never counted: the tree was changed "
                             "behind the mount; ebbctl check tells where, the next mount counts "
                             "everything again",
                             Removal::goes_on)) {
    return;
  }
  believed_ = false;
  exports_.distrust("a counter went below zero");
  spdlog::error("event=counter_below_zero action=counted_again_at_the_next_mount");
  tell("counter below zero", "the tree was changed behind the mount");
}

void IndexWatch::look_at_census() {
  if (!waits_for_census_ || counting_()) return;
  waits_for_census_ = false;
  volume_.health.recovered(kStart);
  tell("index rebuilt", "everything is counted");
}

bool IndexWatch::settle() {
  look();
  export_pins(volume_);
  if (refusing_ || !believed_) return false;
  exports_.leave();
  return true;
}

}  // namespace ebbfs
