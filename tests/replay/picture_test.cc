// SPDX-License-Identifier: Apache-2.0
#include "tests/replay/picture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ebbfs::replay {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

Outcome bare() {
  return {.name = kBare,
          .jobs = 1800,
          .jobs_done = 1600,
          .jobs_failed = 200,
          .locks_without_space = 9,
          .samples = {{.day = 0, .used = 0.1}, {.day = 3, .used = 1, .locks = 1184}}};
}
Outcome ebbfs() {
  return {.name = kEbbfs,
          .jobs = 1800,
          .jobs_done = 1800,
          .samples = {{.day = 0, .used = 0.1}, {.day = 3, .used = 0.5, .locks = 90}}};
}

TEST(Complaints, AreNoneWhenBareFailsAndEbbfsDoesNot) {
  EXPECT_THAT(complaints({bare(), ebbfs()}), IsEmpty());
}

struct Case {
  const char* name;
  void (*spoil)(Outcome& bare, Outcome& ebbfs);
};
const Case kCases[] = {
    {.name = "bare fails no job", .spoil = [](Outcome& b, Outcome&) { b.jobs_failed = 0; }},
    {.name = "bare has space for locks",
     .spoil = [](Outcome& b, Outcome&) { b.locks_without_space = 0; }},
    {.name = "ebbfs fails a job", .spoil = [](Outcome&, Outcome& e) { e.jobs_failed = 1; }},
    {.name = "ebbfs removes what lives", .spoil = [](Outcome&, Outcome& e) { e.live_removed = 1; }},
    {.name = "ebbfs leaves a lock", .spoil = [](Outcome&, Outcome& e) { e.locks_after_grace = 1; }},
    {.name = "ebbfs counts wrongly",
     .spoil = [](Outcome&, Outcome& e) { e.accounts_exact = false; }},
};

TEST(Complaints, NameEachThingThatIsNotAsPromised) {
  for (const Case& each : kCases) {
    Outcome b = bare();
    Outcome e = ebbfs();
    each.spoil(b, e);
    EXPECT_THAT(complaints({b, e}), Not(IsEmpty())) << each.name;
  }
}

TEST(Lag, IsToldOnlyWhereTheMachineDoesNotHoldTheRate) {
  Outcome slow = ebbfs();
  EXPECT_THAT(lag({bare(), slow}), IsEmpty());
  slow.late_seconds_most = 2;
  EXPECT_THAT(lag({bare(), slow}), HasSubstr("2.0 s late (2 h of the incident)"));
}

TEST(Table, ShowsWhatWasLeftAtTheEnd) {
  EXPECT_THAT(table({bare(), ebbfs()}), HasSubstr("1,184            90"));
}

TEST(Plot, HasBothCurves) {
  const std::string text = plot({bare(), ebbfs()}, 3);
  EXPECT_THAT(text, ContainsRegex("100 % \\|[^\n]*#"));
  EXPECT_THAT(text, ContainsRegex(" 50 % \\|[^\n]*o"));
}

}  // namespace
}  // namespace ebbfs::replay
