// SPDX-License-Identifier: Apache-2.0
//
// A busy session of two users, to compare counters with afterwards.
#pragma once

#include <string>

namespace ebbfs::test {

// Runs `steps` random operations of every kind below `root`/{units,other,plain,locks}, which must
// be writable for all, taking turns between two users. Stops early when the mount is gone. Failures
// of single operations are part of it; false when hardly anything succeeded, which makes a test of
// nothing.
[[nodiscard]] bool run_random_session(const std::string& root, unsigned seed, int steps);

}  // namespace ebbfs::test
