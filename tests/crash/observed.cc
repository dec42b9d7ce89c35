// SPDX-License-Identifier: Apache-2.0
#include "tests/crash/observed.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <map>
#include <set>
#include <vector>

#include "fs/control_protocol.h"
#include "index/types.h"
#include "tests/support/plain_files.h"

namespace ebbfs::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

// One list of the answer, by value.
json listed(const MountedVolume& volume, std::string_view command, const char* list) {
  return volume.asked(command).value(list, json::array());
}

std::string content_of(const std::string& path, const struct stat& status) {
  if (S_ISREG(status.st_mode)) {
    return fmt::format("{:x}", std::hash<std::string>{}(get(path)));
  }
  char target[PATH_MAX];
  const ssize_t length = ::readlink(path.c_str(), target, sizeof target);
  return length < 0 ? "" : std::string(target, static_cast<std::size_t>(length));
}

std::string attribute_of(const std::string& path) {
  char value[64];
  const ssize_t length = ::lgetxattr(path.c_str(), "user.test", value, sizeof value);
  return length < 0 ? "" : " x=" + std::string(value, static_cast<std::size_t>(length));
}

struct Held {
  std::int64_t bytes = 0;
  std::int64_t inodes = 0;
  bool operator==(const Held&) const = default;
};
using Charges = std::map<std::string, Held>;

std::string user_name(uid_t uid) {
  const passwd* user = ::getpwuid(uid);
  return user == nullptr ? std::to_string(uid) : user->pw_name;
}
std::string group_name(gid_t gid) {
  const group* found = ::getgrgid(gid);
  return found == nullptr ? std::to_string(gid) : found->gr_name;
}

void add(Charges& charges, const std::string& scope, const Held& held) {
  charges[scope].bytes += held.bytes;
  charges[scope].inodes += held.inodes;
}

Charges counted(const MountedVolume& volume) {
  const json units = listed(volume, command::kUnits, "units");
  const json trash = listed(volume, command::kStatus, "trash");
  Charges charges;
  charges["volume"] = {.bytes = trash.value("bytes", std::int64_t{0}), .inodes = 0};
  std::set<ino_t> seen;
  for_each_below(volume.path(), "", [&](const std::string& path, const struct stat& status) {
    if (!seen.insert(status.st_ino).second) return;
    const Held held{S_ISREG(status.st_mode) ? charge_for_size(status.st_size).n : 0, 1};
    add(charges, "volume", held);
    add(charges, "user:" + user_name(status.st_uid), held);
    add(charges, "group:" + group_name(status.st_gid), held);
    for (const json& unit : units) {
      const std::string top = unit["path"];
      if (path != top && !path.starts_with(top + "/")) continue;
      add(charges, "unit:" + top, held);
      add(charges, "class:" + unit["class"].get<std::string>(), held);
      const json& job = unit["owner"]["job"];
      if (job.is_string()) add(charges, "job:" + job.get<std::string>(), held);
    }
  });
  charges["volume"].inodes = 0;  // those in the trash are not shown
  return charges;
}

Charges charged(const MountedVolume& volume) {
  Charges charges;
  for (const json& quota : listed(volume, command::kQuotaList, "quotas")) {
    const Held held{quota["bytes"]["used"], quota["inodes"]["used"]};
    if (held != Held{}) charges[quota["scope"]] = held;
  }
  for (const json& unit : listed(volume, command::kUnits, "units")) {
    charges["unit:" + unit["path"].get<std::string>()] = {unit["bytes"], unit["inodes"]};
  }
  charges["volume"].inodes = 0;
  return charges;
}

std::string difference(const Charges& counts, const Charges& held) {
  std::string text;
  std::set<std::string> scopes;
  for (const auto& [scope, usage] : counts) scopes.insert(scope);
  for (const auto& [scope, usage] : held) scopes.insert(scope);
  const auto find = [](const Charges& in, const std::string& scope) {
    const auto found = in.find(scope);
    return found == in.end() ? Held{} : found->second;
  };
  for (const std::string& scope : scopes) {
    const Held is = find(counts, scope);
    const Held said = find(held, scope);
    if (is == said) continue;
    text += fmt::format("  {}: holds {} bytes, {} inodes; charged {} and {}\n", scope, is.bytes,
                        is.inodes, said.bytes, said.inodes);
  }
  return text;
}

}  // namespace

bool exact_soon(const MountedVolume& volume) {
  return eventually(
      [&] { return volume.asked(command::kStatus).value("provisional", true) == false; }, 30s);
}

std::string picture_of(const MountedVolume& volume) {
  std::set<std::string> lines;
  for_each_below(volume.path(), "", [&](const std::string& path, const struct stat& status) {
    const std::string full = volume.at(path);
    // Sizes of directories are the backing filesystem's business.
    const std::int64_t size = S_ISDIR(status.st_mode) ? 0 : status.st_size;
    lines.insert(fmt::format("{} mode={:o} owner={}:{} links={} size={} {}{}", path, status.st_mode,
                             status.st_uid, status.st_gid, status.st_nlink, size,
                             content_of(full, status), attribute_of(full)));
  });
  for (const json& unit : listed(volume, command::kUnits, "units")) {
    lines.insert(fmt::format("unit {} class={} uid={} pinned={}", unit["path"].get<std::string>(),
                             unit["class"].get<std::string>(), unit["owner"]["uid"].get<int>(),
                             unit["pinned"].get<bool>()));
  }
  for (const json& lock : listed(volume, command::kLocks, "locks")) {
    const bool known = lock["certainty"] != "unknown";
    lines.insert(fmt::format("lock {} class={} owner={}", lock["path"].get<std::string>(),
                             lock["class"].get<std::string>(),
                             known ? lock["owner"]["pid"].dump() : "unknown"));
  }
  for (const json& quota : listed(volume, command::kQuotaList, "quotas")) {
    if (quota["origin"] != "set") continue;
    lines.insert(fmt::format("quota {} bytes={} inodes={}", quota["scope"].get<std::string>(),
                             quota["bytes"]["hard"].dump(), quota["inodes"]["hard"].dump()));
  }
  lines.insert("trash " + listed(volume, command::kStatus, "trash").dump());
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

std::string without_owner(std::string picture, const std::string& path) {
  const std::size_t line = picture.find("lock " + path + " ");
  if (path.empty() || line == std::string::npos) return picture;
  const std::size_t owner = picture.find("owner=", line);
  picture.replace(owner, picture.find('\n', owner) - owner, "owner=?");
  return picture;
}

std::string wrong_charges(const MountedVolume& volume) {
  std::string wrong;
  (void)eventually(
      [&] {
        wrong = difference(counted(volume), charged(volume));
        return wrong.empty();
      },
      5s);
  return wrong;
}

}  // namespace ebbfs::test
