// SPDX-License-Identifier: Apache-2.0
//
// What processes hold of a volume, as one look at /proc tells. Values.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <unordered_set>
#include <vector>

#include "index/types.h"

namespace ebbfs {

// As stat(2) shows them.
struct Devices {
  dev_t mount = 0;    // of files in the mount
  dev_t backing = 0;  // of the same files beneath it; 0: not to be looked for
};

// How far to look.
enum class ProcessLook : std::uint8_t {
  opens,  // working and root directories, programs, descriptors
  all,  // and mapped files and mounts: may wait for a process that changes its memory or waits for
        // a page
};

struct ProcessUse {
  // Inode numbers, on either filesystem: but for the root's they are the same on both.
  std::unordered_set<std::uint64_t> inodes{};
  // Of those on the backing filesystem, each once. Who came before the mount, or goes around it,
  // holds what the mount need not know. Some may lie outside of the volume.
  std::vector<FileHandle> beneath{};
  // Paths, below the root of the mounted filesystem, upon which something is mounted in another
  // mount namespace than ours.
  std::vector<std::string> mounted_upon{};
};

}  // namespace ebbfs
