// SPDX-License-Identifier: Apache-2.0
#include "policy/brake.h"

#include <gtest/gtest.h>

#include <vector>

namespace ebbfs {
namespace {

using namespace std::chrono_literals;

TEST(Brake, HoldsWhenBothTheNumberAndTheShareArePassed) {
  struct Case {
    const char* name;
    std::uint64_t due;
    std::uint64_t all;
    bool want;
  };
  constexpr Case kCases[] = {
      {.name = "nothing", .due = 0, .all = 0, .want = false},
      {.name = "exactly the number", .due = 500, .all = 500, .want = false},
      {.name = "one more, all", .due = 501, .all = 501, .want = true},
      {.name = "exactly half", .due = 501, .all = 1002, .want = false},
      {.name = "just above half", .due = 501, .all = 1001, .want = true},
      {.name = "many, a small share", .due = 5000, .all = 100'000, .want = false},
      {.name = "few, a large share", .due = 20, .all = 20, .want = false},
      {.name = "the incident", .due = 2306, .all = 2400, .want = true},
  };
  for (const Case& one : kCases) {
    EXPECT_EQ(is_mass_expiry(one.due, one.all, VolumeRule{}), one.want) << one.name;
  }
  const VolumeRule one_unit{.brake_units = 0, .brake_percent = 0};
  EXPECT_TRUE(is_mass_expiry(1, 1000, one_unit));
  EXPECT_FALSE(is_mass_expiry(0, 1000, one_unit));
  const VolumeRule never{.brake_units = 0, .brake_percent = 1};
  EXPECT_FALSE(is_mass_expiry(1000, 1000, never));
}

constexpr BootId kBoot{{1}};
constexpr BootId kNext{{2}};
constexpr WallTime kWall{24h * 20'000};

TEST(Brake, TellsAStepOfTheClockFromTimeThatPassed) {
  struct Case {
    const char* name;
    Duration wall;  // gone by since the first reading
    Duration boottime;
    BootId boot;
    Duration want;
  };
  constexpr Case kCases[] = {
      {.name = "no time", .wall = 0s, .boottime = 0s, .boot = kBoot, .want = 0s},
      {.name = "time, or sleep", .wall = 9h, .boottime = 9h, .boot = kBoot, .want = 0s},
      {.name = "set forth", .wall = 25h, .boottime = 1h, .boot = kBoot, .want = 24h},
      {.name = "set back", .wall = -23h, .boottime = 1h, .boot = kBoot, .want = -24h},
      {.name = "NTP", .wall = 63s, .boottime = 60s, .boot = kBoot, .want = 3s},
      {.name = "off for long", .wall = 900h, .boottime = -1h, .boot = kNext, .want = 0s},
      {.name = "rebooted, behind", .wall = -2h, .boottime = -1h, .boot = kNext, .want = -2h},
      {.name = "boot not known", .wall = 900h, .boottime = 0s, .boot = {}, .want = 0s},
  };
  constexpr ClockReading kBefore{kWall, 100h, kBoot};
  for (const Case& one : kCases) {
    const ClockReading now{kWall + one.wall, 100h + one.boottime, one.boot};
    EXPECT_EQ(clock_step(kBefore, now), one.want) << one.name;
  }
  EXPECT_EQ(clock_step({kWall, 0s, BootId{}}, {kWall + 9h, 0s, BootId{}}), 0s) << "never known";
}

TEST(Brake, AJumpIsLongerThanWhatNtpSteps) {
  EXPECT_FALSE(is_clock_jump(0s));
  EXPECT_FALSE(is_clock_jump(60s));
  EXPECT_FALSE(is_clock_jump(-60s));
  EXPECT_TRUE(is_clock_jump(60s + 1ns));
  EXPECT_TRUE(is_clock_jump(-60s - 1ns));
}

TEST(Brake, AddsUpStepsToWhatMayLookTooOldByThem) {
  struct Case {
    const char* name;
    std::vector<Duration> steps;
    Duration want;
  };
  const Case cases[] = {
      {.name = "forth", .steps = {2h}, .want = 2h},
      {.name = "back", .steps = {-2h}, .want = -2h},
      {.name = "forth twice", .steps = {2h, 2min}, .want = 122min},
      {.name = "forth, and some of it back", .steps = {2h, -59min}, .want = 61min},
      {.name = "forth, and all of it back", .steps = {2h, -2h}, .want = 0s},
      {.name = "forth, and more than that back", .steps = {2h, -3h}, .want = -1h},
      {.name = "back and forth: used in between", .steps = {-2h, 2h}, .want = 2h},
      {.name = "to and fro", .steps = {-2h, 1h, 1h, -5h, 3h, -1h}, .want = 2h},
  };
  for (const Case& one : cases) {
    Duration sum{};
    for (const Duration step : one.steps) sum = add_step(sum, step);
    EXPECT_EQ(sum, one.want) << one.name;
  }
}

}  // namespace
}  // namespace ebbfs
