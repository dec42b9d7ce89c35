// SPDX-License-Identifier: Apache-2.0
//
// What the daemon keeps of the power of root. The rest is given up before it opens anything, for
// good: it is out of the bounding set too, so a program that it were made to execute could not get
// it back. What each is for stands beside it; ARCHITECTURE.md says what they mean for a user.
//
// Threading: one thread, before there are others, which inherit what is left.
#pragma once

#include <linux/capability.h>

#include <array>
#include <span>

#include "index/result.h"

namespace ebbfs {

inline constexpr std::array kDaemonCapabilities{
    CAP_SYS_ADMIN,        // mount, passthrough of reads, trusted.* and security.* attributes
    CAP_DAC_READ_SEARCH,  // open_by_handle_at, linkat of a descriptor
    CAP_DAC_OVERRIDE,     // anybody's files; the kernel has checked the caller's permissions
    CAP_CHOWN,            // chown and chgrp for who may
    CAP_FOWNER,           // chmod, times, attributes of anybody's files; O_NOATIME
    CAP_FSETID,           // set-user-ID and set-group-ID bits stay where the kernel lets them
    CAP_SETUID,           // the caller's fsuid, worn while a name is made
    CAP_SETGID,           // the same of the group
    CAP_SETFCAP,          // security.capability, for who may set it
    CAP_MKNOD,            // device nodes, for who may make them
    CAP_KILL,             // commands of hooks that run as somebody else and do not end
    CAP_SYS_PTRACE,       // /proc of others: who sits in a unit, how an owner ended
    CAP_SYS_RESOURCE,     // the index is written also from what ext4 reserves for root
};
// Beside these with --metrics, whose port may be a low one.
inline constexpr int kMetricsCapability = CAP_NET_BIND_SERVICE;

[[nodiscard]] Status keep_daemon_capabilities(bool with_metrics);

// Gives up all that is not in `kept`; what the process did not have it does not get. Securebits are
// fixed by then: CAP_SETPCAP goes too. Errors: EPERM where the kernel refuses.
[[nodiscard]] Status keep_capabilities(std::span<const int> kept);

}  // namespace ebbfs
