// SPDX-License-Identifier: Apache-2.0
#include "fs/mount_table.h"

#include <fstream>
#include <functional>
#include <sstream>

namespace ebbfs {
namespace {

constexpr std::string_view kType = "fuse.ebbfs";

// As proc(5) has them; spaces and the like are escaped, as in no path that we ask for.
struct Row {
  std::string root;
  std::string point;
  std::string type;
  std::string source;
};

void for_each_mount(const std::function<void(const Row&)>& visit) {
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string skipped;
    Row row;
    fields >> skipped >> skipped >> skipped >> row.root >> row.point;
    while (fields >> skipped && skipped != "-") {
    }
    fields >> row.type >> row.source;
    visit(row);
  }
}

}  // namespace

bool is_ebbfs_mount(const std::string& path) {
  bool found = false;
  for_each_mount([&](const Row& row) {
    if (row.point == path) found = row.type == kType;
  });
  return found;
}

bool is_served(const std::string& backing) {
  bool found = false;
  for_each_mount([&](const Row& row) { found |= row.type == kType && row.source == backing; });
  return found;
}

bool is_whole_filesystem(const std::string& path) {
  bool whole = false;
  for_each_mount([&](const Row& row) {
    if (row.point == path) whole = row.root == "/";
  });
  return whole;
}

}  // namespace ebbfs
