// SPDX-License-Identifier: Apache-2.0
#include "index/zero_runs.h"

#include <algorithm>
#include <cstddef>

namespace ebbfs {

std::string shorten_zeros(std::string_view bytes) {
  constexpr std::size_t kMoreMax = 255;
  std::string shortened;
  shortened.reserve(bytes.size());
  for (std::size_t i = 0; i < bytes.size();) {
    shortened.push_back(bytes[i]);
    if (bytes[i++] != '\0') continue;
    const std::size_t end = std::min(bytes.find_first_not_of('\0', i), bytes.size());
    const std::size_t more = std::min(end - i, kMoreMax);
    shortened.push_back(static_cast<char>(more));
    i += more;
  }
  shortened.shrink_to_fit();
  return shortened;
}

std::string restore_zeros(std::string_view shortened) {
  std::string bytes;
  std::size_t i = 0;
  while (i < shortened.size()) {
    const char byte = shortened[i++];
    bytes.push_back(byte);
    if (byte != '\0' || i == shortened.size()) continue;
    bytes.append(static_cast<unsigned char>(shortened[i++]), '\0');
  }
  return bytes;
}

}  // namespace ebbfs
