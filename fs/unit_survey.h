// SPDX-License-Identifier: Apache-2.0
//
// All units at one instant, and why each could not be removed now, were its space needed: a look at
// what is in memory, and at /proc once. It is no verdict (fs/unit_reaper.h): nothing is frozen, no
// file is read, and a mount or git's own mark inside is not looked for. Threading: any thread,
// holding no lock and inside no unit, and not on a request's thread, for /proc may take long.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fs/occupants.h"
#include "fs/reaper.h"
#include "fs/volume.h"
#include "policy/decision.h"

namespace ebbfs {

struct SurveyedUnit {
  UnitRef unit;
  UnitRecord record;  // without usage
  Usage usage;
  // `space` when nothing is in its way; else what is, of several the one that people can end.
  Reason reason = Reason::space;
};

// `inside`: nothing when it is not known.
[[nodiscard]] std::vector<SurveyedUnit> survey_units(const Volume& volume, const Reaper& reaper,
                                                     const std::optional<Occupants>& inside);

// "files in it are open"; for one that may go "".
[[nodiscard]] std::string held_text(Reason reason);

}  // namespace ebbfs
