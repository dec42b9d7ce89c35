// SPDX-License-Identifier: Apache-2.0
//
// Deletes a tree that nobody can reach any more, whatever its depth and width, with a bounded
// number of descriptors and of names in memory: directories that lie too deep are first moved up to
// the top. What is left when it is stopped is deleted by calling it again. Stateless: any thread.
#pragma once

#include <functional>

#include "fs/backing.h"

namespace ebbfs {

struct PurgeHooks {
  // The last name of the inode with these attributes is gone.
  std::function<void(const Attributes&)> gone;
  // Called after each deletion; may sleep. False stops.
  std::function<bool()> proceed;
};

// Deletes `name` in the directory `dir` and all below it. A name that is absent is no error.
// Errors: ECANCELED when stopped; those of the backing calls.
[[nodiscard]] Status purge_tree(const Backing& backing, int dir, const char* name,
                                const PurgeHooks& hooks);

}  // namespace ebbfs
