// SPDX-License-Identifier: Apache-2.0
//
// What a mounted volume holds, in a form that can be compared with itself after a crash: names,
// attributes and contents, units, locks and their owners, trash, limits; and whether every counter
// is what the tree says. Threading: none of its own.
#pragma once

#include <string>

#include "tests/support/mounted_volume.h"

namespace ebbfs::test {

// Waits until usage is exact; false when it did not become so.
[[nodiscard]] bool exact_soon(const MountedVolume& volume);

// One line for each thing, sorted. Times are left out, but for those of files.
[[nodiscard]] std::string picture_of(const MountedVolume& volume);

// `picture` with the owner of the lock `path` made "?".
[[nodiscard]] std::string without_owner(std::string picture, const std::string& path);

// Each scope whose counters differ from a fresh count of the tree, with both; "" when all are
// right. Waits a little for files that are being released.
[[nodiscard]] std::string wrong_charges(const MountedVolume& volume);

}  // namespace ebbfs::test
