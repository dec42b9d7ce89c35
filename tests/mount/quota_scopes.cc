// SPDX-License-Identifier: Apache-2.0
#include "tests/mount/quota_scopes.h"

#include <dirent.h>
#include <sys/stat.h>

#include <set>
#include <sstream>
#include <vector>

#include "tests/support/plain_files.h"
#include "tools/control_client.h"

namespace ebbfs::test {
namespace {

std::vector<std::string> components(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    parts.emplace_back(path.substr(0, slash));
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return parts;
}

std::string scope_of(const char* kind, unsigned id) {
  return std::string(kind) + ":" + (id == 0 ? "root" : std::to_string(id));
}

void add(ByScope& scopes, const std::string& scope, const Counted& usage) {
  Counted& held = scopes[scope];
  held.bytes += usage.bytes;
  held.inodes += usage.inodes;
}

class TreeCount {
 public:
  explicit TreeCount(const std::string& root) : root_(root) { walk(""); }
  ByScope scopes;

 private:
  void walk(const std::string& directory) {
    for (const std::string& name : names_in(root_ + "/" + directory)) {
      const std::string path = directory.empty() ? name : directory + "/" + name;
      if (path == ".ebbfs") continue;
      const struct stat status = status_of(root_ + "/" + path);
      if (!S_ISDIR(status.st_mode) && !seen_.insert(status.st_ino).second) continue;
      const Counted usage{S_ISREG(status.st_mode) ? charge_for_size(status.st_size).n : 0, 1};
      add(scopes, "volume", usage);
      charge(scopes, place_of(path), {status.st_uid, status.st_gid}, usage);
      if (S_ISDIR(status.st_mode)) walk(path);
    }
  }
  const std::string& root_;
  std::set<ino_t> seen_;
};

}  // namespace

UnitPlace place_of(std::string_view path) {
  const auto parts = components(path);
  if (parts.size() >= 2 && parts[0] == "units") {
    return {"units/" + parts[1], "tree", "", parts.size() == 2};
  }
  if (parts.size() >= 3 && parts[0] == "other") {
    return {"other/" + parts[1] + "/" + parts[2], "work", parts[1], parts.size() == 3};
  }
  return {};
}

void charge(ByScope& scopes, const UnitPlace& place, const Paying& who, const Counted& usage) {
  add(scopes, scope_of("user", who.uid), usage);
  add(scopes, scope_of("group", who.gid), usage);
  if (!place.class_name.empty()) add(scopes, "class:" + place.class_name, usage);
  if (!place.unit.empty()) add(scopes, "unit:" + place.unit, usage);
  if (!place.job.empty()) add(scopes, "job:" + place.job, usage);
}

ByScope count_tree(const std::string& root) { return TreeCount(root).scopes; }

std::map<std::string, ScopeRow> told_rows(const std::string& root) {
  ControlRequest request;
  request.command = command::kQuotaList;
  const ControlReply reply = ask(root, request);
  std::map<std::string, ScopeRow> rows;
  if (reply.exit_code != kExitDone) return rows;
  for (const auto& quota : reply.body["quotas"]) {
    ScopeRow row;
    row.used = {quota["bytes"]["used"], quota["inodes"]["used"]};
    if (quota["bytes"]["hard"].is_number()) row.hard.bytes = quota["bytes"]["hard"];
    if (quota["inodes"]["hard"].is_number()) row.hard.inodes = quota["inodes"]["hard"];
    rows.emplace(quota["scope"], row);
  }
  return rows;
}

ByScope told(const std::string& root) {
  ByScope scopes;
  for (const auto& [scope, row] : told_rows(root)) {
    const bool by_cgroup = scope.starts_with("job:") && scope.size() > 6;
    if (row.used != Counted{} && !by_cgroup) scopes.emplace(scope, row.used);
  }
  return scopes;
}

std::string difference(const ByScope& told, const ByScope& counted) {
  std::ostringstream text;
  std::set<std::string> names;
  for (const auto& [scope, usage] : told) names.insert(scope);
  for (const auto& [scope, usage] : counted) names.insert(scope);
  const auto in = [](const ByScope& scopes, const std::string& scope) {
    const auto found = scopes.find(scope);
    return found == scopes.end() ? Counted{} : found->second;
  };
  for (const std::string& scope : names) {
    const Counted one = in(told, scope);
    const Counted other = in(counted, scope);
    if (one != other) text << scope << ": told " << one << ", counted " << other << "\n";
  }
  return text.str();
}

}  // namespace ebbfs::test
