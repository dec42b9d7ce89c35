// SPDX-License-Identifier: Apache-2.0
#include "fs/function_ref.h"

#include <gtest/gtest.h>

#include <memory>

namespace ebbfs {
namespace {

int twice(FunctionRef<int(int)> call) { return call(1) + call(2); }

TEST(FunctionRef, CallsWhatItRefersTo) {
  int sum = 0;
  EXPECT_EQ(twice([&sum](int value) { return sum += value; }), 4);
  EXPECT_EQ(sum, 3);
}

TEST(FunctionRef, ChangesTheStateOfTheOriginal) {
  int calls = 0;
  auto counting = [calls](int) mutable { return ++calls; };
  EXPECT_EQ(twice(counting), 3);
  EXPECT_EQ(counting(0), 3);
}

TEST(FunctionRef, PassesOnWhatCanOnlyBeMoved) {
  const auto value_of = [](std::unique_ptr<int> value) { return *value; };
  const FunctionRef<int(std::unique_ptr<int>)> take = value_of;
  EXPECT_EQ(take(std::make_unique<int>(7)), 7);
}

// It has no room to own anything, and so does not allocate.
static_assert(sizeof(FunctionRef<int(int)>) == 2 * sizeof(void*));

}  // namespace
}  // namespace ebbfs
