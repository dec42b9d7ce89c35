// SPDX-License-Identifier: Apache-2.0
//
// A directory tree on its way to another place in the globs: which inodes are in it, which unit
// each is in and which it will be in. Built by walking the backing tree while every unit concerned
// is frozen, so that it stays true until the rename is done.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fs/volume.h"

namespace ebbfs {

class Subtree {
 public:
  // A unit that some of it will be in.
  struct Destination {
    UnitRef unit;        // null: a unit to be made, with this record
    UnitRecord record;   // id not set; for a unit that stays, only `path` (its new one)
    bool keeps = false;  // `unit` is inside the tree and stays itself under a new path
    bool made = false;   // `unit` was made for this rename
  };
  struct Item {
    InodeId inode;
    uid_t uid;
    gid_t gid;
    Usage charge;
    std::size_t from;  // index into sources()
    std::size_t to;    // index into destinations()
    MatchState state;
    bool unit_top;  // of its new unit
    bool was_top;   // of its old one
  };

  // Walks the tree whose top is `name` in the open directory `dir`. `from`: the unit that the top's
  // directory is in. `to_unit`, `to`: the unit and match of its new name; `to_path` its new path.
  // Errors: those of the backing calls; EXDEV for a file with links outside its unit's part.
  [[nodiscard]] static Result<Subtree> walk(Volume& volume, int dir, const char* name,
                                            const UnitRef& from, const UnitRef& to_unit,
                                            const Match& to, const std::string& to_path);

  [[nodiscard]] const std::vector<Item>& items() const { return items_; }
  [[nodiscard]] const std::vector<UnitRef>& sources() const { return sources_; }
  // The unit that the top of `unit` will be in or be; null when that top is not in the tree.
  [[nodiscard]] UnitRef unit_of_top(const UnitRef& unit) const;
  [[nodiscard]] std::vector<Destination>& destinations() { return destinations_; }

 private:
  struct Context {
    std::size_t from;
    std::size_t to;
    Match match;  // of the name being visited, at its new place
    std::string path;
  };
  [[nodiscard]] Status visit(Volume& volume, int dir, const char* name, Context context, int depth);
  [[nodiscard]] Status descend(Volume& volume, int dir, const char* name, const Context& context,
                               MatchState state, int depth);
  [[nodiscard]] std::size_t source(const UnitRef& unit);

  std::vector<UnitRef> sources_;
  std::vector<Destination> destinations_;
  std::vector<Item> items_;
};

}  // namespace ebbfs
