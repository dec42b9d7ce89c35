// SPDX-License-Identifier: Apache-2.0
//
// One screen of `ebbctl top`. Pure, but for the time zone.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "fs/control_activity.h"
#include "fs/control_quota.h"
#include "fs/control_status.h"
#include "fs/control_views.h"
#include "tools/render.h"

namespace ebbfs {

struct TopFrame {
  StatusView status;
  ActivityView activity;
  QuotasView quotas;
  UnitsView next;  // soonest to expire first
};

// As many lines as Style::height allows, without a limit where that is 0.
[[nodiscard]] std::string render(const TopFrame& frame, const Style& style, WallTime now);

// What was done, with rates; the scopes that have a limit, the fullest first; what expires next.
[[nodiscard]] nlohmann::json top_json(const TopFrame& frame);

}  // namespace ebbfs
