// SPDX-License-Identifier: Apache-2.0
//
// Questions to /proc/self/mountinfo; nothing is asked of the mounts themselves. Stateless: any
// thread.
#pragma once

#include <string>

namespace ebbfs {

// Whether an ebbfs is mounted at `path`, the last one there.
[[nodiscard]] bool is_ebbfs_mount(const std::string& path);
// Whether some ebbfs mounted here serves the directory `backing`.
[[nodiscard]] bool is_served(const std::string& backing);
// Whether `path` is where a filesystem is mounted from its own root.
[[nodiscard]] bool is_whole_filesystem(const std::string& path);

}  // namespace ebbfs
