// SPDX-License-Identifier: Apache-2.0
//
// One error form for every room: an errno, because that is all the kernel understands. Detail goes
// to the log where the failure is first known. Values only; nothing here is shared.
#pragma once

#include <cerrno>
#include <expected>

namespace ebbfs {

// An errno(3) value, always positive. `static_cast<int>` gives the number for a reply.
enum class Errno : int {};

template <typename T>
using Result = std::expected<T, Errno>;
using Status = std::expected<void, Errno>;

// The failure `code` (an errno constant such as ENOENT, > 0) as a value that any Result accepts.
[[nodiscard]] inline std::unexpected<Errno> fail(int code) {
  return std::unexpected(static_cast<Errno>(code));
}

// The failure in `errno`, read at once after a system call returned -1.
[[nodiscard]] inline std::unexpected<Errno> fail_errno() { return fail(errno); }

[[nodiscard]] constexpr int code(Errno error) { return static_cast<int>(error); }

}  // namespace ebbfs
