// SPDX-License-Identifier: Apache-2.0
#include "policy/decision.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "policy/limits.h"

namespace ebbfs {
namespace {

using std::chrono::seconds;

TEST(Reason, HasANameOfItsOwn) {
  std::set<std::string_view> names;
  int count = 0;
  for (int i = 0; i <= static_cast<int>(Reason::untouched); ++i, ++count) {
    const std::string_view name = to_string(static_cast<Reason>(i));
    EXPECT_NE(name, "invalid") << i;
    EXPECT_EQ(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), std::string_view::npos);
    names.insert(name);
  }
  EXPECT_EQ(names.size(), static_cast<std::size_t>(count));
}

TEST(Later, AddsTheWait) {
  EXPECT_EQ(later(WallTime(seconds(10)), seconds(5)), WallTime(seconds(15)));
}

TEST(Later, IsNeverWithoutALimit) {
  EXPECT_EQ(later(WallTime(seconds(10)), kNoLimit), kNever);
  EXPECT_EQ(later(WallTime::min(), kNoLimit), kNever);
}

TEST(Later, IsNeverPastTheEndOfTime) {
  EXPECT_EQ(later(WallTime::max() - seconds(1), seconds(1)), kNever);
  EXPECT_EQ(later(WallTime::max() - seconds(1), seconds(2)), kNever);
  EXPECT_EQ(later(kNever, seconds(1)), kNever);
}

}  // namespace
}  // namespace ebbfs
