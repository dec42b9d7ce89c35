// SPDX-License-Identifier: Apache-2.0
//
// Results in a form that a failed expectation prints readably.
#pragma once

#include "index/result.h"

namespace ebbfs {

// The errno of a failure; 0 for success.
template <typename T>
[[nodiscard]] int error_of(const std::expected<T, Errno>& result) {
  return result ? 0 : code(result.error());
}

}  // namespace ebbfs
