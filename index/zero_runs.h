// SPDX-License-Identifier: Apache-2.0
//
// Bytes with their runs of zeros told by length: what is encoded in fields of fixed width is mostly
// such runs. For copies in memory; nothing of it is stored. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

namespace ebbfs {

// Each zero is followed by how many more there are, up to 255 in a byte. At most twice as long.
[[nodiscard]] std::string shorten_zeros(std::string_view bytes);
// What shorten_zeros() was given.
[[nodiscard]] std::string restore_zeros(std::string_view shortened);

}  // namespace ebbfs
