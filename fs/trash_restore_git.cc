// SPDX-License-Identifier: Apache-2.0
//
// The administrative entry of a worktree that is being restored. Its name may be taken by a new
// worktree of the same name: then it gets the next free one, as git would give it. `worktrees`
// itself may be gone, as git removes it with its last entry.
#include <fcntl.h>
#include <spdlog/spdlog.h>

#include <cstring>

#include "fs/git_directory.h"
#include "fs/git_relink.h"
#include "fs/purge.h"
#include "fs/trash_names.h"
#include "fs/trash_plan.h"

namespace ebbfs {
namespace {

// Names tried for an administrative entry.
constexpr int kNamesMax = 10'000;

std::string errno_text(Errno error) { return std::strerror(code(error)); }

}  // namespace

void add_usage(std::vector<UsageCell>& cells, const UsageCell& more) {
  for (UsageCell& cell : cells) {
    if (cell.uid != more.uid || cell.gid != more.gid) continue;
    cell.usage += more.usage;
    return;
  }
  cells.push_back(more);
}

void return_cells(UsageLedger& ledger, UnitAccounts& from, UnitAccounts& to,
                  std::vector<UsageCell>& cells) {
  for (const UsageCell& moved : cells) {
    Cell& source = ledger.cell(from, moved.uid, moved.gid);
    Cell& target = ledger.cell(to, moved.uid, moved.gid);
    if (ledger.move(source, target, moved.usage)) continue;
    // A limit of its own was lowered meanwhile: it held this a moment ago.
    ledger.settle(source, -moved.usage);
    ledger.settle(target, moved.usage);
  }
  cells.clear();
}

void Trash::plan_git(const Entry& entry, const Wish& wish, Plan& plan) {
  Plan::Git& git = plan.git;
  const std::string& path = entry.record.git_admin_path;
  if (path.empty()) return;
  const Backing& backing = volume_.backing;
  const auto lose = [&git](std::string why) {
    git.lost = std::move(why);
    git.unit = nullptr;
    git.use = {};
  };
  auto inodes =
      gather_tree(backing, backing.trash_dir(), git_name(entry.record.id).c_str(), kAdminInodesMax);
  if (!inodes) return lose(errno_text(inodes.error()));
  git.inodes = std::move(*inodes);
  for (const TreeInode& inode : git.inodes) {
    if (!inode.whole()) continue;
    const Attributes& is = inode.attributes;
    add_usage(git.cells, {is.stx_uid, is.stx_gid, charge_for(is)});
  }
  git.place = split_path(path);
  git.unit = unit_of_path(volume_, path);
  if (!wish.dry_run) {
    auto use = volume_.units.use(git.unit, git.unit->last_used(), true);
    if (!use) return lose(errno_text(use.error()));
    git.use = std::move(*use);
  }
  auto parent = open_beneath(backing.root(), git.place.directory, O_RDONLY | O_DIRECTORY);
  if (!parent && parent.error() == Errno{ENOENT}) {
    auto above = open_beneath(backing.root(), split_path(git.place.directory).directory,
                              O_RDONLY | O_DIRECTORY);
    if (!above || !is_git_directory(backing, above->get())) return lose("its repository is gone");
    git.directory = std::move(*above);
  } else if (!parent) {
    return lose(errno_text(parent.error()));
  } else {
    git.parent = std::move(*parent);
  }
  const int open = git.parent.valid() ? git.parent.get() : git.directory.get();
  const auto attributes = backing.stat(open, "");
  if (!attributes) return lose(errno_text(attributes.error()));
  git.parent_inode = inode_id_of(backing, *attributes);
  git.directory_attributes = *attributes;
  if (git.directory.valid()) {
    git.made = UsageCell{attributes->stx_uid, attributes->stx_gid, {{0}, 1}};
  }
  std::string name = git.place.name;
  for (int i = 1; git.parent.valid() && backing.stat(git.parent.get(), name.c_str()); ++i) {
    if (i == kNamesMax) return lose("its name is taken");
    name = git.place.name + std::to_string(i);
  }
  git.place.name = std::move(name);
  git.path = git.place.directory + "/" + git.place.name;
}

void Trash::give_back_git(const Entry& entry, Plan& plan) {
  Plan::Git& git = plan.git;
  if (git.unit == nullptr) return;
  return_cells(volume_.ledger, git.unit->accounts(), entry.holder->accounts(), git.moved);
  if (!git.charged_made) return;
  UsageLedger& ledger = volume_.ledger;
  ledger.settle(ledger.cell(git.unit->accounts(), git.made->uid, git.made->gid), -git.made->usage);
  git.charged_made = false;
}

// Makes git's files name the places that they will be at, or again those that they were at.
void Trash::relink(const Entry& entry, Plan& plan, bool forth) {
  if (plan.git.path.empty()) return;
  const TrashId id = entry.record.id;
  GitRelink link{.dir = volume_.backing.trash_dir(),
                 .worktree = trash_name(id),
                 .entry = git_name(id),
                 .worktree_was = entry.record.unit.path,
                 .worktree_path = plan.record.path,
                 .entry_was = entry.record.git_admin_path,
                 .entry_path = plan.git.path};
  if (!forth) {
    std::swap(link.worktree_was, link.worktree_path);
    std::swap(link.entry_was, link.entry_path);
  }
  const auto linked = relink_git(volume_.backing, link, scratch_name(id));
  if (linked) return;
  spdlog::warn("event=git_not_relinked path={:?} entry={:?} errno={}", link.worktree_path,
               link.entry_path, code(linked.error()));
  plan.git.lost = "its files do not name each other; run: git worktree repair";
}

void Trash::put_back_git(const Entry& entry, Plan& plan, Restored& restored) {
  Plan::Git& git = plan.git;
  const Backing& backing = volume_.backing;
  const std::string name = git_name(entry.record.id);
  const auto back = [&]() -> Status {
    if (git.directory.valid()) {
      // As git would make it.
      const Attributes& like = git.directory_attributes;
      const std::string worktrees = split_path(git.place.directory).name;
      const int above = git.directory.get();
      if (auto made = backing.make_directory(above, worktrees.c_str(), 0700); !made) return made;
      auto fd = backing.open_at(above, worktrees.c_str(), O_RDONLY | O_DIRECTORY, 0);
      if (!fd) return std::unexpected(fd.error());
      (void)backing.change_owner(fd->get(), like.stx_uid, like.stx_gid);
      (void)backing.change_mode(fd->get(), like.stx_mode & 07777U);
      const auto is = backing.stat(fd->get(), "");
      if (!is) return std::unexpected(is.error());
      volume_.accounting.born(*git.unit, InodeId{is->stx_ino});
      git.charged_made = false;  // for good
      restored.appeared.push_back({git.parent_inode, worktrees});
      git.parent_inode = inode_id_of(backing, *is);
      git.parent = std::move(*fd);
    }
    return backing.rename(backing.trash_dir(), name.c_str(), git.parent.get(),
                          git.place.name.c_str(), RENAME_NOREPLACE);
  };
  restored.git_admin_lost = git.lost;
  if (!git.path.empty()) {
    if (const auto moved = back(); moved) {
      for (const TreeInode& inode : git.inodes) {
        if (inode.whole()) volume_.accounting.born(*git.unit, inode.id());
      }
      restored.git_admin_path = git.path;
      restored.appeared.push_back({git.parent_inode, git.place.name});
      return;
    } else {
      restored.git_admin_lost = errno_text(moved.error());
    }
  }
  restored.git_admin_path.clear();
  if (entry.record.git_admin_path.empty()) return;
  spdlog::warn("event=git_entry_not_restored path={:?} why={:?}", entry.record.git_admin_path,
               restored.git_admin_lost);
  give_back_git(entry, plan);
  UnitAccounts& accounts = entry.holder->accounts();
  const PurgeHooks hooks{[&](const Attributes& gone) {
                           volume_.ledger.settle(
                               volume_.ledger.cell(accounts, gone.stx_uid, gone.stx_gid),
                               -charge_for(gone));
                         },
                         [] { return true; }};
  (void)purge_tree(backing, backing.trash_dir(), name.c_str(), hooks);
}

}  // namespace ebbfs
