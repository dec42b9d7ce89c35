// SPDX-License-Identifier: Apache-2.0
//
// What grows with the volume, or must not: many units, against the sweepers that walk them all; how
// long a start takes; what a deletion, or a request that waits for space, costs everybody else.
// Threading: one thread, and processes that it forks.
#pragma once

#include <functional>
#include <string>

namespace ebbfs::bench {

struct ScaleSize {
  int units = 100'000;
  int files = 100;      // in each
  int due = 1'000;      // units that expire while the others stay
  int large = 200'000;  // files of one unit that is deleted
  int operations = 20'000;
};
[[nodiscard]] ScaleSize quick_scale_size();

// A figure that stands by itself; `text` with its unit, and the goal where there is one.
using Fact = std::function<void(const std::string& name, const std::string& text)>;

// On tmpfs below `scratch`. `binaries`: the directory of ebbfs and ebbctl. Throws
// std::runtime_error.
void measure_many_units(const std::string& binaries, const std::string& scratch,
                        const ScaleSize& size, const Fact& fact);
void measure_neighbours(const std::string& binaries, const std::string& scratch,
                        const ScaleSize& size, const Fact& fact);

}  // namespace ebbfs::bench
