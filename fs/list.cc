// SPDX-License-Identifier: Apache-2.0
//
// Listing directories. Each call opens a descriptor of its own: the position of a cached one would
// be shared between listings that run at the same time.
#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "fs/filesystem.h"

namespace ebbfs {
namespace {

// What getdents64(2) writes; glibc's struct dirent64 has the same layout.
using Record = struct ::dirent64;

constexpr std::size_t kBufferBytes = 32 * 1024;

bool is_dot(const char* name) {
  return std::strcmp(name, ".") == 0 || std::strcmp(name, "..") == 0;
}

}  // namespace

Status Filesystem::list(const Caller& caller, NodeId id, off_t from, bool plus, Visitor visit) {
  (void)caller;
  const auto directory = find(id);
  if (!directory) return std::unexpected(directory.error());
  Standpoint at(**directory);
  if (at.place().unit->gone()) return fail(ESTALE);
  const auto shared = directory_fd(volume_, **directory);
  if (!shared) return std::unexpected(shared.error());
  const auto own = volume_.backing.open_at((*shared)->get(), ".", O_RDONLY | O_DIRECTORY, 0);
  if (!own) return std::unexpected(own.error());
  if (from != 0 && ::lseek(own->get(), from, SEEK_SET) < 0) return fail_errno();

  alignas(Record) std::array<char, kBufferBytes> buffer;
  for (;;) {
    const long length = ::syscall(SYS_getdents64, own->get(), buffer.data(), buffer.size());
    if (length < 0) return fail_errno();
    if (length == 0) return {};
    for (long offset = 0; offset < length;) {
      const auto* record = reinterpret_cast<const Record*>(buffer.data() + offset);
      offset += record->d_reclen;
      if (id == kRootNode && std::strcmp(record->d_name, kStateDirName) == 0) continue;
      Listed listed{record->d_name,
                    record->d_ino,
                    static_cast<std::uint32_t>(DTTOIF(record->d_type)),
                    record->d_off,
                    {}};
      if (plus && !is_dot(record->d_name)) {
        // One that cannot be looked at is listed by name only; the kernel asks when it is needed.
        auto child = look_at_child(volume_, at, own->get(), record->d_name);
        if (child) listed.entry = entry_of(std::move(*child));
        if (child && suspect_lock(id, record->d_name)) listed.entry.entry_seconds = 0;
      }
      if (!visit(listed)) return {};
    }
  }
}

}  // namespace ebbfs
