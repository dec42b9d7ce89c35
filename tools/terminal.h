// SPDX-License-Identifier: Apache-2.0
//
// What standard output is: how wide, in colour or not, and whether whoever reads it is still there.
#pragma once

#include <chrono>

#include "tools/render.h"

namespace ebbfs {

// Also sets the process's character type locale. Colour needs a terminal, no NO_COLOR in the
// environment, and a TERM other than "dumb".
[[nodiscard]] Style standard_output();

// From now on SIGINT or SIGTERM ends the next wait below, and the program goes to its end; who
// insists ends it at once.
void end_wait_on_signal();

// Waits for `time`; false at once when nobody can read standard output any more, or after a signal.
[[nodiscard]] bool wait_while_read(std::chrono::milliseconds time);

}  // namespace ebbfs
