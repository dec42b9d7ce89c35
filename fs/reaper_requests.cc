// SPDX-License-Identifier: Apache-2.0
//
// What administrators ask of the reaper beside removing, and the reminder that nothing is removed.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "fs/reaper.h"

namespace ebbfs {
namespace {

constexpr Duration kRemindEach = std::chrono::hours(1);

}  // namespace

std::expected<Trash::Restored, Trash::NotRestored> Reaper::restore(TrashId id,
                                                                   const Trash::Wish& wish) {
  auto restored = trash_.restore(id, wish);
  if (!restored || restored->unit == nullptr) return restored;
  for (const Trash::Appeared& one : restored->appeared) invalidator_.appeared(one.parent, one.name);
  due_at(std::min(unit_deadline(volume_, restored->unit->record()), restored->locks_due));
  return restored;
}

Result<bool> Reaper::resume(const std::string& by) {
  auto resumed = brake_.resume(by);
  if (resumed && *resumed) rules_changed();
  return resumed;
}

// Cleanup that is off must never be off quietly.
void Reaper::remind() {
  const BrakeRecord brake = brake_.state();
  const bool observing = volume_.rules.policy()->mode == Mode::observe;
  if (!observing && brake.cause == BrakeRecord::Cause::none) {
    reminded_.reset();
    return;
  }
  const MonoTime now = volume_.clock.mono_now();
  if (reminded_ && now - *reminded_ < kRemindEach) return;
  reminded_ = now;
  ReaperState counted;
  count_due(counted);
  spdlog::warn("event=not_enforcing why=\"{}\" due_units={} due_bytes={}",
               observing ? "mode is observe" : brake_text(brake) + "; see: ebbctl resume",
               counted.due_units, counted.due_usage.bytes.n);
}

}  // namespace ebbfs
