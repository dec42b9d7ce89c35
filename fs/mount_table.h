// SPDX-License-Identifier: Apache-2.0
//
// Questions to mountinfo in /proc, of our own mount namespace and of others; nothing is asked of
// the mounts themselves. Stateless: any thread.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ebbfs {

// Whether an ebbfs is mounted at `path`, the last one there.
[[nodiscard]] bool is_ebbfs_mount(const std::string& path);
// Whether some ebbfs mounted here serves the directory `backing`.
[[nodiscard]] bool is_served(const std::string& backing);
// A mount of the ebbfs that serves `backing` which only others see (a container has a copy of it,
// or the only one): the first process there, what it runs, and where it is in its tree of mounts.
// One for each other mount namespace that can be looked at.
struct MountElsewhere {
  pid_t process = 0;
  std::string command;
  std::string point;
};
[[nodiscard]] std::vector<MountElsewhere> mounts_elsewhere(const std::string& backing);
// What of the filesystem `device` (st_dev) something is mounted upon according to `mountinfo`
// (proc(5)) of any process, wherever that filesystem is seen there, and whatever part of it: paths
// below its root without a slash in front. Nothing when it is not understood.
[[nodiscard]] std::optional<std::vector<std::string>> mounted_upon(std::string_view mountinfo,
                                                                   dev_t device);
// Whether `path` is where a filesystem is mounted from its own root.
[[nodiscard]] bool is_whole_filesystem(const std::string& path);

}  // namespace ebbfs
