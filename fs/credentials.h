// SPDX-License-Identifier: Apache-2.0
//
// Makes new objects belong to the caller. The daemon keeps its capabilities while it wears the
// caller's fsuid and fsgid (SECBIT_NO_SETUID_FIXUP, set once per thread group before threads
// start): the kernel has already checked the caller's permissions (default_permissions), with
// supplementary groups and ACLs that the daemon does not have.
//
// All of it is about the calling thread alone: a scope ends on the thread that it began on, before
// any scope that it lies in.
#pragma once

#include <sys/types.h>

#include "index/result.h"

namespace ebbfs {

// Call in main before any thread starts: sets SECBIT_NO_SETUID_FIXUP and umask 0. EPERM without
// CAP_SETPCAP, CAP_SETUID and CAP_SETGID.
[[nodiscard]] Status prepare_credentials();

// fsuid, fsgid and umask of the calling thread, until destroyed. System calls are made only for
// what differs from the thread's current values, so for root callers it is free. The thread gets a
// umask (and working directory) of its own, unshare(CLONE_FS), the first time that another umask
// is asked for.
class CredentialScope {
 public:
  // Errors: EPERM when the fsuid or fsgid read back is not what was asked for; the request must
  // then fail rather than run as root. ENOMEM of unshare(2).
  [[nodiscard]] static Result<CredentialScope> enter(uid_t uid, gid_t gid, mode_t umask);
  CredentialScope(CredentialScope&& other) noexcept;
  CredentialScope& operator=(CredentialScope&&) = delete;
  CredentialScope(const CredentialScope&) = delete;
  CredentialScope& operator=(const CredentialScope&) = delete;
  // Puts back what the thread had. Aborts if the kernel does not: what the daemon made for itself
  // would belong to a user from then on.
  ~CredentialScope();

 private:
  CredentialScope(uid_t uid, gid_t gid, mode_t umask) : uid_(uid), gid_(gid), umask_(umask) {}

  // To put back.
  uid_t uid_;
  gid_t gid_;
  mode_t umask_;
  bool active_ = true;
};

}  // namespace ebbfs
