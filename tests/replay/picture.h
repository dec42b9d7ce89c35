// SPDX-License-Identifier: Apache-2.0
//
// What came out of a replay, for reading: curves, table, verdict. Pure. Threading: none.
#pragma once

#include <string>
#include <vector>

#include "tests/replay/side.h"

namespace ebbfs::replay {

// Space used over the days, one letter a side, for a terminal.
[[nodiscard]] std::string plot(const std::vector<Outcome>& sides, int days);
// The same as SVG, with the jobs that failed below. `pace` goes into the title.
[[nodiscard]] std::string svg(const std::vector<Outcome>& sides, int days, const std::string& pace);
[[nodiscard]] std::string table(const std::vector<Outcome>& sides);
// What is not as it has to be, a line each; empty when all is: the bare volume fills, then refuses
// locks and fails jobs; on ebbfs no job fails and nothing that lives is removed.
[[nodiscard]] std::string complaints(const std::vector<Outcome>& sides);
// Whether and how much the machine lagged behind the plan, where that is worth saying.
[[nodiscard]] std::string lag(const std::vector<Outcome>& sides);

}  // namespace ebbfs::replay
