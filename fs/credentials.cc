// SPDX-License-Identifier: Apache-2.0
#include "fs/credentials.h"

#include <linux/securebits.h>
#include <sched.h>
#include <spdlog/spdlog.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

namespace ebbfs {
namespace {

// What the thread wears now, so that nothing is asked of the kernel in the common case.
struct Worn {
  uid_t uid = ::geteuid();
  gid_t gid = ::getegid();
  mode_t umask = 0;  // prepare_credentials, and inherited by every thread
  bool own_umask = false;
};
thread_local Worn worn;

constexpr uid_t kNoUid = static_cast<uid_t>(-1);
constexpr gid_t kNoGid = static_cast<gid_t>(-1);

// setfsuid(2) reports no error, and the value before: an impossible id reads without changing.
Status wear_uid(uid_t uid) {
  if (uid == worn.uid) return {};
  ::setfsuid(uid);
  if (static_cast<uid_t>(::setfsuid(kNoUid)) != uid) return fail(EPERM);
  worn.uid = uid;
  return {};
}

Status wear_gid(gid_t gid) {
  if (gid == worn.gid) return {};
  ::setfsgid(gid);
  if (static_cast<gid_t>(::setfsgid(kNoGid)) != gid) return fail(EPERM);
  worn.gid = gid;
  return {};
}

Status wear_umask(mode_t umask) {
  if (umask == worn.umask) return {};
  if (!worn.own_umask) {
    if (::unshare(CLONE_FS) != 0) return fail_errno();
    worn.own_umask = true;
  }
  ::umask(umask);
  worn.umask = umask;
  return {};
}

Status wear(uid_t uid, gid_t gid, mode_t umask) {
  if (auto worn_gid = wear_gid(gid); !worn_gid) return worn_gid;
  if (auto worn_uid = wear_uid(uid); !worn_uid) return worn_uid;
  return wear_umask(umask);
}

void put_back(uid_t uid, gid_t gid, mode_t umask) {
  if (wear(uid, gid, umask)) return;
  spdlog::critical("what=credentials_not_restored uid={} gid={}", uid, gid);
  std::abort();
}

}  // namespace

Status prepare_credentials() {
  const int bits = ::prctl(PR_GET_SECUREBITS);
  if (bits < 0) return fail_errno();
  const auto wanted = static_cast<unsigned long>(bits) | SECBIT_NO_SETUID_FIXUP;
  if (::prctl(PR_SET_SECUREBITS, wanted) != 0) return fail_errno();
  ::umask(0);
  // Else each user but root would meet it later, at every name that it makes.
  constexpr uid_t kAnybody = 65534;
  const auto worn_once = CredentialScope::enter(kAnybody, kAnybody, 0);
  return worn_once ? Status{} : std::unexpected(worn_once.error());
}

Result<CredentialScope> CredentialScope::enter(uid_t uid, gid_t gid, mode_t umask) {
  CredentialScope scope(worn.uid, worn.gid, worn.umask);
  // A failure half way is undone by the scope's end.
  if (auto entered = wear(uid, gid, umask & 0777U); !entered) {
    return std::unexpected(entered.error());
  }
  return scope;
}

CredentialScope::CredentialScope(CredentialScope&& other) noexcept
    : uid_(other.uid_),
      gid_(other.gid_),
      umask_(other.umask_),
      active_(std::exchange(other.active_, false)) {}

CredentialScope::~CredentialScope() {
  if (active_) put_back(uid_, gid_, umask_);
}

}  // namespace ebbfs
