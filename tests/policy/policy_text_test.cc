// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "policy/limits.h"
#include "tests/policy/seeded.h"

namespace ebbfs {
namespace {

void expect_read_back(const Policy& policy) {
  const std::string text = to_toml(policy);
  SCOPED_TRACE(text);
  auto again = parse_policy(text, "p.toml");
  ASSERT_TRUE(again.has_value()) << again.error().message();
  again->source = policy.source;
  EXPECT_EQ(*again, policy);
}

TEST(PolicyText, OfTheDefaultIsReadBack) { expect_read_back(default_policy()); }

TEST(PolicyText, WithoutClassesDoesNotTurnIntoTheDefault) {
  Policy policy = default_policy();
  policy.classes.clear();
  expect_read_back(policy);
}

TEST(PolicyText, ShowsValuesAsPeopleWriteThem) {
  const std::string text = to_toml(default_policy());
  for (const std::string_view line :
       {"mode = \"enforce\"\n", "high = \"85%\"\n", "reserve = \"1%\"\n", "ttl = \"24h\"\n",
        "max_age = \"none\"\n", "match = [\"locks/**\", \"{git}/**/*.lock\"]\n",
        "brake_units = 500\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "in\n" << text;
  }
}

TEST(PolicyText, EscapesWhatTomlGivesAMeaning) {
  Policy policy = default_policy();
  policy.classes[0].match = {"a\"b/*", "tab\there/*", "\x7f\xc3\xa9/*"};
  expect_read_back(policy);
}

TEST(PolicyText, IsExactForEveryFraction) {
  Policy policy = default_policy();
  for (const double fraction : {0.0, 0.001, 0.07, 0.1, 0.29, 1.0 / 3, 0.5, 1.0, 1e-20, 5e-324}) {
    policy.volume.reserve = {.fraction = fraction};
    policy.volume.brake_percent = fraction;
    expect_read_back(policy);
  }
}

Duration some_duration(Seeded& random, Duration least, bool may_be_none) {
  if (may_be_none && random.one_in(4)) return kNoLimit;
  return Duration(random.between(least.count(), std::int64_t{1} << random.between(1, 62)));
}

template <typename T>
std::optional<T> maybe(Seeded& random, T value) {
  return random.one_in(2) ? std::optional(value) : std::nullopt;
}

Policy some_policy(Seeded& random) {
  Policy policy;
  policy.mode = random.one_in(2) ? Mode::enforce : Mode::observe;
  VolumeRule& volume = policy.volume;
  volume.low.fraction = static_cast<double>(random.below(500)) / 997;
  volume.high.fraction = *volume.low.fraction + static_cast<double>(1 + random.below(400)) / 997;
  if (random.one_in(2)) volume.reserve = {.bytes = Bytes{random.between(0, 1 << 30)}};
  volume.trash_retention = some_duration(random, Duration(0), true);
  volume.adopt_grace = some_duration(random, Duration(0), false);
  volume.brake_units = random.below(1000);
  volume.brake_percent = static_cast<double>(random.below(1000)) / 999;
  for (std::size_t i = random.below(5); i > 0; --i) {
    ClassRule rule{.name = "class-" + std::to_string(i)};
    rule.match = {"dir" + std::to_string(i) + "/" + random.text("ab*?", 1, 1)};
    rule.ttl = some_duration(random, Duration(1), true);
    if (random.one_in(2)) {
      rule.keep = some_duration(random, Duration(0), true);
      rule.max_age = some_duration(random, Duration(1), true);
    } else {
      rule.kind = ClassKind::lock;
      rule.owner = random.one_in(2) ? OwnerMode::process : OwnerMode::cgroup;
      rule.orphan_grace = some_duration(random, Duration(0), false);
    }
    policy.quotas.push_back({.scope = "class:" + rule.name,
                             .bytes = maybe(random, Bytes{random.between(5000, 1 << 30)}),
                             .soft_bytes = maybe(random, Bytes{random.between(0, 5000)}),
                             .inodes = maybe(random, random.between(5000, 1 << 30)),
                             .soft_inodes = maybe(random, random.between(0, 5000)),
                             .grace = some_duration(random, Duration(0), true)});
    policy.classes.push_back(std::move(rule));
  }
  return policy;
}

TEST(PolicyText, OfAnyPolicyIsReadBack) {
  Seeded random;
  SCOPED_TRACE(random.message());
  for (int i = 0; i < 1000 && !testing::Test::HasFailure(); ++i) {
    expect_read_back(some_policy(random));
  }
}

}  // namespace
}  // namespace ebbfs
