// SPDX-License-Identifier: Apache-2.0
//
// What a rename means for units, worked out before anything changes. Private to rename.cc and
// rename_across.cc.
#pragma once

#include <fcntl.h>

#include <optional>
#include <string>

#include "fs/filesystem.h"

namespace ebbfs {

// One of the two names of a rename, and what it stands for now.
struct Filesystem::RenameSide {
  InodeRef directory;
  Standpoint at;
  SharedFd fd;
  Match match;  // of the name
  std::string name;
  std::optional<Attributes> present;  // what the name stands for, when it exists
  FileHandle handle;                  // of the same
  UnitRef unit;                       // that the present object is in, or would be in
  bool unit_top = false;              // the present object is the top of `unit`

  [[nodiscard]] const Inode::Place& place() const { return at.place(); }  // of the directory
  // Whether something renamed to this name becomes the top of a unit.
  [[nodiscard]] bool makes_unit() const {
    return match.tree_class != kNoClass && place().unit->is_root();
  }
};

struct Filesystem::RenamePlan {
  RenameSide from;
  RenameSide to;
  unsigned flags = 0;

  // To be asked again inside the units: the directories may have been moved to others before.
  [[nodiscard]] bool holds() const { return from.at.holds() && to.at.holds(); }
  [[nodiscard]] bool is_tree() const { return is_directory(*from.present); }
  // Something below it gets another path.
  [[nodiscard]] bool moves_directory() const {
    return is_tree() || ((flags & RENAME_EXCHANGE) != 0 && to.present && is_directory(*to.present));
  }
  // Two names of one file: rename(2) then does nothing.
  [[nodiscard]] bool same_file() const {
    return to.present && to.present->stx_ino == from.present->stx_ino;
  }
};

// Units that are about to get other paths, bound by the limits of these already; by those of their
// old paths again unless kept.
class NewPaths {
 public:
  explicit NewPaths(Volume& volume) : volume_(volume) {}
  NewPaths(const NewPaths&) = delete;
  NewPaths& operator=(const NewPaths&) = delete;
  ~NewPaths() {
    for (const UnitRef& unit : units_) volume_.ledger.limit_unit(unit->accounts(), unit->path());
  }
  // EDQUOT where what `unit` holds would pass a limit at `path`.
  [[nodiscard]] Status add(const UnitRef& unit, const std::string& path) {
    auto fits = volume_.ledger.limit_moving_unit(unit->accounts(), path);
    if (fits) units_.push_back(unit);
    return fits;
  }
  // They have them now.
  void keep() { units_.clear(); }

 private:
  Volume& volume_;
  std::vector<UnitRef> units_;
};

}  // namespace ebbfs
