// SPDX-License-Identifier: Apache-2.0
//
// What takes a pass over /proc: who uses a volume, and who has a number in another pid namespace.
// Free functions without state: any thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

#include "fs/proc_files.h"
#include "fs/process_use.h"
#include "index/result.h"

namespace ebbfs {

// `but`: a process to pass over, by its pid in `proc`; the daemon itself, which has thousands of
// files open, all of them beneath its mount. 0: none.
//
// What a process or thread visible in /proc has as its working or root directory, is running, or
// has open in whatever way (a directory, a FIFO, O_PATH), on the filesystems `devices`; with
// ProcessLook::all also what it has mapped: a file read past the daemon (passthrough) is mapped
// still when the daemon has seen it closed; and where something is mounted upon the filesystem in
// mount namespaces other than our own, each looked at once. Threads that share directories and
// files with their process, nearly all of them, cost one kcmp(2) each.
//
// Asks with AT_STATX_DONT_SYNC, so a FUSE filesystem is not called for it. It can wait all the
// same: for a process that executes a program from this very mount, for the server of a network
// filesystem that somebody sits in, a tenth of a second for a process that does not show itself;
// looking at mappings, for whoever holds a process's memory: a page fault that waits for a file.
// So not on a request's thread, and holding no lock that a request could need.
//
// What vanishes on the way is skipped. So is pid 1 when a security module hides it from a holder of
// CAP_SYS_PTRACE: hardened systems hide their init, which does not sit in scratch volumes, and
// taking that for unknown would switch expiry off there for ever.
//
// Errors, all meaning unknown: EACCES a living process does not show itself (CAP_SYS_PTRACE is
// missing, or a security module hides it), or whatever else kept one from being read.
[[nodiscard]] Result<ProcessUse> scan_in_use(const ProcFiles& proc, const Devices& devices,
                                             ProcessLook look, pid_t but = 0);

// The process that has the number `ns_pid` in the pid namespace `pid_ns`, below ours, or in it but
// in one of its own below that: by its pid in `proc`. One pass; nothing where none is to be seen.
[[nodiscard]] std::optional<pid_t> find_in_pid_namespace(const ProcFiles& proc, pid_t ns_pid,
                                                         std::uint64_t pid_ns);

// The calling process, by its pid in `proc`, which may be that of another namespace; 0 when it is
// not visible there.
[[nodiscard]] pid_t own_pid(const ProcFiles& proc);

}  // namespace ebbfs
