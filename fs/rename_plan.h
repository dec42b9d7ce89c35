// SPDX-License-Identifier: Apache-2.0
//
// What a rename means for units, worked out before anything changes. Private to rename.cc and
// rename_across.cc.
#pragma once

#include <optional>
#include <string>

#include "fs/filesystem.h"

namespace ebbfs {

// One of the two names of a rename, and what it stands for now.
struct Filesystem::RenameSide {
  InodeRef directory;
  Inode::Place place;  // of the directory
  SharedFd fd;
  Match match;  // of the name
  std::string name;
  std::optional<Attributes> present;  // what the name stands for, when it exists
  FileHandle handle;                  // of the same
  UnitRef unit;                       // that the present object is in, or would be in
  bool unit_top = false;              // the present object is the top of `unit`

  // Whether something renamed to this name becomes the top of a unit.
  [[nodiscard]] bool makes_unit() const {
    return match.tree_class != kNoClass && place.unit->is_root();
  }
};

struct Filesystem::RenamePlan {
  RenameSide from;
  RenameSide to;
  unsigned flags = 0;

  [[nodiscard]] bool is_tree() const { return is_directory(*from.present); }
  // Two names of one file: rename(2) then does nothing.
  [[nodiscard]] bool same_file() const {
    return to.present && to.present->stx_ino == from.present->stx_ino;
  }
};

}  // namespace ebbfs
