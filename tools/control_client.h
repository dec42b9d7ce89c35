// SPDX-License-Identifier: Apache-2.0
//
// The door to a mounted ebbfs: finds out whether a directory is the root of one, and exchanges one
// request for one reply through its control file. Blocks for as long as the daemon takes.
//
// Anybody can make a directory called .ebbfs, and ebbctl runs as root: nothing is opened for
// writing unless it lies on FUSE, and no symbolic link is followed on the way to it.
#pragma once

#include <string>

#include "fs/control_protocol.h"
#include "tools/mount_finder.h"

namespace ebbfs {

// What `directory` (absolute) is, without following a symbolic link there.
[[nodiscard]] Probe probe_directory(const std::string& directory);

// This process's working directory and mounts. The working directory is what the shell says where
// it has been removed (an expired worktree).
[[nodiscard]] Host this_host();

// Sends `request` to the ebbfs at `mount` and returns its answer. Failures to do so are replies,
// too.
[[nodiscard]] ControlReply ask(const std::string& mount, const ControlRequest& request);

// Reads `fd` (borrowed) from offset 0 to its end. Errors: EFBIG beyond kReplyMax; those of
// pread(2).
[[nodiscard]] Result<std::string> read_whole(int fd);

// Reads the file at `path` in sequence, so that it may be a pipe. Errors: EFBIG as above; those of
// open(2) and read(2).
[[nodiscard]] Result<std::string> read_file(const std::string& path);

inline constexpr std::size_t kReplyMax = std::size_t{256} * 1024 * 1024;  // bytes

}  // namespace ebbfs
