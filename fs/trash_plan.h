// SPDX-License-Identifier: Apache-2.0
//
// What one restore is about to do: internal to trash_restore.cc and trash_restore_git.cc.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fs/quota_fit.h"
#include "fs/trash.h"
#include "fs/tree.h"

namespace ebbfs {

struct Trash::Plan {
  UnitRecord record;  // as it will be
  SplitPath place;
  UniqueFd parent;
  InodeId parent_inode{};
  std::vector<UsageCell> cells;            // of the unit, without git's entry
  std::shared_ptr<UnitAccounts> accounts;  // that will be the unit's
  std::vector<UsageCell> moved;            // charged there already

  // The administrative entry.
  struct Git {
    std::string path;  // that it will have; "" when none goes back
    std::string lost;  // why none does, though there was one
    SplitPath place;
    UniqueFd parent;         // the directory `worktrees`, once it is there
    UniqueFd directory;      // the git directory, when `worktrees` is missing in it
    InodeId parent_inode{};  // of what is open
    UnitRef unit;            // that it lies in
    UnitUse use;             // ...entered, so that its stored usage does not count as exact
    std::vector<TreeInode> inodes;
    std::vector<UsageCell> cells;
    std::vector<UsageCell> moved;
    std::optional<UsageCell> made;  // what `worktrees` costs, when it is missing
    bool charged_made = false;
    Attributes directory_attributes{};
  } git;

  [[nodiscard]] Usage usage() const {
    Usage sum;
    for (const UsageCell& cell : cells) sum += cell.usage;
    return sum;
  }
};

// Adds the usage of `more` to the cell of its owner.
void add_usage(std::vector<UsageCell>& cells, const UsageCell& more);
// Takes charges back where they came from.
void return_cells(UsageLedger& ledger, UnitAccounts& from, UnitAccounts& to,
                  std::vector<UsageCell>& cells);

}  // namespace ebbfs
