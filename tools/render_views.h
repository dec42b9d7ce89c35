// SPDX-License-Identifier: Apache-2.0
//
// Each answer of the daemon as text for people: one function per view, pure but for the time zone.
// `now` is what relative times count from. The result ends with a newline.
#pragma once

#include <string>
#include <vector>

#include "fs/control_check.h"
#include "fs/control_explain.h"
#include "fs/control_quota.h"
#include "fs/control_status.h"
#include "fs/control_trash.h"
#include "fs/control_views.h"
#include "tools/render.h"

namespace ebbfs {

[[nodiscard]] std::string render(const StatusView& status, const Style& style, WallTime now);
[[nodiscard]] std::string render(const UnitsView& units, const Style& style, WallTime now);
[[nodiscard]] std::string render(const LocksView& locks, const Style& style, WallTime now);
[[nodiscard]] std::string render(const ShowView& show, const Style& style, WallTime now);
[[nodiscard]] std::string render(const ChangeView& change, const Style& style, WallTime now);
[[nodiscard]] std::string render(const ExplainView& explained, const Style& style, WallTime now);
[[nodiscard]] std::string render(const EventsView& events, const Style& style, WallTime now);
[[nodiscard]] std::string render(const TraceView& trace, const Style& style, WallTime now);
[[nodiscard]] std::string render(const QuotasView& quotas, const Style& style, WallTime now);
[[nodiscard]] std::string render(const RecountView& check, const Style& style, WallTime now);
[[nodiscard]] std::string render(const TrashView& trash, const Style& style, WallTime now);
[[nodiscard]] std::string render(const RestoreView& restored, const Style& style, WallTime now);
[[nodiscard]] std::string render(const ResumeView& resumed, const Style& style, WallTime now);
[[nodiscard]] std::string render(const PolicyView& policy, const Style& style, WallTime now);
[[nodiscard]] std::string render(const CheckView& check, const Style& style, WallTime now);

// What a reload has put in force, in short.
[[nodiscard]] std::string render_reloaded(const PolicyView& policy, const Style& style);

// The line above what render() gives of a TraceView.
[[nodiscard]] std::string trace_header(const Style& style);

// How far a check is: "checking: 42 %, 12,345 files, 9,800 a second". Without a newline.
[[nodiscard]] std::string render_progress(const RecountView& check);

// From so many percent on a volume, or what has a limit, stands out as nearly full.
inline constexpr double kVolumeNearlyFull = 85;
inline constexpr std::int64_t kQuotaNearlyFull = 90;
// In what time something is full: "3d 4h", "over a year".
[[nodiscard]] std::string time_to_full(Duration time);
// The latest first. What is told of the time asked for is of the oldest that is known where that is
// clearly younger, and then stands at its own age.
[[nodiscard]] std::vector<UsageThenView> by_age(const ExplainView& view);
// "3d 4h", "over a year", "not growing", "?" where the history is too short to say.
[[nodiscard]] std::string time_to_full(const UsageThenView& then);

// For tables: "alice ci-17"; the process too in full: "alice (uid 1000), git[4242], job ci-17".
[[nodiscard]] std::string owner_short(const OwnerView& owner);
[[nodiscard]] std::string owner_full(const OwnerView& owner);
// `word` as a shell takes it back; for what is shown as it is, not through plain().
[[nodiscard]] std::string shell_word(std::string_view word);
// A path on the volume, "." for its root.
[[nodiscard]] std::string shown_path(const std::string& path);

}  // namespace ebbfs
