// SPDX-License-Identifier: Apache-2.0
//
// `ebbfs --forget DIR`: a volume becomes a plain directory again. Removes .ebbfs/ and nothing else;
// says before what goes with it. Threading: one thread.
#pragma once

#include <string>

namespace ebbfs {

// `directory`: absolute. Without `yes` it asks at a terminal, and elsewhere refuses. Returns the
// exit code: 0 forgotten, 1 not (stderr says why).
[[nodiscard]] int forget_volume(const std::string& directory, bool yes);

}  // namespace ebbfs
