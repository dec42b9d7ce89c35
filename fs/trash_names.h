// SPDX-License-Identifier: Apache-2.0
//
// Names in the trash directory; fs/trash.h says what they stand for.
#pragma once

#include <string>

#include "index/types.h"

namespace ebbfs {

[[nodiscard]] inline std::string trash_name(TrashId id) { return std::to_string(raw(id)); }
[[nodiscard]] inline std::string git_name(TrashId id) { return trash_name(id) + ".git"; }
[[nodiscard]] inline std::string purge_name(TrashId id) { return trash_name(id) + ".purge"; }
[[nodiscard]] inline std::string scratch_name(TrashId id) { return trash_name(id) + ".tmp"; }

}  // namespace ebbfs
