// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "tools/render_views.h"

namespace ebbfs {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kGiB = std::int64_t{1} << 30;

class RenderQuotaTest : public testing::Test {
 protected:
  static QuotaView limited_user() {
    QuotaView quota;
    quota.scope = "user:ci";
    quota.bytes = {
        .used = 9 * kGiB, .soft = 8 * kGiB, .hard = 10 * kGiB, .over_since = {}, .hard_at = {}};
    quota.inodes.used = 1'204'331;
    quota.percent = 90;
    quota.origin = "policy";
    quota.rule = "user:*";
    return quota;
  }
  static QuotaView unlimited_job() {
    QuotaView quota;
    quota.scope = "job:nightly";
    quota.origin = "none";
    return quota;
  }
  const WallTime now_ = WallTime(std::chrono::sys_days(std::chrono::days(20'000)));
  const Style style_;
};

TEST_F(RenderQuotaTest, ALineOfEachScopeTheFullestFirst) {
  EXPECT_EQ(render(QuotasView{{unlimited_job(), limited_user()}, false}, style_, now_),
            "   USED     SOFT      HARD     INODES   %  FROM    SCOPE\n"
            "9.0 GiB  8.0 GiB  10.0 GiB  1,204,331  90  user:*  user:ci\n"
            "    0 B        -         -          0   -  -       job:nightly\n");
}

TEST_F(RenderQuotaTest, SaysHowLongASoftLimitMayStillBePassed) {
  QuotaView quota = limited_user();
  quota.origin = "set";
  quota.bytes.over_since = now_ - 24h;
  quota.bytes.hard_at = now_ + 144h;
  EXPECT_EQ(render(QuotasView{{quota}, false}, style_, now_),
            "   USED     SOFT      HARD  GRACE     INODES   %  FROM        SCOPE\n"
            "9.0 GiB  8.0 GiB  10.0 GiB  6d     1,204,331  90  set user:*  user:ci\n");
}

TEST_F(RenderQuotaTest, LimitsOfInodesHaveALineOfTheirOwn) {
  QuotaView quota = limited_user();
  quota.rule = quota.scope;
  quota.inodes.hard = 2'000'000;
  EXPECT_EQ(render(QuotasView{{quota, unlimited_job()}, false}, style_, now_),
            "OF           USED     SOFT       HARD   %  FROM    SCOPE\n"
            "bytes     9.0 GiB  8.0 GiB   10.0 GiB  90  policy  user:ci\n"
            "inodes  1,204,331        -  2,000,000  60\n"
            "bytes         0 B        -          -   -  -       job:nightly\n"
            "inodes          0        -          -   -\n");
}

TEST_F(RenderQuotaTest, FitsIntoEightyColumns) {
  QuotaView quota = limited_user();
  quota.scope = "unit:worktrees/" + std::string(100, 'x');
  quota.rule = "unit:*";
  quota.inodes.used = 120'331;
  quota.bytes.over_since = now_ - 1min;
  quota.bytes.hard_at = now_ + 23h + 59min;
  for (const std::optional<std::int64_t> hard : {std::optional<std::int64_t>(), {2'000'000}}) {
    quota.inodes.hard = hard;
    std::istringstream lines(
        render(QuotasView{{quota}, false}, Style{.terminal = true, .width = 80}, now_));
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80U) << line;
  }
}

}  // namespace
}  // namespace ebbfs
