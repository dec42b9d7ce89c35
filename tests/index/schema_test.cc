// SPDX-License-Identifier: Apache-2.0
#include "index/schema.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <set>
#include <vector>

namespace ebbfs {
namespace {

std::string key_of(const Deadline& entry) {
  return deadline_key({entry.kind, entry.id}, entry.due);
}

TEST(SchemaDeadlineKey, SortsAsDeadlinesDo) {
  constexpr std::uint64_t kSeed = 7;
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  std::mt19937_64 random(kSeed);
  std::vector<Deadline> entries = {
      {WallTime::min(), Deadline::Kind::unit, 0},
      {WallTime{Duration{-1}}, Deadline::Kind::trash, 1},
      {WallTime{Duration{0}}, Deadline::Kind::unit, 256},
      {WallTime{Duration{0}}, Deadline::Kind::unit, 1},
      {WallTime{Duration{0}}, Deadline::Kind::lock, 0},
      {WallTime{Duration{255}}, Deadline::Kind::unit, 0},
      {WallTime{Duration{256}}, Deadline::Kind::unit, 0},
      {WallTime::max(), Deadline::Kind::trash, std::numeric_limits<std::uint64_t>::max()},
  };
  for (int i = 0; i < 500; ++i) {
    entries.push_back({WallTime{Duration{static_cast<std::int64_t>(random())}},
                       static_cast<Deadline::Kind>(random() % 3), random()});
  }
  std::ranges::sort(entries);
  EXPECT_TRUE(std::ranges::is_sorted(entries, {}, key_of));
}

TEST(SchemaDeadlineKey, ParsesBack) {
  for (const WallTime due : {WallTime::min(), WallTime{}, kNever}) {
    const Deadline entry = {due, Deadline::Kind::trash, 0x0102'0304'0506'0708};
    EXPECT_EQ(parse_deadline_key(key_of(entry)), entry);
  }
}

TEST(SchemaKeys, RefuseWhatTheyDidNotWrite) {
  const std::string deadline = key_of({WallTime{}, Deadline::Kind::unit, 1});
  std::string unknown_kind = deadline;
  unknown_kind[8] = 3;
  EXPECT_FALSE(parse_deadline_key(""));
  EXPECT_FALSE(parse_deadline_key(deadline + "x"));
  EXPECT_FALSE(parse_deadline_key(deadline.substr(1)));
  EXPECT_FALSE(parse_deadline_key(unknown_kind));
  EXPECT_FALSE(parse_number_key("1234567"));
  EXPECT_FALSE(parse_history_key(history_key({}) + "x"));
  EXPECT_FALSE(parse_owner_key(owner_key({}, {}) + "x"));
}

TEST(SchemaOwnerKey, ParsesBack) {
  OwnerTag owner = {.uid = 0x89ab'cdef, .process = {.tgid = 0x0102'0304, .start_time = ~0ULL - 1}};
  for (std::size_t i = 0; i < owner.boot.bytes.size(); ++i) {
    owner.boot.bytes[i] = static_cast<std::uint8_t>(0xf0 + i);
  }
  const Thing thing = {Deadline::Kind::lock, 77};
  const auto row = parse_owner_key(owner_key(thing, owner));
  ASSERT_TRUE(row);
  EXPECT_EQ(row->owner, owner);
  EXPECT_EQ(row->thing, thing);
}

TEST(SchemaHistoryKey, SortsByTierThenTimeAndParsesBack) {
  std::vector<std::string> keys;
  for (const auto tier : {std::uint8_t{0}, std::uint8_t{1}}) {
    for (const WallTime time : {WallTime::min(), WallTime{Duration{-1}}, WallTime{}, kNever}) {
      keys.push_back(history_key({tier, time}));
      const auto parsed = parse_history_key(keys.back());
      ASSERT_TRUE(parsed);
      EXPECT_EQ(parsed->tier, tier);
      EXPECT_EQ(parsed->time, time);
    }
  }
  EXPECT_TRUE(std::ranges::is_sorted(keys));
}

TEST(SchemaTables, HaveDifferentNames) {
  EXPECT_EQ(std::set(kTableNames.begin(), kTableNames.end()).size(), kTables);
}

// Changing one of these makes every volume in use unreadable: that is a new kFormatVersion.
TEST(SchemaFormat, IsWhatVersionTwoWrote) {
  using std::string_literals::operator""s;
  EXPECT_EQ(kFormatVersion, 2U);
  EXPECT_EQ(number_key(0x0102), "\0\0\0\0\0\0\1\2"s);
  EXPECT_EQ(deadline_key({Deadline::Kind::lock, 3}, WallTime{Duration{5}}),
            "\x80\0\0\0\0\0\0\5\1\0\0\0\0\0\0\0\3"s);
  EventRecord event;
  event.kind = EventRecord::Kind::expired;
  event.sequence = 2;
  event.path = "ab";
  const std::string bytes = encode(event);
  EXPECT_EQ(bytes.substr(0, 24), "\1\2\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\2\0\0\0ab"s);
  EXPECT_EQ(bytes.size(), 64U);
}

}  // namespace
}  // namespace ebbfs
