// SPDX-License-Identifier: Apache-2.0
#include "fs/user_names.h"

#include <pwd.h>

#include <array>
#include <charconv>

namespace ebbfs {

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
  uid_t uid = 0;
  const char* end = name_or_uid.data() + name_or_uid.size();
  const auto [at, error] = std::from_chars(name_or_uid.data(), end, uid);
  if (error != std::errc() || at != end) return {};
  return uid;
}

}  // namespace ebbfs
