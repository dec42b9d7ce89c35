// SPDX-License-Identifier: Apache-2.0
#include "tools/mount_finder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

namespace ebbfs {
namespace {

namespace filesystem = std::filesystem;

using Failure = std::unexpected<ControlReply>;

constexpr int kLinksMax = 16;

Failure no_mount(std::string error) {
  ControlReply reply = refused(std::move(error));
  reply.exit_code = kExitNoMount;
  return Failure(std::move(reply));
}

std::string join(std::string_view directory, std::string_view below) {
  if (below.empty()) return std::string(directory);
  return fmt::format("{}{}{}", directory, directory.ends_with('/') ? "" : "/", below);
}

// Of an absolute path without trailing slash; "/" is its own parent.
std::string parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

// `path` below `directory`, without a leading slash; nothing when it is not below it.
std::optional<std::string> below(std::string_view path, std::string_view directory) {
  if (directory == "/") return std::string(path.substr(1));
  if (!path_within(path, directory)) return std::nullopt;
  return std::string(path.substr(std::min(path.size(), directory.size() + 1)));
}

std::optional<std::string> real_path(const std::string& path) {
  char* resolved = ::realpath(path.c_str(), nullptr);
  if (resolved == nullptr) return std::nullopt;
  std::string result(resolved);
  ::free(resolved);  // NOLINT(cppcoreguidelines-no-malloc): realpath allocates so
  return result;
}

bool exists(const std::string& path) {
  std::error_code error;
  return filesystem::symlink_status(path, error).type() != filesystem::file_type::not_found;
}

std::string normal(const std::string& path) {
  std::string text = filesystem::path(path).lexically_normal().string();
  while (text.size() > 1 && text.ends_with('/')) text.pop_back();
  return text;
}

// `path` (absolute) with the links in all of its directories resolved and the last component as it
// is. Directories that do not exist, or cannot be entered, stay as written.
std::string locate(std::string path) {
  const std::size_t content = path.find_last_not_of('/');
  if (content == std::string::npos) return "/";
  const bool through = content + 1 < path.size();
  path.resize(content + 1);
  std::string rest = path.substr(path.rfind('/') + 1);
  if (through || rest == "." || rest == "..") {
    if (auto real = real_path(path)) return *real;
  }
  for (std::string directory = parent_of(path); directory != "/";
       directory = parent_of(directory)) {
    if (const auto real = real_path(directory)) return normal(join(*real, rest));
    rest = join(directory.substr(directory.rfind('/') + 1), rest);
  }
  return normal("/" + rest);
}

// Where `place` leads when it is a symbolic link; one step.
std::optional<std::string> followed(const std::string& place) {
  std::error_code error;
  const std::string link = filesystem::read_symlink(place, error).string();
  if (error || link.empty()) return std::nullopt;
  return locate(link.starts_with('/') ? link : join(parent_of(place), link));
}

// What was met on the way up from a path.
struct Search {
  std::optional<Target> target;
  std::string dead;         // root of a dead mount, empty for none
  std::string not_mounted;  // likewise
  std::string denied;
};

Search search_upwards(const std::string& from, const Host& host) {
  Search search;
  for (std::string directory = from;; directory = parent_of(directory)) {
    const Probe probe = host.probe(directory);
    if (probe == Probe::control) {
      // A living mount around a dead one does not answer for it.
      if (search.dead.empty()) {
        search.target = Target{directory, below(from, directory).value_or("")};
      }
      return search;
    }
    // The topmost one is the mount's root; what the kernel remembers hides some in between.
    if (probe == Probe::dead) search.dead = directory;
    if (probe == Probe::not_mounted && search.not_mounted.empty()) search.not_mounted = directory;
    if (probe == Probe::denied) search.denied = directory;
    if (directory == "/") return search;
  }
}

// From the place where `path` (absolute) lies; while that is on no mount and is a symbolic link,
// from where it leads.
Search search_from(const std::string& path, const Host& host) {
  std::string place = locate(path);
  for (int links = 0;; ++links) {
    Search search = search_upwards(place, host);
    if (search.target || !search.dead.empty() || links == kLinksMax) return search;
    const auto next = followed(place);
    if (!next) return search;
    place = *next;
  }
}

// The bind mount of a part of a volume that `path` lies on.
const MountEntry* part_around(const std::vector<MountEntry>& mounts, const std::string& path) {
  const auto at = std::ranges::find_if(mounts, [&](const MountEntry& mount) {
    return mount.root != "/" && below(path, mount.point).has_value();
  });
  return at == mounts.end() ? nullptr : &*at;
}

Failure only_a_part(const MountEntry& part) {
  return no_mount(
      fmt::format("{} shows only {} of an ebbfs, without its .ebbfs/control: run ebbctl where the "
                  "whole volume is mounted, or bind-mount all of it here",
                  part.point, part.root));
}

std::string mount_points(const std::vector<MountEntry>& mounts) {
  std::string points;
  for (const MountEntry& mount : mounts) points += (points.empty() ? "" : ", ") + mount.point;
  return points;
}

// Why nothing was found above `path`, which was called `shown`.
Failure not_found_above(const std::string& path, const std::string& shown, const Search& search,
                        const Host& host) {
  if (!search.dead.empty()) return Failure(dead_mount(search.dead));
  const std::vector<MountEntry> mounts = ebbfs_mounts(host.mountinfo);
  if (const MountEntry* part = part_around(mounts, locate(path))) return only_a_part(*part);
  if (!search.not_mounted.empty()) {
    return no_mount(
        fmt::format("{0} is an ebbfs volume that is not mounted: mount it with: ebbfs {0}",
                    search.not_mounted));
  }
  if (!search.denied.empty()) {
    return Failure(
        refused(fmt::format("{}: no permission to look for an ebbfs there", search.denied)));
  }
  if (mounts.empty()) {
    return no_mount(fmt::format(
        "{} is on no ebbfs, and none is mounted here: mount one with: ebbfs DIRECTORY", shown));
  }
  return no_mount(fmt::format("{} is on no ebbfs; mounted here: {}", shown, mount_points(mounts)));
}

// The only volume on the host, with `path` on it.
std::expected<Target, ControlReply> only_mount(const std::string& path, const Host& host) {
  std::vector<MountEntry> whole;
  const std::vector<MountEntry> mounts = ebbfs_mounts(host.mountinfo);
  for (const MountEntry& mount : mounts) {
    const auto same = [&](const MountEntry& other) { return other.device == mount.device; };
    if (mount.root == "/" && std::ranges::none_of(whole, same)) whole.push_back(mount);
  }
  if (whole.size() > 1) {
    return Failure(misused(fmt::format("several ebbfs are mounted here: name one with --mount: {}",
                                       mount_points(whole))));
  }
  if (whole.empty()) {
    if (!mounts.empty()) return only_a_part(mounts.front());
    return no_mount("no ebbfs is mounted here: mount one with: ebbfs DIRECTORY");
  }
  const std::string& mount = whole.front().point;
  switch (host.probe(mount)) {
    case Probe::control:
      return Target{mount, path};
    case Probe::dead:
      return Failure(dead_mount(mount));
    case Probe::denied:
      return Failure(refused(fmt::format("{}: no permission to enter the mount", mount)));
    case Probe::none:
    case Probe::not_mounted:
      break;
  }
  return no_mount(
      fmt::format("{} is mounted but does not answer: something covers it, or its daemon is of "
                  "another version",
                  mount));
}

std::string absolute_path(const std::string& path, const Host& host) {
  return path.starts_with('/') ? path : join(host.working_directory, path);
}

// A relative `path` that leads to nothing from here, taken as relative to a volume's root.
std::optional<std::string> as_volume_path(const std::string& path, const Host& host) {
  if (path.starts_with('/') || exists(absolute_path(path, host))) return std::nullopt;
  std::string relative = normal(path);
  if (!valid_volume_path(relative)) return std::nullopt;
  return relative;
}

std::expected<Target, ControlReply> on_named_mount(const Place& place, const Host& host) {
  const std::string root = locate(absolute_path(place.mount, host) + "/");
  switch (host.probe(root)) {
    case Probe::control:
      break;
    case Probe::dead:
      return Failure(dead_mount(root));
    case Probe::none:
    case Probe::not_mounted:
    case Probe::denied:
      return no_mount(fmt::format("{} is not the root of an ebbfs mount", root));
  }
  if (!place.path) return Target{root, ""};
  std::string at = locate(absolute_path(*place.path, host));
  for (int links = 0; links <= kLinksMax; ++links) {
    if (auto path = below(at, root)) return Target{root, *path};
    const auto next = followed(at);
    if (!next) break;
    at = *next;
  }
  if (auto path = as_volume_path(*place.path, host)) return Target{root, *path};
  return Failure(misused(fmt::format("{} is not on the ebbfs at {}", *place.path, root)));
}

}  // namespace

ControlReply dead_mount(std::string_view mount) {
  return no_mount(fmt::format("the daemon of the ebbfs at {0} has gone (Transport endpoint is not "
                              "connected): bring it back as it was started (its service, its line "
                              "in fstab), or with: ebbfs {0} and the options it had",
                              mount))
      .error();
}

std::expected<Target, ControlReply> find_target(const Place& place, const Host& host) {
  if (place.path && place.path->empty()) return Failure(misused("PATH is empty"));
  if (!place.mount.empty()) return on_named_mount(place, host);
  const std::string from = absolute_path(place.path.value_or(""), host);
  const Search search = search_from(from, host);
  if (search.target && place.path) return *search.target;
  if (search.target) return Target{search.target->mount, ""};
  const bool nothing_near = search.dead.empty() && search.not_mounted.empty();
  const auto path = place.path ? as_volume_path(*place.path, host) : std::optional<std::string>("");
  if (nothing_near && path) return only_mount(*path, host);
  return not_found_above(from, place.path.value_or(from), search, host);
}

}  // namespace ebbfs
