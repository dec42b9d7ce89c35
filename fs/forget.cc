// SPDX-License-Identifier: Apache-2.0
#include "fs/forget.h"

#include <fcntl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <map>
#include <optional>

#include "fs/control_protocol.h"
#include "fs/directory_reader.h"
#include "fs/exports.h"
#include "fs/mount_table.h"
#include "fs/purge.h"
#include "fs/tree.h"
#include "index/rocks_store.h"

namespace ebbfs {
namespace {

constexpr std::size_t kNamesShown = 20;

int refuse(const std::string& why) {
  std::fprintf(stderr, "ebbfs: %s\n", why.c_str());
  return 1;
}

// Where the trash came from, by number; as far as an index that may be broken tells. Nothing when
// somebody has the index open.
using Paths = std::map<std::string, std::string>;
std::optional<Paths> paths_in_trash(int state_dir) {
  Paths paths;
  // Not made where there is none.
  if (::faccessat(state_dir, "index/CURRENT", F_OK, 0) != 0) return paths;
  const auto store = RocksStore::open("/proc/self/fd/" + std::to_string(state_dir) + "/index");
  if (!store && store.error() == Errno{EBUSY}) return {};
  if (!store) return paths;
  (void)(*store)->scan(Table::trash, {}, [&](std::string_view, std::string_view value) {
    if (const auto record = decode_trash(value)) {
      paths[std::to_string(raw(record->id))] = record->unit.path;
    }
    return true;
  });
  return paths;
}

void tell_trash(const Backing& backing, const Paths& paths) {
  const auto directory = backing.open_at(backing.trash_dir(), ".", O_RDONLY | O_DIRECTORY, 0);
  const auto names =
      directory ? names_in(directory->get()) : Result<std::vector<std::string>>(fail(EIO));
  if (!names || names->empty()) {
    std::printf("the trash is empty\n");
    return;
  }
  std::printf("in the trash, and lost with it (move it out of .ebbfs/trash/ to keep it):\n");
  std::size_t shown = 0;
  for (const std::string& name : *names) {
    if (++shown > kNamesShown) break;
    Usage held;
    const auto inside = gather_tree(backing, backing.trash_dir(), name.c_str(), kTrashTreeMax);
    for (const TreeInode& inode : inside.value_or(std::vector<TreeInode>())) {
      held += charge_for(inode.attributes);
    }
    const auto path = paths.find(name);
    std::printf("  %-8s %10s  %s\n", name.c_str(),
                inside ? format_bytes_exact(held.bytes).c_str() : "?",
                path == paths.end() ? "" : path->second.c_str());
  }
  if (shown > kNamesShown) std::printf("  and %zu more\n", names->size() - kNamesShown);
}

bool confirmed(const std::string& directory) {
  std::printf("Remove %s/.ebbfs? [y/N] ", directory.c_str());
  std::fflush(stdout);
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "yes";
}

}  // namespace

int forget_volume(const std::string& directory, bool yes) {
  if (is_ebbfs_mount(directory)) {
    return refuse(directory + " is mounted; umount it first");
  }
  if (is_served(directory)) {
    return refuse(directory +
                  " is served by an ebbfs that is mounted elsewhere; umount that first");
  }
  const UniqueFd probe(
      ::open((directory + "/" + kStateDirName).c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  if (!probe.valid()) {
    if (errno != ENOENT && errno != ENOTDIR) {
      return refuse("cannot look into " + directory + ": " + std::strerror(errno));
    }
    return refuse(directory + " has no .ebbfs/: it is a plain directory, or not there at all");
  }
  const auto paths = paths_in_trash(probe.get());
  if (!paths) return refuse(directory + " is managed by a running ebbfs; umount it first");
  const auto backing = Backing::open(directory);
  if (!backing) {
    return refuse("cannot use " + directory + ": " + std::strerror(code(backing.error())));
  }
  const Exports exports((*backing)->state_dir());
  std::printf(
      "%s: its files stay as they are; what ebbfs knows of them goes: owners, history, "
      "pins (%zu), quotas (%zu)\n",
      directory.c_str(), exports.found().pins.size(), exports.found().quotas.size());
  tell_trash(**backing, *paths);
  // In front of what goes to standard error.
  std::fflush(stdout);
  if (!yes && ::isatty(STDIN_FILENO) == 0) {
    return refuse("nothing was removed; add --yes to do it");
  }
  if (!yes && !confirmed(directory)) return refuse("nothing was removed");
  const PurgeHooks hooks{[](const Attributes&) {}, [] { return true; }};
  if (const auto purged = purge_tree(**backing, (*backing)->root(), kStateDirName, hooks);
      !purged) {
    return refuse("cannot remove " + directory + "/.ebbfs: " + std::strerror(code(purged.error())));
  }
  std::printf("removed %s/.ebbfs; %s is a plain directory\n", directory.c_str(), directory.c_str());
  return 0;
}

}  // namespace ebbfs
