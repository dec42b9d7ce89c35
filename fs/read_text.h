// SPDX-License-Identifier: Apache-2.0
//
// Small files as text. Stateless: any thread.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <string>

#include "index/result.h"

namespace ebbfs {

// What is left to be read of `fd` (borrowed). Errors: those of read(2); EISDIR of a directory.
[[nodiscard]] inline Result<std::string> read_text(int fd) {
  std::string text;
  char buffer[4096];
  for (;;) {
    const ssize_t count = ::read(fd, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno();
    if (count == 0) return text;
    text.append(buffer, static_cast<std::size_t>(count));
  }
}

}  // namespace ebbfs
