// SPDX-License-Identifier: Apache-2.0
#include "policy/space.h"

#include <gtest/gtest.h>

#include <ostream>

namespace ebbfs {
namespace {

constexpr std::int64_t kMiB = 1024 * 1024;

// A volume of 1000 MiB and 1000 inodes with so much free.
SpaceReading free_of(std::int64_t mib, std::int64_t inodes = 1000) {
  return {.bytes = {1000 * kMiB, mib * kMiB}, .inodes = {1000, inodes}};
}

VolumeRule default_rule() { return {}; }  // 85 %, 75 %, reserve 1 %

struct MarkCase {
  std::string_view name;
  SpaceReading reading;
  Usage wanted{};
  bool evict = false;
  std::int64_t free_mib = 0;     // still to free once it has begun
  std::int64_t free_inodes = 0;  // likewise

  friend std::ostream& operator<<(std::ostream& out, const MarkCase& row) {
    return out << row.name;
  }
};

const MarkCase kMarkCases[] = {
    {.name = "empty", .reading = free_of(1000)},
    {.name = "exactly high", .reading = free_of(150), .free_mib = 100},
    {.name = "a byte above high",
     .reading = {.bytes = {1000 * kMiB, 150 * kMiB - 1}, .inodes = {1000, 1000}},
     .evict = true,
     .free_mib = 101},  // begun
    {.name = "exactly low", .reading = free_of(250)},
    {.name = "inodes above high", .reading = free_of(1000, 149), .evict = true, .free_inodes = 101},
    {.name = "no limit on inodes",
     .reading = {.bytes = {1000 * kMiB, 900 * kMiB}, .inodes = {0, 0}}},
    {.name = "full", .reading = free_of(0), .evict = true, .free_mib = 250},
    {.name = "a limit on the volume is tighter",
     .reading = {.bytes = {1000 * kMiB, 900 * kMiB},
                 .inodes = {1000, 1000},
                 .quota_bytes = {100 * kMiB, 10 * kMiB}},
     .evict = true,
     .free_mib = 15},
    {.name = "there is room for who waits",
     .reading = free_of(200),
     .wanted = {{190 * kMiB}, 1},
     .free_mib = 50},
    {.name = "there is none, though usage is below high",
     .reading = free_of(200),
     .wanted = {{191 * kMiB}, 1},
     .evict = true,
     .free_mib = 50},
    {.name = "there would be none at low either",
     .reading = free_of(200),
     .wanted = {{241 * kMiB}, 1},
     .free_mib = 51},
};

class Marks : public testing::TestWithParam<MarkCase> {};

TEST_P(Marks, SayWhenAndHowMuch) {
  const MarkCase& row = GetParam();
  EXPECT_EQ(must_evict(row.reading, default_rule(), row.wanted), row.evict);
  const Usage left = still_to_free(row.reading, default_rule(), row.wanted);
  EXPECT_EQ((left.bytes.n + kMiB - 1) / kMiB, row.free_mib);
  EXPECT_EQ(left.inodes, row.free_inodes);
}

INSTANTIATE_TEST_SUITE_P(Table, Marks, testing::ValuesIn(kMarkCases));

TEST(Level, FollowsTheMarks) {
  EXPECT_EQ(space_level(free_of(150), default_rule()), SpaceLevel::ample);
  EXPECT_EQ(space_level(free_of(149), default_rule()), SpaceLevel::high);
  EXPECT_EQ(space_level(free_of(11), default_rule()), SpaceLevel::high);
  EXPECT_EQ(space_level(free_of(10), default_rule()), SpaceLevel::full);
  EXPECT_EQ(space_level(free_of(1000, 10), default_rule()), SpaceLevel::full);
}

TEST(Reserve, IsKeptOfBytesAndInodes) {
  EXPECT_EQ(reserve_of(free_of(500), default_rule().reserve), (Usage{{10 * kMiB}, 10}));
  EXPECT_EQ(room_above_reserve(free_of(10, 10), default_rule().reserve), (Usage{{0}, 0}));
  EXPECT_EQ(room_above_reserve(free_of(11, 500), default_rule().reserve), (Usage{{kMiB}, 490}));
  EXPECT_EQ(room_above_reserve(free_of(0, 0), default_rule().reserve), (Usage{{-10 * kMiB}, -10}));
}

TEST(Reserve, OfASmallVolumeIsEnoughForTheIndex) {
  const auto of = [](std::int64_t mib, double fraction) {
    const SpaceReading reading{.bytes = {mib * kMiB, mib * kMiB}, .inodes = {100, 100}};
    return reserve_of(reading, {.fraction = fraction}).bytes.n;
  };
  EXPECT_EQ(of(400, 0.01), 4 * kMiB);
  EXPECT_EQ(of(399, 0.01), 4 * kMiB);
  EXPECT_EQ(of(64, 0.01), 4 * kMiB);
  EXPECT_EQ(of(16, 0.01), kMiB);
  EXPECT_EQ(of(16, 0.1), static_cast<std::int64_t>(1.6 * kMiB));
  EXPECT_EQ(of(16, 0), 0);
}

TEST(Reserve, MayBeASizeWhichSaysNothingOfInodes) {
  const Threshold reserve{.bytes = Bytes{100 * kMiB}};
  EXPECT_EQ(room_above_reserve(free_of(150, 1), reserve), (Usage{{50 * kMiB}, 1}));
}

TEST(Reserve, IsNotTakenFromALimitOnTheVolume) {
  SpaceReading reading = free_of(900);
  reading.quota_bytes = {100 * kMiB, 3};
  EXPECT_EQ(room_for_more(reading, default_rule().reserve).bytes.n, 3);
  EXPECT_EQ(room_above_reserve(reading, default_rule().reserve).bytes.n, 890 * kMiB);
}

TEST(Marks, InBytesAreNoMoreThanThereAre) {
  EXPECT_EQ(mark_in_bytes({.fraction = 0.85}, Bytes{1000}), Bytes{850});
  EXPECT_EQ(mark_in_bytes({.bytes = Bytes{300}}, Bytes{1000}), Bytes{300});
  EXPECT_EQ(mark_in_bytes({.bytes = Bytes{3000}}, Bytes{1000}), Bytes{1000});
  EXPECT_EQ(mark_in_bytes({}, Bytes{1000}), std::nullopt);
}

TEST(Marks, MayBeSizes) {
  VolumeRule sizes;
  sizes.high = {.bytes = Bytes{800 * kMiB}};
  sizes.low = {.bytes = Bytes{600 * kMiB}};
  EXPECT_FALSE(must_evict(free_of(200, 0), sizes, {}));
  EXPECT_TRUE(must_evict(free_of(199, 0), sizes, {}));
  EXPECT_EQ(still_to_free(free_of(199, 0), sizes, {}), (Usage{{201 * kMiB}, 0}));
}

TEST(Marks, AreNotEnoughForARequestThatAReserveWiderThanLowStandsInTheWayOf) {
  VolumeRule wide;
  wide.reserve = {.fraction = 0.5};
  const SpaceReading reading = free_of(400);  // 60 % used, below low
  EXPECT_FALSE(must_evict(reading, wide, {}));
  EXPECT_FALSE(must_evict(reading, wide, {{1}, 1}));
}

}  // namespace
}  // namespace ebbfs
