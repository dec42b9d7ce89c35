// SPDX-License-Identifier: Apache-2.0
//
// The ebbfs mounts of a host, from the text of /proc/self/mountinfo (proc(5)). Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ebbfs {

// One line of mountinfo about an ebbfs.
struct MountEntry {
  std::string device;  // "major:minor": the same for all mounts of one volume
  std::string root;  // directory of the volume that is mounted: "/", or else a bind mount of a part
  std::string point;
  bool operator==(const MountEntry&) const = default;
};

// The ebbfs mounts in `mountinfo`, in its order; of several at one mount point the last, which
// covers the others.
[[nodiscard]] std::vector<MountEntry> ebbfs_mounts(std::string_view mountinfo);

}  // namespace ebbfs
