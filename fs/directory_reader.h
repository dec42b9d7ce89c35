// SPDX-License-Identifier: Apache-2.0
//
// The names in a directory, for walks off the request path.
#pragma once

#include <string>
#include <vector>

#include "index/result.h"

namespace ebbfs {

// All names in the directory `fd` but the dots, in the order the filesystem gives them. `fd` must
// be readable and its position at the start; the position is used up. Errors: those of
// getdents64(2).
[[nodiscard]] Result<std::vector<std::string>> names_in(int fd);

}  // namespace ebbfs
