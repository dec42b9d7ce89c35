// SPDX-License-Identifier: Apache-2.0
//
// What a fuzz target is made of. Built with clang and EBBFS_FUZZ, libFuzzer brings inputs of its
// own; elsewhere replay.cc goes through those that are kept in corpus/, found ones among them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

// Of libFuzzer.
// NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace ebbfs::test {

[[nodiscard]] inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// A broken promise ends the run, and libFuzzer keeps the input.
inline void promised(bool kept, const char* what) {
  if (kept) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

}  // namespace ebbfs::test
