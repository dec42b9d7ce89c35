// SPDX-License-Identifier: Apache-2.0
#include "fs/git_state.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include "fs/git_changes.h"
#include "fs/git_directory.h"
#include "fs/git_ignore.h"
#include "fs/git_index.h"
#include "fs/git_refs.h"
#include "fs/git_worktree.h"
#include "fs/tree.h"

namespace ebbfs {
namespace {

constexpr std::size_t kIndexBytesMax = 64U << 20U;

// Nothing: this step found nothing, go on.
using Finding = std::optional<GitState>;

GitState none() { return {GitWork::none, {}}; }
GitState dirty(std::string why) { return {GitWork::dirty, std::move(why)}; }
GitState unpushed(std::string why) { return {GitWork::unpushed, std::move(why)}; }
GitState unknown(std::string why) { return {GitWork::unknown, std::move(why)}; }

struct Repository {
  UniqueFd own;
  UniqueFd common;  // of a linked worktree: its main repository
  bool linked = false;

  [[nodiscard]] GitDirs dirs() const { return {own.get(), linked ? common.get() : own.get()}; }
};

class Look {
 public:
  Look(const Backing& backing, int top, Repository repository, GitBudget& budget)
      : backing_(backing), top_(top), repository_(std::move(repository)), budget_(budget) {}

  GitState look() {
    if (Finding found = operation_in_progress()) return *found;
    if (Finding found = what_hangs_on_it()) return *found;
    auto head = read_head(backing_, dirs(), budget_);
    if (!head) return unknown(head.error());
    auto log = read_head_log(backing_, dirs().own);
    if (!log) return unknown(log.error());
    head_ = std::move(*head);
    log_ = std::move(*log);
    if (Finding found = repository_.linked ? linked_commits() : own_commits()) return *found;

    const std::size_t object_bytes = head_.commit ? head_.commit->size() / 2 : 20;
    const auto content = read_git_file(backing_, dirs().own, "index", kIndexBytesMax);
    if (!content) return unknown("git's index cannot be read");
    GitIndex index;
    if (*content) {
      auto parsed =
          parse_git_index(std::as_bytes(std::span(**content)), object_bytes, budget_.left());
      if (!parsed) return unknown("git's index " + parsed.error());
      index = std::move(*parsed);
    }
    if (Finding found = staged(index, object_bytes)) return *found;
    return changed(index);
  }

 private:
  [[nodiscard]] GitDirs dirs() const { return repository_.dirs(); }

  Finding operation_in_progress() const {
    struct Mark {
      const char* name;
      const char* what;
    };
    constexpr std::array kMarks = {
        Mark{"MERGE_HEAD", "a merge is in progress"},
        Mark{"CHERRY_PICK_HEAD", "a cherry-pick is in progress"},
        Mark{"REVERT_HEAD", "a revert is in progress"},
        Mark{"sequencer", "a cherry-pick or revert is in progress"},
        Mark{"rebase-merge", "a rebase is in progress"},
        Mark{"rebase-apply", "a rebase is in progress"},
        Mark{"BISECT_LOG", "a bisection is in progress"},
        Mark{"index.lock", "git's index is locked"},
    };
    for (const auto& [name, what] : kMarks) {
      const auto mark = backing_.stat(dirs().own, name);
      if (mark) return dirty(what);
      if (!is_missing(mark.error())) return unknown(std::string(name) + " cannot be looked at");
    }
    return std::nullopt;
  }

  // Other things that git keeps in the directory and that this look does not understand.
  Finding what_hangs_on_it() const {
    const auto holds = [](int dir, const char* name, const char* what) -> Finding {
      const auto anything = holds_anything(dir, name);
      if (!anything) return unknown(std::string(name) + " cannot be looked at");
      return *anything ? Finding(unknown(what)) : std::nullopt;
    };
    if (Finding found = holds(dirs().common, "reftable", "its refs are kept in reftables")) {
      return found;
    }
    if (Finding found = holds(dirs().own, "modules", "it has submodules")) return found;
    if (repository_.linked) return std::nullopt;
    return holds(dirs().own, "worktrees", "other worktrees hang on it");
  }

  // The commit that the worktree was made with: what is there has come from elsewhere.
  [[nodiscard]] std::optional<std::string> beginning() const {
    if (!log_.first || log_.first->from.find_first_not_of('0') != std::string::npos) {
      return std::nullopt;
    }
    const std::string_view what = log_.first->what;
    // The first commit of a repository, or of a branch without history, is new work.
    const bool elsewhere =
        repository_.linked ? !what.starts_with("commit") : what.starts_with("clone: ");
    return elsewhere ? std::optional(log_.first->to) : std::nullopt;
  }

  // What a reset, the last step here, went back from, if it was made here.
  [[nodiscard]] std::optional<std::string> left_behind() const {
    if (!log_.last || !log_.before_last || !log_.last->what.starts_with("reset: ")) {
      return std::nullopt;
    }
    if (log_.last->from == log_.last->to) return std::nullopt;
    for (const char* step : {"clone: ", "pull", "checkout: ", "reset: "}) {
      if (log_.before_last->what.starts_with(step)) return std::nullopt;
    }
    return log_.last->from;
  }

  Finding linked_commits() const {
    const auto began = beginning();
    const auto left = left_behind();
    const auto open = [&](const std::optional<std::string>& commit) {
      return commit && commit != began;
    };
    if (!open(head_.commit) && !open(left)) return std::nullopt;
    const auto refs = read_refs(backing_, dirs().common, budget_);
    if (!refs) return unknown(refs.error());
    std::set<std::string_view> safe;
    for (const auto& [name, object] : *refs) {
      if (name != "refs/stash" && name != head_.branch) safe.insert(object);
    }
    if (open(head_.commit) && !safe.contains(*head_.commit)) {
      if (!head_.branch) return unpushed("commits of no branch");
      return unpushed("commits of " + short_name(*head_.branch) + " that no remote has");
    }
    if (open(left) && !safe.contains(*left)) return unpushed("commits before a git reset");
    return std::nullopt;
  }

  Finding own_commits() const {
    const auto refs = read_refs(backing_, dirs().common, budget_);
    if (!refs) return unknown(refs.error());
    if (refs->contains("refs/stash")) return unpushed("a stash");
    const auto began = beginning();
    std::set<std::string_view> safe;
    if (began) safe.insert(*began);
    for (const auto& [name, object] : *refs) {
      if (name.starts_with("refs/remotes/")) safe.insert(object);
    }
    for (const auto& [name, object] : *refs) {
      if (name.starts_with("refs/heads/") && !safe.contains(object)) {
        return unpushed("commits of " + short_name(name) + " that no remote has");
      }
    }
    if (head_.commit && !safe.contains(*head_.commit)) return unpushed("commits of no branch");
    const auto left = left_behind();
    if (left && !safe.contains(*left)) return unpushed("commits before a git reset");
    return std::nullopt;
  }

  static std::string short_name(std::string_view branch) {
    return std::string(branch.substr(std::string_view("refs/heads/").size()));
  }

  Finding staged(const GitIndex& index, std::size_t object_bytes) {
    for (const GitIndexEntry& entry : index.entries) {
      if (entry.unmerged) return dirty(entry.path + " is in conflict");
      if (entry.intent_to_add) return dirty(entry.path + " is to be added");
    }
    if (index.tree == GitIndex::Tree::changed) return dirty("staged changes");
    if (index.entries.empty()) return std::nullopt;
    // Every git that commits or checks out writes one.
    if (index.tree == GitIndex::Tree::unsaid || !head_.commit) return dirty("staged changes");
    if (!log_.settled) return std::nullopt;
    const WallTime since = *log_.settled;
    const auto objects = open_beneath(dirs().common, "objects", O_RDONLY | O_DIRECTORY);
    if (!objects) return unknown("git's objects cannot be looked at");
    std::array<std::optional<bool>, 256> grown;  // directories of objects, by first byte
    for (const GitIndexEntry& entry : index.entries) {
      if (!budget_.spend()) return unknown(std::string(kOverBounds));
      const std::string path = object_path(entry, object_bytes);
      std::optional<bool>& one = grown[entry.object[0]];
      if (!one) one = written_after(objects->get(), path.substr(0, 2), since);
      if (*one && written_after(objects->get(), path, since)) {
        return dirty(entry.path + " is staged");
      }
    }
    return std::nullopt;
  }

  // As a loose object, below objects/.
  static std::string object_path(const GitIndexEntry& entry, std::size_t object_bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string path;
    for (std::size_t i = 0; i < object_bytes; ++i) {
      path += kDigits[entry.object[i] >> 4U];
      path += kDigits[entry.object[i] & 15U];
      if (i == 0) path += '/';
    }
    return path;
  }

  [[nodiscard]] bool written_after(int objects, const std::string& path, WallTime since) const {
    const auto fd = open_beneath(objects, path, O_PATH);
    if (!fd) return false;
    const auto attributes = backing_.stat(fd->get(), "");
    return attributes && modified(*attributes) > since;
  }

  GitState changed(const GitIndex& index) {
    const auto exclude =
        read_git_file(backing_, dirs().common, "info/exclude", GitIgnore::kTextMax);
    if (!exclude) return unknown("info/exclude cannot be read");
    auto change = find_git_change(backing_, top_, index, exclude->value_or(""), budget_);
    if (!change) return unknown(std::move(change.error()));
    return *change ? dirty(std::move(**change)) : none();
  }

  const Backing& backing_;
  const int top_;
  const Repository repository_;
  GitBudget& budget_;
  GitHead head_;
  GitLog log_;
};

Result<std::optional<Repository>> open_linked(const Backing& backing, int dir, const char* name,
                                              std::string_view path) {
  const auto admin = find_git_admin(backing, dir, name, path);
  if (!admin) return std::unexpected(admin.error());
  if (!*admin) return std::nullopt;
  const int flags = O_RDONLY | O_DIRECTORY;
  auto own = open_beneath((*admin)->parent.get(), (*admin)->id, flags);
  if (!own) return std::unexpected(own.error());
  // <git dir>/worktrees/<id>, as git always writes it.
  const auto common_dir = read_line_file(backing, own->get(), "commondir");
  if (!common_dir) return std::unexpected(common_dir.error());
  if (*common_dir != "../..") return std::nullopt;
  const std::string main = split_path(split_path((*admin)->path).directory).directory;
  auto common = open_beneath(backing.root(), main, flags);
  if (!common) return std::unexpected(common.error());
  if (!is_git_directory(backing, common->get())) return std::nullopt;
  return Repository{.own = std::move(*own), .common = std::move(*common), .linked = true};
}

}  // namespace

GitState look_at_git_work(const Backing& backing, int dir, const char* name, std::string_view path,
                          const GitBounds& bounds) {
  const auto attributes = backing.stat(dir, name);
  if (!attributes) return unknown("it cannot be looked at");
  if (!is_directory(*attributes)) return none();
  const auto top = backing.open_at(dir, name, O_RDONLY | O_DIRECTORY, 0);
  if (!top) return unknown("it cannot be opened");
  const auto link = backing.stat(top->get(), ".git");
  if (!link) {
    if (!is_missing(link.error())) return unknown(".git cannot be looked at");
    if (is_git_directory(backing, top->get())) return unknown("it is a repository itself");
    return none();
  }
  GitBudget budget(bounds);
  if (is_regular(*link)) {
    auto repository = open_linked(backing, dir, name, path);
    if (!repository) return unknown("its git data cannot be read");
    if (!*repository) return unknown("its git data is not on this volume");
    return Look(backing, top->get(), std::move(**repository), budget).look();
  }
  auto own = open_beneath(top->get(), ".git", O_RDONLY | O_DIRECTORY);
  if (!own) return unknown(".git cannot be opened");
  if (!is_git_directory(backing, own->get())) return unknown(".git is no repository");
  if (backing.stat(own->get(), "commondir")) return unknown(".git is no whole repository");
  Repository repository{.own = std::move(*own), .common = {}, .linked = false};
  return Look(backing, top->get(), std::move(repository), budget).look();
}

}  // namespace ebbfs
