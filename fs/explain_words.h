// SPDX-License-Identifier: Apache-2.0
//
// What follows from the figures of an ExplainView: two sentences, and what to do next. Pure.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "fs/control_explain.h"

namespace ebbfs {

// How full it is and how that changes; then what takes most of it, or why nothing is removed.
[[nodiscard]] std::vector<std::string> verdict_of(const ExplainView& view);

// At most kActionsMax, the most useful first. For users what they may do.
//   limited  names of users whose bytes have a hard limit already
inline constexpr std::size_t kActionsMax = 6;
[[nodiscard]] std::vector<ActionView> actions_of(const ExplainView& view,
                                                 const std::set<std::string>& limited = {});

// "3d 4h", "50m", "12s": the two largest units.
[[nodiscard]] std::string span_text(Duration span);

}  // namespace ebbfs
