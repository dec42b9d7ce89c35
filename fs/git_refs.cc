// SPDX-License-Identifier: Apache-2.0
#include "fs/git_refs.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <ranges>

#include "fs/tree.h"

namespace ebbfs {
namespace {

constexpr std::size_t kPackedBytesMax = 32U << 20U;
constexpr std::size_t kRefBytesMax = 4096;
constexpr std::size_t kLogBytes = 4096;  // read from either end of a log
constexpr int kRefDepthMax = 32;

constexpr std::string_view kSymbolic = "ref: ";

std::unexpected<std::string> unreadable(std::string_view what) {
  return std::unexpected(std::string(what) + " cannot be read");
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && std::string_view(" \t\r\n").contains(text.back())) text.remove_suffix(1);
  return text;
}

// Those that matter: what else is below refs/ (notes, the bisection of a worktree) holds no work.
bool matters(std::string_view name) {
  return name.starts_with("refs/heads/") || name.starts_with("refs/remotes/") ||
         name.starts_with("refs/tags/") || name == "refs/stash";
}

// Calls `each(object, name)` for every line of packed-refs; false when over the bounds.
template <typename Each>
OrUnknown<bool> each_packed_ref(const Backing& backing, int common, GitBudget& budget, Each each) {
  const auto packed = read_git_file(backing, common, "packed-refs", kPackedBytesMax);
  if (!packed) return unreadable("packed-refs");
  if (!*packed) return true;
  std::string_view last;
  for (const auto piece : std::views::split(**packed, '\n')) {
    const std::string_view line(piece);
    if (line.empty() || line.starts_with('#')) continue;
    if (!budget.spend()) return false;
    // The commit of the annotated tag in the line before.
    if (line.starts_with('^') && is_object_name(line.substr(1))) {
      each(line.substr(1), last);
      continue;
    }
    const std::size_t space = line.find(' ');
    if (!is_object_name(line.substr(0, space))) return unreadable("packed-refs");
    last = space == std::string_view::npos ? std::string_view() : line.substr(space + 1);
    each(line.substr(0, space), last);
  }
  return true;
}

class LooseRefs {
 public:
  LooseRefs(const Backing& backing, GitBudget& budget, GitRefs& into)
      : backing_(backing), budget_(budget), into_(into) {}

  // False when over the bounds.
  OrUnknown<bool> visit(int dir, const std::string& path, int depth) {
    const auto fd = open_beneath(dir, split_path(path).name, O_RDONLY | O_DIRECTORY);
    if (!fd) {
      if (is_missing(fd.error())) return true;
      return unreadable(path);
    }
    for (;;) {
      const auto names = next_names(fd->get());
      if (!names) return unreadable(path);
      if (names->empty()) return true;
      for (const std::string& name : *names) {
        if (!budget_.spend() || depth == kRefDepthMax) return false;
        if (name.ends_with(".lock")) continue;
        const auto visited = visit_name(fd->get(), name, path + "/" + name, depth);
        if (!visited || !*visited) return visited;
      }
    }
  }

 private:
  OrUnknown<bool> visit_name(int dir, const std::string& name, const std::string& path, int depth) {
    const auto attributes = backing_.stat(dir, name.c_str());
    if (!attributes) {
      if (is_missing(attributes.error())) return true;  // just packed or removed
      return unreadable(path);
    }
    if (is_directory(*attributes)) return visit(dir, path, depth + 1);
    const auto content = read_git_file(backing_, dir, name, kRefBytesMax);
    if (!content) return unreadable(path);
    if (!*content) return true;
    const std::string_view value = trimmed(**content);
    // A symbolic ref is one more name for another that is here, too.
    if (value.starts_with(kSymbolic)) return true;
    if (!is_object_name(value)) return unreadable(path);
    into_.insert_or_assign(path, std::string(value));
    return true;
  }

  const Backing& backing_;
  GitBudget& budget_;
  GitRefs& into_;
};

// OLD NEW NAME <MAIL> SECONDS ZONE, a tab, what.
std::optional<GitMove> parse_move(std::string_view line) {
  const std::size_t tab = std::min(line.find('\t'), line.size());
  const std::string_view head = line.substr(0, tab);
  const std::size_t first = head.find(' ');
  if (first == std::string_view::npos) return std::nullopt;
  const std::size_t second = head.find(' ', first + 1);
  const std::size_t mail = head.rfind("> ");
  if (second == std::string_view::npos || mail == std::string_view::npos) return std::nullopt;
  GitMove move;
  move.from = head.substr(0, first);
  move.to = head.substr(first + 1, second - first - 1);
  const std::string_view when = head.substr(mail + 2);
  const auto [end, error] = std::from_chars(when.data(), when.data() + when.size(), move.seconds);
  if (error != std::errc() || !is_object_name(move.from) || !is_object_name(move.to)) {
    return std::nullopt;
  }
  if (tab < line.size()) move.what = line.substr(tab + 1);
  return move;
}

// When `move` was made. The log's own time is finer than the seconds in it, but tells of its last
// line, and is later when somebody rewrote the log.
WallTime time_of(const GitMove& move, bool is_last, WallTime log_written) {
  using std::chrono::seconds;
  const WallTime said{seconds(move.seconds)};
  if (is_last && log_written >= said && log_written < said + seconds(2)) return log_written;
  return said + seconds(1);
}

// `end`: of the log, maybe with a part of a line at the front, which is not understood.
void read_last_moves(std::string_view end, WallTime written, GitLog& log) {
  std::string_view lines = trimmed(end);
  while (!lines.empty() && (!log.settled || !log.before_last)) {
    const std::size_t cut = lines.rfind('\n');
    auto move = parse_move(lines.substr(cut + 1));  // all of it when there is no line end
    if (!move) break;
    const bool same = move->from == move->to && move->what.starts_with("checkout: ");
    if (!log.settled && !same) log.settled = time_of(*move, !log.last, written);
    if (!log.last) {
      log.last = std::move(move);
    } else if (!log.before_last) {
      log.before_last = std::move(move);
    }
    lines = cut == std::string_view::npos ? std::string_view() : lines.substr(0, cut);
  }
  if (!log.settled && log.first) log.settled = time_of(*log.first, false, written);
}

}  // namespace

bool is_object_name(std::string_view text) {
  return (text.size() == 40 || text.size() == 64) &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

OrUnknown<GitHead> read_head(const Backing& backing, GitDirs dirs, GitBudget& budget) {
  const auto content = read_git_file(backing, dirs.own, "HEAD", kRefBytesMax);
  if (!content || !*content) return unreadable("HEAD");
  const std::string_view value = trimmed(**content);
  if (is_object_name(value)) return GitHead{.branch = std::nullopt, .commit = std::string(value)};
  if (!value.starts_with(kSymbolic)) return unreadable("HEAD");
  GitHead head{.branch = std::string(value.substr(kSymbolic.size())), .commit = std::nullopt};
  // Also how a repository of another ref format looks: refs/heads/.invalid.
  if (!head.branch->starts_with("refs/heads/") || head.branch->ends_with("/.invalid")) {
    return std::unexpected("HEAD is no branch");
  }
  const auto loose = read_git_file(backing, dirs.common, *head.branch, kRefBytesMax);
  // EINVAL: a directory that was left behind when a branch below it went.
  if (!loose && loose.error() != Errno{EINVAL}) return unreadable(*head.branch);
  if (loose && *loose) {
    const std::string_view commit = trimmed(**loose);
    if (!is_object_name(commit)) return unreadable(*head.branch);
    head.commit = commit;
    return head;
  }
  const auto all = each_packed_ref(backing, dirs.common, budget,
                                   [&](std::string_view object, std::string_view name) {
                                     if (name == *head.branch && !head.commit) head.commit = object;
                                   });
  if (!all) return std::unexpected(all.error());
  if (!*all) return std::unexpected(std::string(kOverBounds));
  return head;
}

OrUnknown<GitRefs> read_refs(const Backing& backing, int common, GitBudget& budget) {
  GitRefs refs;
  const auto packed =
      each_packed_ref(backing, common, budget, [&](std::string_view object, std::string_view name) {
        if (matters(name)) refs.insert_or_assign(std::string(name), std::string(object));
      });
  if (!packed) return std::unexpected(packed.error());
  if (!*packed) return std::unexpected(std::string(kOverBounds));

  const auto top = open_beneath(common, "refs", O_RDONLY | O_DIRECTORY);
  if (!top) return unreadable("refs");
  LooseRefs loose(backing, budget, refs);
  for (const char* kind : {"refs/heads", "refs/remotes", "refs/tags"}) {
    const auto visited = loose.visit(top->get(), kind, 0);
    if (!visited) return std::unexpected(visited.error());
    if (!*visited) return std::unexpected(std::string(kOverBounds));
  }
  const auto stash = read_git_file(backing, top->get(), "stash", kRefBytesMax);
  if (!stash) return unreadable("refs/stash");
  if (*stash) refs.insert_or_assign("refs/stash", std::string(trimmed(**stash)));
  return refs;
}

OrUnknown<GitLog> read_head_log(const Backing& backing, int own) {
  GitLog log;
  const auto fd = open_beneath(own, "logs/HEAD", O_RDONLY | O_NONBLOCK);
  if (!fd) {
    if (is_missing(fd.error())) return log;
    return unreadable("logs/HEAD");
  }
  const auto attributes = backing.stat(fd->get(), "");
  if (!attributes || !is_regular(*attributes)) return unreadable("logs/HEAD");
  const auto read = [&](std::uint64_t offset) -> OrUnknown<std::string> {
    std::string text(kLogBytes, '\0');
    const auto count = backing.read(fd->get(), std::as_writable_bytes(std::span(text)),
                                    static_cast<off_t>(offset));
    if (!count) return unreadable("logs/HEAD");
    text.resize(*count);
    return text;
  };
  const auto begin = read(0);
  if (!begin) return std::unexpected(begin.error());
  log.first = parse_move(std::string_view(*begin).substr(0, begin->find('\n')));
  const std::uint64_t size = attributes->stx_size;
  const auto end = read(size > kLogBytes ? size - kLogBytes : 0);
  if (!end) return std::unexpected(end.error());
  read_last_moves(*end, modified(*attributes), log);
  return log;
}

}  // namespace ebbfs
