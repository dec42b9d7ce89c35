// SPDX-License-Identifier: Apache-2.0
#include "fs/directory_reader.h"

#include <dirent.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <string_view>

namespace ebbfs {

Result<std::vector<std::string>> names_in(int fd) {
  std::vector<std::string> names;
  alignas(struct ::dirent64) std::array<char, 32 * 1024> buffer;
  for (;;) {
    const long length = ::syscall(SYS_getdents64, fd, buffer.data(), buffer.size());
    if (length < 0) return fail_errno();
    if (length == 0) return names;
    for (long at = 0; at < length;) {
      const auto* record = reinterpret_cast<const struct ::dirent64*>(buffer.data() + at);
      at += record->d_reclen;
      const std::string_view name(record->d_name);
      if (name != "." && name != "..") names.emplace_back(name);
    }
  }
}

}  // namespace ebbfs
