// SPDX-License-Identifier: Apache-2.0
#include "fs/git_directory.h"

#include <fcntl.h>

#include <vector>

#include "fs/tree.h"
#include "policy/classifier.h"

namespace ebbfs {

bool is_git_directory(const Backing& backing, int fd) {
  const auto is = [&](const char* name, auto predicate) {
    const auto attributes = backing.stat(fd, name);
    return attributes && predicate(*attributes);
  };
  return is("HEAD", [](const Attributes& a) { return !is_directory(a); }) &&
         is("objects", is_directory) && is("refs", is_directory);
}

bool is_own_git_lock(const Backing& backing, int directory, std::string_view name) {
  const auto path = backing.path_of(directory);
  if (!path) return false;
  std::vector<std::string_view> components = components_of(*path);
  components.push_back(name);

  UniqueFd above;
  int at = directory;
  // `depth` names lie below the directory `at`.
  for (std::size_t depth = 1; depth <= components.size(); ++depth) {
    const std::span below(components.data() + components.size() - depth, depth);
    if (is_git_lock(below) && is_git_directory(backing, at)) return true;
    if (depth == components.size()) return false;
    auto up = backing.open_at(at, "..", O_PATH | O_DIRECTORY, 0);
    if (!up) return false;
    above = std::move(*up);
    at = above.get();
  }
  return false;
}

}  // namespace ebbfs
