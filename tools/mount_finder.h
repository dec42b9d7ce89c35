// SPDX-License-Identifier: Apache-2.0
//
// Which ebbfs a command is about, and the path on it. The mount is found by looking for
// .ebbfs/control upwards, never by comparing with what the daemon calls its mount point: in a
// container the same volume is mounted elsewhere. Reads the tree only; the host comes in as values.
#pragma once

#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "fs/control_protocol.h"
#include "tools/mountinfo.h"

namespace ebbfs {

// What a directory turns out to be.
enum class Probe : std::uint8_t {
  control,      // the root of an ebbfs mount
  none,         // nothing of ours, or it does not exist
  not_mounted,  // the root of a volume that no ebbfs is mounted over
  dead,         // in a mount whose daemon has gone (ENOTCONN)
  denied,       // it may not be looked into
};

struct Host {
  std::string working_directory;                             // absolute; empty when not known
  std::string mountinfo;                                     // text of /proc/self/mountinfo
  std::function<Probe(const std::string& directory)> probe;  // does not follow a symbolic link
};

// What the command line names.
struct Place {
  std::string mount;  // --mount; empty when not given
  std::optional<std::string> path;
};

struct Target {
  std::string mount;  // root of the mount as seen from here, absolute
  std::string path;   // below it: a valid_volume_path, not necessarily of something that exists
  bool operator==(const Target&) const = default;
};

// Finds the mount from place.mount, else upwards from place.path, else upwards from the working
// directory, else the only one on the host. A path is not followed when its last component is a
// symbolic link that lies on the mount itself (a lock may be one), and is otherwise. It may have
// ceased to exist. A relative path that leads to nothing here, on no mount, is taken as relative to
// the volume root, as `ebbctl units` prints them. The error is a reply ready to be shown.
[[nodiscard]] std::expected<Target, ControlReply> find_target(const Place& place, const Host& host);

// The refusal of a mount whose daemon has gone.
[[nodiscard]] ControlReply dead_mount(std::string_view mount);

}  // namespace ebbfs
