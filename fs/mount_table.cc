// SPDX-License-Identifier: Apache-2.0
#include "fs/mount_table.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <functional>
#include <map>
#include <set>

#include "fs/directory_reader.h"
#include "fs/proc_files.h"
#include "fs/unique_fd.h"
#include "fs/whole_number.h"

namespace ebbfs {
namespace {

constexpr std::string_view kType = "fuse.ebbfs";

// As proc(5) has them; spaces and the like are escaped, as in no path that we ask for.
struct Row {
  std::string_view id;
  std::string_view parent;
  std::string_view device;
  std::string_view root;
  std::string_view point;
  std::string_view type;
  std::string_view source;
};

Row parse_row(std::string_view line) {
  Row row;
  for (auto* field : {&row.id, &row.parent, &row.device, &row.root, &row.point}) {
    *field = take_until(line, ' ');
  }
  while (!line.empty() && take_until(line, ' ') != "-") {
  }
  row.type = take_until(line, ' ');
  row.source = take_until(line, ' ');
  return row;
}

// As `process` sees them: a pid, or "self".
void for_each_mount(const std::string& process, const std::function<void(const Row&)>& visit) {
  std::ifstream mounts("/proc/" + process + "/mountinfo");
  for (std::string line; std::getline(mounts, line);) visit(parse_row(line));
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
      if (row.type == kType && row.source == backing) point = std::string(row.point);
    });
    if (point.empty()) continue;
    MountElsewhere mount{pid, {}, std::move(point)};
    std::ifstream name("/proc/" + process + "/comm");
    std::getline(name, mount.command);
    found.push_back(std::move(mount));
  }
  return found;
}

std::optional<std::vector<std::string>> mounted_upon(std::string_view mountinfo, dev_t device) {
  const std::string ours = fmt::format("{}:{}", major(device), minor(device));
  std::vector<Row> rows;
  std::map<std::string_view, Row> of_device;  // by id
  while (!mountinfo.empty()) {
    const Row row = parse_row(take_until(mountinfo, '\n'));
    if (row.type.empty()) return std::nullopt;
    if (row.device == ours) of_device[row.id] = row;
    rows.push_back(row);
  }
  std::vector<std::string> paths;
  for (const Row& row : rows) {
    const auto parent = of_device.find(row.parent);
    if (parent == of_device.end() || parent->first == row.id) continue;
    const auto shown = [](std::string_view field) {
      std::string path = unescaped_mount_field(field);
      if (path.ends_with('/')) path.pop_back();
      return path;
    };
    const std::string at = shown(parent->second.point);
    const std::string point = shown(row.point);
    if (!point.starts_with(at)) return std::nullopt;
    std::string path = shown(parent->second.root) + point.substr(at.size());
    if (path.starts_with('/')) path.erase(0, 1);
    paths.push_back(std::move(path));
  }
  return paths;
}

bool is_whole_filesystem(const std::string& path) {
  bool whole = false;
  for_each_mount("self", [&](const Row& row) {
    if (row.point == path) whole = row.root == "/";
  });
  return whole;
}

}  // namespace ebbfs
