// SPDX-License-Identifier: Apache-2.0
#include "fs/git_index.h"

#include <algorithm>
#include <climits>
#include <limits>
#include <string_view>

#include "fs/whole_number.h"

namespace ebbfs {
namespace {

// Prefix compression makes a small file say long paths.
constexpr std::size_t kPathBytesMax = 32U << 20U;

constexpr std::uint32_t kDirectory = 0040000;
constexpr std::uint16_t kAssumeValid = 0x8000;
constexpr std::uint16_t kExtended = 0x4000;
constexpr std::uint16_t kStage = 0x3000;
constexpr std::uint16_t kSkipWorktree = 0x4000;  // of the second word
constexpr std::uint16_t kIntentToAdd = 0x2000;

// Takes from the front; once too little is left, everything is zero and `failed`.
class Reader {
 public:
  explicit Reader(std::string_view rest) : rest_(rest) {}

  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] std::size_t left() const { return rest_.size(); }

  std::string_view take(std::size_t count) {
    if (failed_ || count > rest_.size()) {
      failed_ = true;
      return {};
    }
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }
  // What comes before the byte `end`, which goes too.
  std::string_view take_until(char end) {
    const std::size_t at = rest_.find(end);
    if (at == std::string_view::npos) {
      failed_ = true;
      return {};
    }
    return take(at + 1).substr(0, at);
  }
  std::uint32_t number(std::size_t bytes) {
    std::uint32_t value = 0;
    for (const char byte : take(bytes)) value = value << 8U | static_cast<unsigned char>(byte);
    return value;
  }
  std::uint32_t word() { return number(4); }
  std::uint16_t half() { return static_cast<std::uint16_t>(number(2)); }
  GitStamp stamp() {
    const std::uint32_t seconds = word();
    return {seconds, word()};
  }
  // The offset encoding of pack files, which version 4 uses.
  std::size_t varint() {
    std::size_t value = 0;
    for (bool first = true;; first = false) {
      const std::uint32_t byte = number(1);
      if (failed_ || value > (std::numeric_limits<std::size_t>::max() >> 8U)) {
        failed_ = true;
        return 0;
      }
      if (!first) ++value;
      value = value << 7U | (byte & 0x7fU);
      if ((byte & 0x80U) == 0) return value;
    }
  }

 private:
  std::string_view rest_;
  bool failed_ = false;
};

bool is_safe_path(std::string_view path) {
  if (path.empty() || path.size() >= PATH_MAX) return false;
  for (;;) {
    const std::size_t slash = path.find('/');
    const std::string_view name = path.substr(0, slash);
    if (name.empty() || name == "." || name == ".." || name == ".git") return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

class Parser {
 public:
  Parser(std::string_view content, std::size_t object_bytes)
      : whole_(content), in_(content), object_bytes_(object_bytes) {}

  std::expected<GitIndex, std::string> parse(std::size_t entries_max) {
    if (in_.take(4) != "DIRC") return std::unexpected("is not one");
    version_ = in_.word();
    if (version_ < 2 || version_ > 4) return std::unexpected("has an unknown version");
    const std::uint32_t count = in_.word();
    if (count > entries_max) return std::unexpected("has too many entries");
    GitIndex index;
    for (std::uint32_t i = 0; i < count; ++i) {
      auto entry = next_entry();
      if (!entry) return std::unexpected(entry.error());
      if (!index.entries.empty() && !follows(*entry, index.entries.back())) {
        return std::unexpected("is out of order");
      }
      index.entries.push_back(std::move(*entry));
    }
    if (auto understood = read_extensions(index); !understood) {
      return std::unexpected(understood.error());
    }
    return index;
  }

 private:
  std::expected<GitIndexEntry, std::string> next_entry() {
    const std::size_t begin = whole_.size() - in_.left();
    GitIndexEntry entry;
    entry.changed = in_.stamp();
    entry.modified = in_.stamp();
    in_.word();  // the device changes with the mount
    entry.inode = in_.word();
    entry.mode = in_.word();
    in_.word();  // an owner does not change without ctime
    in_.word();
    entry.size = in_.word();
    const std::string_view object = in_.take(object_bytes_);
    std::ranges::copy(object, entry.object.begin());
    const std::uint16_t flags = in_.half();
    const std::uint16_t more = (flags & kExtended) != 0 ? in_.half() : std::uint16_t{0};
    if ((flags & kExtended) != 0 && version_ < 3) return std::unexpected("is damaged");
    entry.unwatched = (flags & kAssumeValid) != 0 || (more & kSkipWorktree) != 0;
    entry.unmerged = (flags & kStage) != 0;
    entry.intent_to_add = (more & kIntentToAdd) != 0;
    if (!read_path(begin, entry.path)) return std::unexpected("is damaged");
    // What stands in for the entries of another file, or of a directory.
    if (entry.path.empty()) return std::unexpected("is split");
    if (entry.mode == kDirectory) return std::unexpected("is sparse");
    if (!is_safe_path(entry.path)) return std::unexpected("has an impossible path");
    return entry;
  }

  bool read_path(std::size_t begin, std::string& path) {
    if (version_ == 4) {
      const std::size_t dropped = in_.varint();
      if (dropped > path_.size()) return false;
      path_.resize(path_.size() - dropped);
      path_ += in_.take_until('\0');
    } else {
      path_ = in_.take_until('\0');
      // One to eight NULs, to a multiple of eight bytes.
      const std::size_t length = whole_.size() - in_.left() - begin;
      in_.take((8 - length % 8) % 8);
    }
    path = path_;
    path_bytes_ += path.size();
    return !in_.failed() && path_bytes_ <= kPathBytesMax;
  }

  static bool follows(const GitIndexEntry& next, const GitIndexEntry& last) {
    return next.path > last.path || (next.path == last.path && next.unmerged && last.unmerged);
  }

  std::expected<void, std::string> read_extensions(GitIndex& index) {
    while (in_.left() > object_bytes_) {
      const std::string_view name = in_.take(4);
      const std::string_view content = in_.take(in_.word());
      if (in_.failed() || in_.left() < object_bytes_) return std::unexpected("is damaged");
      if (name == "link") return std::unexpected("is split");
      if (name == "sdir") return std::unexpected("is sparse");
      // Git's own rule: what need not be understood begins with a capital.
      if (name[0] < 'A' || name[0] > 'Z') return std::unexpected("has an unknown extension");
      if (name == "TREE") index.tree = tree_of(content);
    }
    if (in_.failed() || in_.left() != object_bytes_) return std::unexpected("is damaged");
    return {};
  }

  // The root comes first: an empty name, NUL, the number of entries, a space; -1 is "changed".
  static GitIndex::Tree tree_of(std::string_view content) {
    Reader in(content);
    if (!in.take_until('\0').empty() || in.failed()) return GitIndex::Tree::changed;
    const auto entries = whole_number<int>(in.take_until(' '));
    return entries && *entries >= 0 ? GitIndex::Tree::written : GitIndex::Tree::changed;
  }

  std::string_view whole_;
  Reader in_;
  std::size_t object_bytes_;
  std::uint32_t version_ = 0;
  std::string path_;  // of the entry before, which version 4 goes on from
  std::size_t path_bytes_ = 0;
};

}  // namespace

std::expected<GitIndex, std::string> parse_git_index(std::span<const std::byte> content,
                                                     std::size_t object_bytes,
                                                     std::size_t entries_max) {
  const std::string_view text(reinterpret_cast<const char*>(content.data()), content.size());
  return Parser(text, object_bytes).parse(entries_max);
}

}  // namespace ebbfs
