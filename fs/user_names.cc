// SPDX-License-Identifier: Apache-2.0
#include "fs/user_names.h"

#include <grp.h>
#include <pwd.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <vector>

namespace ebbfs {
namespace {

// Groups come with their members.
constexpr std::size_t kGroupBuffer = 64 * 1024;

std::optional<std::uint32_t> number(const std::string& text) {
  std::uint32_t value = 0;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || at != end) return {};
  return value;
}

}  // namespace

std::string user_name(uid_t uid) {
  std::array<char, 4096> buffer;
  struct passwd entry;
  struct passwd* found = nullptr;
  if (::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) {
    return {};
  }
  return found->pw_name;
}

std::optional<uid_t> user_id(const std::string& name_or_uid) {
  std::array<char, 4096> buffer;
  struct passwd entry;
  struct passwd* found = nullptr;
  if (::getpwnam_r(name_or_uid.c_str(), &entry, buffer.data(), buffer.size(), &found) == 0 &&
      found != nullptr) {
    return found->pw_uid;
  }
  return number(name_or_uid);
}

std::string group_name(gid_t gid) {
  std::vector<char> buffer(kGroupBuffer);
  struct group entry;
  struct group* found = nullptr;
  if (::getgrgid_r(gid, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) {
    return {};
  }
  return found->gr_name;
}

std::optional<gid_t> group_id(const std::string& name_or_gid) {
  std::vector<char> buffer(kGroupBuffer);
  struct group entry;
  struct group* found = nullptr;
  if (::getgrnam_r(name_or_gid.c_str(), &entry, buffer.data(), buffer.size(), &found) == 0 &&
      found != nullptr) {
    return found->gr_gid;
  }
  return number(name_or_gid);
}

}  // namespace ebbfs
