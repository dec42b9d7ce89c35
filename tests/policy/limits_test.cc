// SPDX-License-Identifier: Apache-2.0
#include "policy/limits.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/policy/seeded.h"

namespace ebbfs {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kInt64Max = std::numeric_limits<std::int64_t>::max();

TEST(ParseDuration, ReadsUnitsInFallingOrder) {
  struct Case {
    std::string_view text;
    Duration want;
  };
  constexpr Case kCases[] = {
      {"0s", 0s},
      {"90s", 90s},
      {"5m", 5min},
      {"24h", 24h},
      {"7d", 168h},
      {"1h30m", 90min},
      {"1d2h3m4s5ms6us7ns", 26h + 3min + 4s + 5ms + 6us + 7ns},
      {"007s", 7s},
      {"500ms", 500ms},
      {"9223372036854775806ns", Duration(kInt64Max - 1)},
      {"none", kNoLimit},
  };
  for (const Case& c : kCases) EXPECT_EQ(parse_duration(c.text), c.want) << c.text;
}

TEST(ParseDuration, RefusesWhatIsMalformed) {
  constexpr std::string_view kCases[] = {
      "",   " ",    "5",     "h",    "soon", "-5m",  "+5m",   "5 m",    "5m ", " 5m",  "1.5h",
      "5M", "5min", "30m1h", "1h1h", "1h30", "None", "nones", "5mnone", "1w",  "1e3s", "5m\n",
  };
  for (const std::string_view text : kCases) EXPECT_EQ(parse_duration(text), std::nullopt) << text;
}

TEST(ParseDuration, RefusesWhatDoesNotFit) {
  constexpr std::string_view kCases[] = {
      "9223372036854775807ns",  // would be "none"
      "9223372036854775808ns", "99999999999999999999s", "106752d", "106751d24h",
  };
  for (const std::string_view text : kCases) EXPECT_EQ(parse_duration(text), std::nullopt) << text;
}

TEST(FormatDuration, SaysItAsPeopleDo) {
  struct Case {
    Duration duration;
    std::string_view want;
  };
  const Case cases[] = {
      {0s, "0s"},         {90s, "1m30s"},
      {5min, "5m"},       {24h, "24h"},
      {36h, "36h"},       {47h + 59min, "47h59m"},
      {48h, "2d"},        {49h, "2d1h"},
      {168h, "7d"},       {1500ms, "1s500ms"},
      {1ns, "1ns"},       {-90s, "-1m30s"},
      {kNoLimit, "none"}, {Duration::min(), "-106751d23h47m16s854ms775us808ns"},
  };
  for (const Case& c : cases) EXPECT_EQ(format_duration(c.duration), c.want);
}

TEST(FormatDuration, IsReadBackExactly) {
  Seeded random;
  SCOPED_TRACE(random.message());
  for (int i = 0; i < 10'000; ++i) {
    const int bits = static_cast<int>(random.between(0, 62));
    const Duration duration(random.between(0, (std::int64_t{1} << bits) - 1));
    ASSERT_EQ(parse_duration(format_duration(duration)), duration) << duration.count();
  }
}

TEST(ParseBytes, TakesEveryUnitAsBinary) {
  struct Case {
    std::string_view text;
    std::int64_t want;
  };
  constexpr Case kCases[] = {
      {"0", 0},
      {"4096", 4096},
      {"4096B", 4096},
      {"4KiB", 4096},
      {"4K", 4096},
      {"8MiB", std::int64_t{8} << 20},
      {"10G", std::int64_t{10} << 30},
      {"1.5GiB", std::int64_t{3} << 29},
      {"0.1KiB", 102},
      {"2TiB", std::int64_t{2} << 40},
      {"1P", std::int64_t{1} << 50},
      {"8191PiB", std::int64_t{8191} << 50},
      {"9223372036854775807", kInt64Max},
  };
  for (const Case& c : kCases) EXPECT_EQ(parse_bytes(c.text), Bytes{c.want}) << c.text;
}

TEST(ParseBytes, RefusesWhatIsMalformed) {
  constexpr std::string_view kCases[] = {
      "",      "-1",     "+1",   " 1",   "1 ",    "1 KiB", "KiB",  ".5KiB",
      "5.KiB", "1.2.3K", "1.5",  "1.5B", "10GB",  "10g",   "1Ki",  "1KB",
      "none",  "1e3",    "0x10", "1iB",  "1KiBB", "1.-5K", "1.K5", "5%",
  };
  for (const std::string_view text : kCases) EXPECT_EQ(parse_bytes(text), std::nullopt) << text;
}

TEST(ParseBytes, RefusesWhatDoesNotFit) {
  constexpr std::string_view kCases[] = {"9223372036854775808", "8192PiB", "9007199254740992K",
                                         "99999999999999999999"};
  for (const std::string_view text : kCases) EXPECT_EQ(parse_bytes(text), std::nullopt) << text;
}

TEST(FormatBytesExact, UsesTheLargestUnitThatLosesNothing) {
  struct Case {
    std::int64_t bytes;
    std::string_view want;
  };
  constexpr Case kCases[] = {
      {0, "0"},
      {1, "1"},
      {4097, "4097"},
      {4096, "4KiB"},
      {std::int64_t{20} << 30, "20GiB"},
      {std::int64_t{3} << 29, "1536MiB"},
      {std::int64_t{4096} << 50, "4096PiB"},
      {-4096, "-4KiB"},
  };
  for (const Case& c : kCases) EXPECT_EQ(format_bytes_exact({c.bytes}), c.want);
}

TEST(FormatBytesExact, IsReadBackExactly) {
  Seeded random;
  SCOPED_TRACE(random.message());
  for (int i = 0; i < 10'000; ++i) {
    const int low = static_cast<int>(random.between(0, 50));
    const Bytes bytes{random.between(0, 4095) << low};
    ASSERT_EQ(parse_bytes(format_bytes_exact(bytes)), bytes) << bytes.n;
  }
}

TEST(DefaultPolicy, IsTheDocumentedOne) {
  const Policy policy = default_policy();
  EXPECT_EQ(policy.mode, Mode::enforce);
  EXPECT_EQ(policy.source, "built-in default");
  EXPECT_EQ(policy.volume.high.fraction, 0.85);
  EXPECT_EQ(policy.volume.low.fraction, 0.75);
  EXPECT_EQ(policy.volume.reserve.fraction, 0.01);
  EXPECT_EQ(policy.volume.trash_retention, 1h);
  EXPECT_EQ(policy.volume.adopt_grace, 10min);
  EXPECT_TRUE(policy.quotas.empty());
  ASSERT_EQ(policy.classes.size(), 2U);

  const ClassRule& worktree = policy.classes[0];
  EXPECT_EQ(worktree.name, "worktree");
  EXPECT_EQ(worktree.kind, ClassKind::tree);
  EXPECT_EQ(worktree.match, std::vector<std::string>{"worktrees/*"});
  EXPECT_EQ(worktree.ttl, 24h);
  EXPECT_EQ(worktree.keep, 1h);
  EXPECT_EQ(worktree.max_age, kNoLimit);

  const ClassRule& lock = policy.classes[1];
  EXPECT_EQ(lock.name, "lock");
  EXPECT_EQ(lock.kind, ClassKind::lock);
  EXPECT_EQ(lock.match, (std::vector<std::string>{"locks/**", "{git}/**/*.lock"}));
  EXPECT_EQ(lock.ttl, 5min);
  EXPECT_EQ(lock.orphan_grace, 5s);
  EXPECT_EQ(lock.owner, OwnerMode::process);
}

TEST(Policy, FindsAClassByItsName) {
  const Policy policy = default_policy();
  EXPECT_EQ(policy.find_class("lock"), &policy.classes[1]);
  EXPECT_EQ(policy.find_class("locks"), nullptr);
  EXPECT_EQ(policy.find_class(""), nullptr);
}

TEST(PolicyError, LeavesOutThePlaceItDoesNotHave) {
  EXPECT_EQ((PolicyError{"p.toml", 12, 7, "ttl: bad"}).message(), "p.toml:12:7: ttl: bad");
  EXPECT_EQ((PolicyError{"p.toml", 12, 0, "ttl: bad"}).message(), "p.toml:12: ttl: bad");
  EXPECT_EQ((PolicyError{"p.toml", 0, 0, "unreadable"}).message(), "p.toml: unreadable");
}

}  // namespace
}  // namespace ebbfs
