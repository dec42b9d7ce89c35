// SPDX-License-Identifier: Apache-2.0
//
// Who keeps a mount busy, for people: one pass over /proc. Stateless: any thread.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <vector>

namespace ebbfs {

// Processes with their working or root directory, an open file or a mapping on filesystem `device`
// (st_dev), or that run a program from it: "pid 4242 (bash) working directory". At most `max`; what
// cannot be looked at is left out. Asks the kernel's cache only, never the server of `device`.
[[nodiscard]] std::vector<std::string> holders_of(dev_t device, std::size_t max);

}  // namespace ebbfs
