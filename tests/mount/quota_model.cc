// SPDX-License-Identifier: Apache-2.0
#include "tests/mount/quota_model.h"

#include <cerrno>
#include <utility>

namespace ebbfs::test {

ByScope QuotaModel::usage() const {
  ByScope scopes;
  Counted all = trash;
  for (const auto& [number, inode] : inodes) {
    const Counted usage{inode.kind == 'f' ? charge_for_size(inode.size).n : 0, 1};
    charge(scopes, inode.place, inode.who, usage);
    all.bytes += usage.bytes;
    all.inodes += usage.inodes;
  }
  scopes["volume"] = all;
  return scopes;
}

ModelInode* QuotaModel::at(const std::string& path) {
  const auto name = names.find(path);
  return name == names.end() ? nullptr : &inodes.at(name->second);
}

const ModelInode* QuotaModel::at(const std::string& path) const {
  const auto name = names.find(path);
  return name == names.end() ? nullptr : &inodes.at(name->second);
}

std::vector<std::string> QuotaModel::below(const std::string& path) const {
  std::vector<std::string> found;
  const std::string prefix = path + "/";
  for (auto name = names.lower_bound(prefix);
       name != names.end() && name->first.starts_with(prefix); ++name) {
    found.push_back(name->first);
  }
  return found;
}

bool QuotaModel::has_linked(const std::string& path) const {
  const auto linked = [&](const std::string& name) {
    const ModelInode* inode = at(name);
    return inode->kind != 'd' && inode->links > 1;
  };
  if (linked(path)) return true;
  for (const std::string& name : below(path)) {
    if (linked(name)) return true;
  }
  return false;
}

bool QuotaModel::only_named() const {
  for (const auto& [number, inode] : inodes) {
    if (inode.links == 0) return false;
  }
  return true;
}

bool QuotaModel::has_open(const UnitPlace& place) const {
  for (const auto& [number, inode] : inodes) {
    if (inode.opens > 0 && inode.place.unit == place.unit) return true;
  }
  return false;
}

int QuotaModel::make(const std::string& path, const ModelInode& inode) {
  const int number = inodes.empty() ? 1 : inodes.rbegin()->first + 1;
  inodes.emplace(number, inode);
  if (inode.links > 0) names.emplace(path, number);
  place_names();
  return number;
}

void QuotaModel::link(int inode, const std::string& path) {
  ++inodes.at(inode).links;
  names.emplace(path, inode);
  place_names();
}

void QuotaModel::unlink(const std::string& path) {
  const int number = names.at(path);
  names.erase(path);
  --inodes.at(number).links;
  const UnitPlace place = place_of(path);
  drop_if_gone(number);
  if (place.top) dissolve(place.unit);
  place_names();
}

void QuotaModel::close(int inode) {
  --inodes.at(inode).opens;
  drop_if_gone(inode);
}

void QuotaModel::drop_if_gone(int inode) {
  const ModelInode& is = inodes.at(inode);
  if (is.links == 0 && is.opens == 0) inodes.erase(inode);
}

void QuotaModel::dissolve(const std::string& unit) {
  for (auto& [number, inode] : inodes) {
    if (inode.links == 0 && inode.place.unit == unit) inode.place.unit.clear();
  }
}

void QuotaModel::rename_unit(const std::string& from, const std::string& to) {
  for (auto& [number, inode] : inodes) {
    if (inode.links == 0 && inode.place.unit == from) inode.place.unit = to;
  }
}

void QuotaModel::carry_nameless(const std::string& from, const std::string& to) {
  for (auto& [number, inode] : inodes) {
    const std::string& unit = inode.place.unit;
    if (inode.links > 0 || (unit != from && !unit.starts_with(from + "/"))) continue;
    inode.place = place_of(to + unit.substr(from.size()));
    inode.place.top = false;
  }
}

void QuotaModel::place_names() {
  for (const auto& [path, number] : names) inodes.at(number).place = place_of(path);
}

void QuotaModel::move(const std::string& from, const std::string& to) {
  if (names.contains(to)) unlink(to);
  carry_nameless(from, to);
  std::map<std::string, int> moved;
  for (const std::string& name : below(from)) {
    moved.emplace(to + name.substr(from.size()), names.at(name));
    names.erase(name);
  }
  moved.emplace(to, names.at(from));
  names.erase(from);
  names.merge(moved);
  place_names();
}

void QuotaModel::exchange(const std::string& one, const std::string& other) {
  std::map<std::string, int> changed;
  for (const auto& [path, number] : names) {
    const auto moved = [&](const std::string& from, const std::string& to) {
      return path == from || path.starts_with(from + "/") ? to + path.substr(from.size())
                                                          : std::string();
    };
    std::string name = moved(one, other);
    if (name.empty()) name = moved(other, one);
    changed.emplace(name.empty() ? path : name, number);
  }
  names = std::move(changed);
  if (place_of(one).top) {
    rename_unit(one, "?");
    rename_unit(other, one);
    rename_unit("?", other);
  }
  place_names();
}

void QuotaModel::expire(const std::string& unit) {
  ByScope scopes = usage();
  trash.bytes += scopes["unit:" + unit].bytes;
  trash.inodes += scopes["unit:" + unit].inodes;
  for (const std::string& name : below(unit)) {
    inodes.erase(names.at(name));
    names.erase(name);
  }
  inodes.erase(names.at(unit));
  names.erase(unit);
}

bool keeps_unit(const UnitPlace& from, const UnitPlace& to) {
  return from.top && to.top && from.class_name == to.class_name && from.job == to.job;
}

int refusal(const Limits& limits, const ByScope& before, const ByScope& peak) {
  const auto held = [](const ByScope& scopes, const std::string& scope) {
    const auto found = scopes.find(scope);
    return found == scopes.end() ? Counted{} : found->second;
  };
  int error = 0;
  for (const auto& [scope, limit] : limits) {
    const Counted now = held(before, scope);
    const Counted then = held(peak, scope);
    const bool fits = (then.bytes <= now.bytes || then.bytes <= limit.bytes) &&
                      (then.inodes <= now.inodes || then.inodes <= limit.inodes);
    if (fits) continue;
    if (scope == "volume") return ENOSPC;
    error = EDQUOT;
  }
  return error;
}

}  // namespace ebbfs::test
