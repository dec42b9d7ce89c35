// SPDX-License-Identifier: Apache-2.0
#include "fs/user_names.h"

#include <grp.h>
#include <pwd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "fs/whole_number.h"
#include "index/mutex.h"

namespace ebbfs {
namespace {

// Groups come with their members.
constexpr std::size_t kGroupBuffer = 64 * 1024;

std::string look_up_user(uid_t uid) {
  std::array<char, 4096> buffer;
  struct passwd entry;
  struct passwd* found = nullptr;
  if (::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) {
    return {};
  }
  return found->pw_name;
}

// What user_name() has found.
class KnownUsers {
 public:
  std::string name(uid_t uid) {
    const auto now = std::chrono::steady_clock::now();
    {
      const MutexLock lock(mu_);
      const auto found = names_.find(uid);
      if (found != names_.end() && now < found->second.until) return found->second.name;
    }
    std::string name = look_up_user(uid);
    const MutexLock lock(mu_);
    if (names_.size() >= kMax) names_.clear();
    names_[uid] = {name, now + kFresh};
    return name;
  }

 private:
  static constexpr std::chrono::seconds kFresh{5};
  static constexpr std::size_t kMax = 1000;
  struct Known {
    std::string name;
    std::chrono::steady_clock::time_point until;
  };
  Mutex mu_;
  std::unordered_map<uid_t, Known> names_ GUARDED_BY(mu_);
};

}  // namespace

std::string user_name(uid_t uid) {
  static KnownUsers users;
  return users.name(uid);
}

std::optional<uid_t> user_id(const std::string& name_or_uid) {
  std::array<char, 4096> buffer;
  struct passwd entry;
  struct passwd* found = nullptr;
  if (::getpwnam_r(name_or_uid.c_str(), &entry, buffer.data(), buffer.size(), &found) == 0 &&
      found != nullptr) {
    return found->pw_uid;
  }
  return whole_number<uid_t>(name_or_uid);
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
  return whole_number<gid_t>(name_or_gid);
}

}  // namespace ebbfs
