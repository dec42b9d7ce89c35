// SPDX-License-Identifier: Apache-2.0
#include "tools/mountinfo.h"

#include <algorithm>
#include <charconv>

namespace ebbfs {
namespace {

constexpr std::string_view kFsType = "fuse.ebbfs";
constexpr std::ptrdiff_t kFieldsBeforeDash = 6;

std::vector<std::string_view> split_words(std::string_view line) {
  std::vector<std::string_view> words;
  while (!line.empty()) {
    const std::size_t end = line.find(' ');
    words.push_back(line.substr(0, end));
    line.remove_prefix(end == std::string_view::npos ? line.size() : end + 1);
  }
  return words;
}

// mountinfo writes space, tab, newline and backslash as \040 and so on.
std::string unescaped(std::string_view word) {
  constexpr std::size_t kDigits = 3;
  std::string text;
  for (std::size_t i = 0; i < word.size(); ++i) {
    unsigned code = 0;
    const char* digits = word.data() + i + 1;
    const bool whole = word[i] == '\\' && i + kDigits < word.size() &&
                       std::from_chars(digits, digits + kDigits, code, 8).ptr == digits + kDigits;
    text.push_back(whole ? static_cast<char>(code) : word[i]);
    if (whole) i += kDigits;
  }
  return text;
}

}  // namespace

std::vector<MountEntry> ebbfs_mounts(std::string_view mountinfo) {
  std::vector<MountEntry> mounts;
  while (!mountinfo.empty()) {
    const std::size_t end = mountinfo.find('\n');
    const std::vector<std::string_view> words = split_words(mountinfo.substr(0, end));
    mountinfo.remove_prefix(end == std::string_view::npos ? mountinfo.size() : end + 1);
    // proc(5): id, parent, device, root, mount point, options, optional fields, "-", type...
    const auto dash = std::ranges::find(words, "-");
    if (dash - words.begin() < kFieldsBeforeDash || words.end() - dash < 2) continue;
    const std::string point = unescaped(words[4]);
    std::erase_if(mounts, [&](const MountEntry& mount) { return mount.point == point; });
    if (dash[1] != kFsType) continue;
    mounts.push_back({std::string(words[2]), unescaped(words[3]), point});
  }
  return mounts;
}

}  // namespace ebbfs
