// SPDX-License-Identifier: Apache-2.0
//
// The glob language in the plainest form, straight from its description and sharing no code with
// what it judges. Exponential; for short globs and paths.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace ebbfs {

using Names = std::vector<std::string>;

inline Names naive_split(std::string_view path) {
  Names names;
  std::string name;
  for (const char c : path) {
    if (c == '/') {
      names.push_back(name);
      name.clear();
    } else {
      name += c;
    }
  }
  if (!path.empty()) names.push_back(name);
  return names;
}

inline bool naive_name(std::string_view pattern, std::string_view name) {
  if (pattern.empty()) return name.empty();
  if (pattern[0] == '*') {
    return naive_name(pattern.substr(1), name) ||
           (!name.empty() && naive_name(pattern, name.substr(1)));
  }
  return !name.empty() && (pattern[0] == '?' || pattern[0] == name[0]) &&
         naive_name(pattern.substr(1), name.substr(1));
}

// Adds what {job} captures in each way of matching ("" where the glob has none); false when there
// is no way.
inline bool naive_glob(const Names& glob, std::size_t g, const Names& path, std::size_t p,
                       const std::string& job, std::set<std::string>& jobs) {
  if (g == glob.size()) {
    if (p < path.size()) return false;
    jobs.insert(job);
    return true;
  }
  if (glob[g] == "**") {
    const bool trailing = g + 1 == glob.size();
    bool matches = false;
    for (std::size_t next = p + (trailing ? 1 : 0); next <= path.size(); ++next) {
      if (trailing && next < path.size()) continue;
      matches = naive_glob(glob, g + 1, path, next, job, jobs) || matches;
    }
    return matches;
  }
  if (p == path.size()) return false;
  if (glob[g] == "{job}") return naive_glob(glob, g + 1, path, p + 1, path[p], jobs);
  return naive_name(glob[g], path[p]) && naive_glob(glob, g + 1, path, p + 1, job, jobs);
}

// The captures of all ways in which `glob` matches `path`; empty when it does not.
inline std::set<std::string> naive_matches(std::string_view glob, std::string_view path) {
  std::set<std::string> jobs;
  naive_glob(naive_split(glob), 0, naive_split(path), 0, "", jobs);
  return jobs;
}

}  // namespace ebbfs
