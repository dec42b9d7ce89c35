// SPDX-License-Identifier: Apache-2.0
//
// Locks that lie in the tree and that nobody has recorded: found by adoption, after a crash, behind
// our back, or in a unit that came back from the trash. Their owner is unknown, but for one whose
// record lost its object in a crash. A directory is never taken for one: it may as well be a place
// for locks.
//
// Threading: any thread that serves no request.
#pragma once

#include <optional>
#include <string>

#include "fs/volume.h"

namespace ebbfs {

// An open directory of the tree.
struct WalkedDirectory {
  const Inode::Place& place;
  int fd;
  InodeId id;
};

// By its name, which `match` is of, and type: it may be a lock, and none is recorded there.
[[nodiscard]] bool may_be_lock(const Volume& volume, const WalkedDirectory& directory,
                               const std::string& name, const Match& match,
                               const Attributes& attributes);

// Records `name` as a lock, if it is one and not recorded; made at its newest change, but not
// before `made_min`. Gives when it is due. The unit is frozen, so that nobody takes the name
// meanwhile.
[[nodiscard]] std::optional<WallTime> adopt_lock(Volume& volume, const WalkedDirectory& directory,
                                                 const std::string& name, WallTime made_min);

// Records the locks in and below the directory `top`, all of one unit, made now: whoever has just
// put them there is given their whole ttl to look after them. Gives the first deadline, kNever when
// there is none. A directory whose unit does not come to rest is left out, and said.
[[nodiscard]] WallTime adopt_locks_below(Volume& volume, const Inode::Place& top);

}  // namespace ebbfs
