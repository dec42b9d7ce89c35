// SPDX-License-Identifier: Apache-2.0
//
// Room on the volume for what a request is about to make.
#include <unistd.h>

#include "fs/filesystem.h"
#include "fs/space_gate.h"

namespace ebbfs {
namespace {

// Of a lock file: enough for whatever says whose it is.
constexpr std::int64_t kLockBytes = 4096;

}  // namespace

Status Filesystem::room_for_name(const Parent& parent, const char* name) {
  if (volume_.space == nullptr || volume_.space->admit_inode()) return {};
  const auto policy = volume_.rules.policy();
  if (*name != '\0' && lock_rule(*policy, parent, name) != nullptr) return {};
  return fail(ENOSPC);
}

Status Filesystem::room_for_data(Inode& inode, int fd, off_t offset, std::int64_t length) {
  if (volume_.space == nullptr || volume_.space->admit(length)) return {};
  const std::int64_t end = offset + length;
  if (end <= kLockBytes && volume_.locks.find_object(inode.id) != nullptr) return {};
  if (end > inode.extent.size) return fail(ENOSPC);
  // In place: nothing new, unless it fills a hole.
  const auto hole = volume_.backing.seek(fd, offset, SEEK_HOLE);
  return hole && *hole >= end ? Status{} : fail(ENOSPC);
}

Result<Reservation> Filesystem::reserve(const Payer& payer, const Usage& usage) {
  auto reservation = volume_.accounting.reserve(payer, usage);
  if (!reservation && reservation.error() == Errno{ENOSPC} && volume_.space != nullptr) {
    volume_.space->missed(usage);
  }
  return reservation;
}

}  // namespace ebbfs
