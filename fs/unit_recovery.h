// SPDX-License-Identifier: Apache-2.0
//
// Units whose record and top do not agree: a crash came between the change of a name and of the
// record, or the top was moved behind the mount's back. The top decides: where it is, and whether
// that is a place for a unit of its class. Threading: any thread, unless a function says otherwise.
#pragma once

#include <string_view>

#include "fs/volume.h"

namespace ebbfs {

// Whether something at `path` is the top of a unit of the class and job that `record` names.
[[nodiscard]] bool is_unit_place(const Volume& volume, const UnitRecord& record,
                                 std::string_view path);

// Whether the object `handle` is what `path` stands for. Errors: those of the backing calls other
// than its absence.
[[nodiscard]] Result<bool> stands_at(const Volume& volume, std::string_view path,
                                     const FileHandle& handle);

// At start, before requests are served: each unit that a crash has met in use gets the path that
// its top has now, and is forgotten where its top is gone or no longer in a place for it (its
// contents are then counted with what they lie in). A file that has been renamed cannot be found
// from its record; the census comes across it, or does not and forgets the unit.
void settle_units(Volume& volume);

}  // namespace ebbfs
