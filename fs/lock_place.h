// SPDX-License-Identifier: Apache-2.0
//
// Where a name lies now and what the policy makes of it there, whatever was recorded when it became
// a lock: a directory above it may have been renamed since. Stateless: any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "fs/volume.h"

namespace ebbfs {

// Of `name` in the open directory `dir`: nothing when it is no lock there. Errors: those of looking
// at the directories above; ESTALE when it is in a unit that is not known yet.
[[nodiscard]] Result<std::optional<LockPlace>> lock_place(const Volume& volume, int dir,
                                                          std::string_view name);

// The directory that the lock of `record` lies in.
[[nodiscard]] Result<SharedFd> open_lock_parent(Volume& volume, const LockRecord& record);

}  // namespace ebbfs
