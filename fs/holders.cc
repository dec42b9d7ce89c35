// SPDX-License-Identifier: Apache-2.0
#include "fs/holders.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <optional>
#include <utility>

#include "fs/directory_reader.h"
#include "fs/proc_files.h"
#include "fs/unique_fd.h"

namespace ebbfs {
namespace {

bool is_number(const std::string& name) {
  return !name.empty() && std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; });
}

std::vector<std::string> list(const std::string& directory) {
  const UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return {};
  return names_in(fd.get()).value_or(std::vector<std::string>());
}

bool lies_on(const std::string& path, dev_t device) {
  struct statx info{};
  if (::statx(AT_FDCWD, path.c_str(), AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, 0, &info) != 0) {
    return false;
  }
  return makedev(info.stx_dev_major, info.stx_dev_minor) == device;
}

bool maps(const std::string& process, dev_t device) {
  std::ifstream mappings(process + "/maps");
  for (std::string line; std::getline(mappings, line);) {
    const auto mapped = parse_mapping(line);
    if (mapped && mapped->device == device) return true;
  }
  return false;
}

std::optional<std::string> how_held(const std::string& process, dev_t device) {
  constexpr std::array<std::pair<const char*, const char*>, 3> kLinks{
      {{"/cwd", "working directory"}, {"/root", "root directory"}, {"/exe", "program"}}};
  for (const auto& [link, how] : kLinks) {
    if (lies_on(process + link, device)) return how;
  }
  for (const std::string& fd : list(process + "/fd")) {
    if (lies_on(process + "/fd/" + fd, device)) return "open file";
  }
  if (maps(process, device)) return "mapping";
  return {};
}

}  // namespace

std::vector<std::string> holders_of(dev_t device, std::size_t max) {
  std::vector<std::string> holders;
  const std::string self = std::to_string(::getpid());
  for (const std::string& pid : list("/proc")) {
    if (holders.size() == max) break;
    if (!is_number(pid) || pid == self) continue;
    const std::string process = "/proc/" + pid;
    const auto how = how_held(process, device);
    if (!how) continue;
    std::string command = "?";
    std::ifstream name(process + "/comm");
    std::getline(name, command);
    holders.push_back(fmt::format("pid {} ({}) {}", pid, command, *how));
  }
  return holders;
}

}  // namespace ebbfs
