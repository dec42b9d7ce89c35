// SPDX-License-Identifier: Apache-2.0
#include "fs/mount_table.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <functional>
#include <set>
#include <sstream>

#include "fs/directory_reader.h"
#include "fs/unique_fd.h"
#include "fs/whole_number.h"

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

// As `process` sees them: a pid, or "self".
void for_each_mount(const std::string& process, const std::function<void(const Row&)>& visit) {
  std::ifstream mounts("/proc/" + process + "/mountinfo");
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

// Which mount namespace it is in; empty when that cannot be seen.
std::string namespace_of(const std::string& process) {
  std::array<char, 64> text{};
  const ssize_t length =
      ::readlink(("/proc/" + process + "/ns/mnt").c_str(), text.data(), text.size());
  return length < 0 ? "" : std::string(text.data(), static_cast<std::size_t>(length));
}

std::vector<pid_t> all_processes() {
  const UniqueFd proc(::open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  std::vector<pid_t> processes;
  if (!proc.valid()) return processes;
  for (const std::string& name : names_in(proc.get()).value_or(std::vector<std::string>())) {
    const auto pid = whole_number<pid_t>(name);
    if (pid && *pid > 0) processes.push_back(*pid);
  }
  std::ranges::sort(processes);
  return processes;
}

}  // namespace

bool is_ebbfs_mount(const std::string& path) {
  bool found = false;
  for_each_mount("self", [&](const Row& row) {
    if (row.point == path) found = row.type == kType;
  });
  return found;
}

bool is_served(const std::string& backing) {
  bool found = false;
  for_each_mount("self",
                 [&](const Row& row) { found |= row.type == kType && row.source == backing; });
  return found;
}

std::vector<MountElsewhere> mounts_elsewhere(const std::string& backing) {
  std::vector<MountElsewhere> found;
  std::set<std::string> seen{namespace_of("self"), ""};
  for (const pid_t pid : all_processes()) {
    const std::string process = std::to_string(pid);
    if (!seen.insert(namespace_of(process)).second) continue;
    std::string point;
    for_each_mount(process, [&](const Row& row) {
      if (row.type == kType && row.source == backing) point = row.point;
    });
    if (point.empty()) continue;
    MountElsewhere mount{pid, {}, std::move(point)};
    std::ifstream name("/proc/" + process + "/comm");
    std::getline(name, mount.command);
    found.push_back(std::move(mount));
  }
  return found;
}

bool is_whole_filesystem(const std::string& path) {
  bool whole = false;
  for_each_mount("self", [&](const Row& row) {
    if (row.point == path) whole = row.root == "/";
  });
  return whole;
}

}  // namespace ebbfs
