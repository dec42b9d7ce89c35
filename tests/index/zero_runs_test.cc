// SPDX-License-Identifier: Apache-2.0
#include "index/zero_runs.h"

#include <gtest/gtest.h>

#include <random>

namespace ebbfs {
namespace {

TEST(ZeroRuns, OfFieldsThatAreMostlyEmptyTakeTwoBytesEach) {
  const std::string fields = "a" + std::string(7, '\0') + "b" + std::string(300, '\0');
  EXPECT_EQ(shorten_zeros(fields).size(), 1U + 2 + 1 + 4);
  EXPECT_EQ(restore_zeros(shorten_zeros(fields)), fields);
}

TEST(ZeroRuns, AreRestoredWhateverTheBytesAre) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int i = 0; i < 2000; ++i) {
    std::string bytes;
    while (random() % 8 != 0) {
      bytes.append(random() % 2 == 0 ? random() % 4 : random() % 600, '\0');
      bytes.append(random() % 5, static_cast<char>(random()));
    }
    ASSERT_EQ(restore_zeros(shorten_zeros(bytes)), bytes);
    ASSERT_LE(shorten_zeros(bytes).size(), 2 * bytes.size());
  }
}

}  // namespace
}  // namespace ebbfs
