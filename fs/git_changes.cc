// SPDX-License-Identifier: Apache-2.0
#include "fs/git_changes.h"

#include <fcntl.h>

#include <algorithm>
#include <span>
#include <vector>

#include "fs/git_ignore.h"
#include "fs/tree.h"

namespace ebbfs {
namespace {

// Each level keeps a descriptor open.
constexpr int kLevelsOpenMax = 64;

using Change = OrUnknown<std::optional<std::string>>;
using Entries = std::span<const GitIndexEntry>;

constexpr std::uint32_t kGitLink = 0160000;  // a submodule's top

std::unexpected<std::string> cannot_tell(std::string_view path, std::string_view why) {
  return std::unexpected(std::string(path) + std::string(why));
}
std::unexpected<std::string> over_bounds() { return std::unexpected(std::string(kOverBounds)); }

bool found_or_failed(const Change& change) { return !change || *change; }

bool is_same(const GitStamp& stamp, const statx_timestamp& now) {
  if (stamp.seconds != static_cast<std::uint32_t>(now.tv_sec)) return false;
  // Some that write an index know only seconds.
  return stamp.nanoseconds == 0 || stamp.nanoseconds == now.tv_nsec;
}

// The end of those at the front of `entries` whose paths begin with `prefix`.
std::size_t count_below(Entries entries, std::string_view prefix) {
  return static_cast<std::size_t>(
      std::ranges::find_if_not(entries,
                               [&](const auto& entry) { return entry.path.starts_with(prefix); }) -
      entries.begin());
}

class Walk {
 public:
  Walk(const Backing& backing, GitBudget& budget) : backing_(backing), budget_(budget) {}

  [[nodiscard]] bool exclude(std::string_view text) { return ignore_.push("", text); }

  // What lies below `prefix` ("" or with a slash at the end), the open directory `dir`, which the
  // index knows by `entries`. `ignored`: the directory itself is, so nothing untracked in it
  // counts.
  Change visit(int dir, const std::string& prefix, Entries entries, bool ignored, int depth) {
    return with_patterns(dir, prefix, [&]() -> Change {
      if (depth == kLevelsOpenMax) return over_bounds();
      std::vector<std::string_view> known;
      while (!entries.empty()) {
        const std::string_view rest = std::string_view(entries[0].path).substr(prefix.size());
        const std::size_t slash = rest.find('/');
        known.push_back(rest.substr(0, slash));
        std::size_t count = 1;
        Change change;
        if (slash == std::string_view::npos) {
          change = visit_file(dir, std::string(rest).c_str(), entries[0]);
        } else {
          const std::string below = entries[0].path.substr(0, prefix.size() + slash + 1);
          count = count_below(entries, below);
          change = visit_directory(dir, below, entries.first(count), ignored, depth);
        }
        if (found_or_failed(change)) return change;
        entries = entries.subspan(count);
      }
      if (ignored) return std::nullopt;
      std::ranges::sort(known);
      return find_untracked(dir, prefix, known, depth);
    });
  }

 private:
  // Runs `body` with the patterns of the directory's .gitignore in force.
  template <typename Body>
  Change with_patterns(int dir, const std::string& prefix, Body body) {
    const auto text = read_git_file(backing_, dir, ".gitignore", GitIgnore::kTextMax);
    // Git does not follow a link here either.
    if (!text && text.error() != Errno{ELOOP} && text.error() != Errno{EINVAL}) {
      return cannot_tell(prefix, ".gitignore cannot be read");
    }
    if (!text || !*text) return body();
    if (!ignore_.push(prefix, **text)) return cannot_tell(prefix, ".gitignore is too large");
    Change change = body();
    ignore_.pop();
    return change;
  }

  Change visit_file(int dir, const char* name, const GitIndexEntry& entry) {
    if (!budget_.spend()) return over_bounds();
    if (entry.unwatched) return std::nullopt;
    const auto attributes = backing_.stat(dir, name);
    if (!attributes) {
      if (is_missing(attributes.error())) return entry.path + " is gone";
      return cannot_tell(entry.path, " cannot be looked at");
    }
    if (entry.mode == kGitLink && is_directory(*attributes)) {
      const auto filled = holds_anything(dir, name);
      if (!filled || *filled) return cannot_tell(entry.path, " is a submodule");
      return std::nullopt;
    }
    if (!is_as_indexed(entry, *attributes)) return entry.path + " differs from git's index";
    return std::nullopt;
  }

  Change visit_directory(int dir, const std::string& prefix, Entries entries, bool ignored,
                         int depth) {
    const std::string path = prefix.substr(0, prefix.size() - 1);
    const std::string name = split_path(path).name;
    const auto fd = open_beneath(dir, name, O_RDONLY | O_DIRECTORY);
    if (!fd) {
      // ELOOP: a link has taken its place.
      if (!is_missing(fd.error()) && fd.error() != Errno{ELOOP}) {
        return cannot_tell(path, " cannot be opened");
      }
      if (std::ranges::all_of(entries, &GitIndexEntry::unwatched)) return std::nullopt;
      return path + " is gone";
    }
    ignored = ignored || ignore_.ignores(path, true);
    return visit(fd->get(), prefix, entries, ignored, depth + 1);
  }

  // The first thing in the open directory `dir` that is neither `known` (sorted) nor ignored, and
  // is a file or has one inside.
  Change find_untracked(int dir, const std::string& prefix,
                        const std::vector<std::string_view>& known, int depth) {
    for (;;) {
      const auto names = next_names(dir);
      if (!names) return cannot_tell(prefix, " cannot be listed");
      if (names->empty()) return std::nullopt;
      for (const std::string& name : *names) {
        if (std::ranges::binary_search(known, std::string_view(name))) continue;
        if (!budget_.spend()) return over_bounds();
        if (depth == 0 && name == ".git") continue;
        Change change = judge_untracked(dir, name, prefix + name, depth);
        if (found_or_failed(change)) return change;
      }
    }
  }

  Change judge_untracked(int dir, const std::string& name, const std::string& path, int depth) {
    if (name == ".git") return path + " is another repository";
    const auto attributes = backing_.stat(dir, name.c_str());
    if (!attributes) {
      if (is_missing(attributes.error())) return std::nullopt;
      return cannot_tell(path, " cannot be looked at");
    }
    const bool directory = is_directory(*attributes);
    if (ignore_.ignores(path, directory)) return std::nullopt;
    if (!directory) {
      // Git can keep nothing else.
      if (!is_regular(*attributes) && !S_ISLNK(attributes->stx_mode)) return std::nullopt;
      return path + " was never added to git";
    }
    const auto fd = open_beneath(dir, name, O_RDONLY | O_DIRECTORY);
    if (!fd || depth == kLevelsOpenMax) return cannot_tell(path, " cannot be looked at");
    return with_patterns(fd->get(), path + "/",
                         [&] { return find_untracked(fd->get(), path + "/", {}, depth + 1); });
  }

  const Backing& backing_;
  GitBudget& budget_;
  GitIgnore ignore_;
};

}  // namespace

bool is_as_indexed(const GitIndexEntry& entry, const Attributes& attributes) {
  if ((entry.mode & S_IFMT) != (attributes.stx_mode & S_IFMT)) return false;
  // Of a file's permissions git keeps whether the owner may execute it.
  if (is_regular(attributes) && ((entry.mode ^ attributes.stx_mode) & S_IXUSR) != 0) return false;
  if (entry.size != static_cast<std::uint32_t>(attributes.stx_size)) return false;
  if (entry.inode != 0 && entry.inode != static_cast<std::uint32_t>(attributes.stx_ino)) {
    return false;
  }
  return is_same(entry.modified, attributes.stx_mtime) &&
         (entry.changed == GitStamp{} || is_same(entry.changed, attributes.stx_ctime));
}

OrUnknown<std::optional<std::string>> find_git_change(const Backing& backing, int top,
                                                      const GitIndex& index,
                                                      std::string_view exclude, GitBudget& budget) {
  Walk walk(backing, budget);
  if (!walk.exclude(exclude)) return cannot_tell("", "info/exclude is too large");
  return walk.visit(top, "", index.entries, false, 0);
}

}  // namespace ebbfs
