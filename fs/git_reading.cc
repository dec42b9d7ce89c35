// SPDX-License-Identifier: Apache-2.0
#include "fs/git_reading.h"

#include <fcntl.h>

#include "fs/tree.h"

namespace ebbfs {

Result<std::optional<std::string>> read_git_file(const Backing& backing, int dir,
                                                 std::string_view path, std::size_t bytes_max,
                                                 std::uint64_t offset) {
  // Not to wait for the writer of a FIFO.
  const auto fd = open_beneath(dir, path, O_RDONLY | O_NONBLOCK);
  if (!fd) {
    if (is_missing(fd.error())) return std::nullopt;
    return std::unexpected(fd.error());
  }
  const auto attributes = backing.stat(fd->get(), "");
  if (!attributes) return std::unexpected(attributes.error());
  if (!is_regular(*attributes)) return fail(EINVAL);
  if (attributes->stx_size < offset) return std::string();
  if (attributes->stx_size - offset > bytes_max) return fail(EFBIG);
  std::string content(attributes->stx_size - offset, '\0');
  std::size_t have = 0;
  while (have < content.size()) {
    const auto into = std::as_writable_bytes(std::span(content)).subspan(have);
    const auto count = backing.read(fd->get(), into, static_cast<off_t>(offset + have));
    if (!count) return std::unexpected(count.error());
    if (*count == 0) break;  // made shorter meanwhile
    have += *count;
  }
  content.resize(have);
  return content;
}

Result<bool> holds_anything(int dir, std::string_view path) {
  const auto fd = open_beneath(dir, path, O_RDONLY | O_DIRECTORY);
  if (!fd) {
    if (is_missing(fd.error())) return false;
    return std::unexpected(fd.error());
  }
  const auto names = next_names(fd->get());
  if (!names) return std::unexpected(names.error());
  return !names->empty();
}

}  // namespace ebbfs
