// SPDX-License-Identifier: Apache-2.0
#include "tools/render.h"

#include <gtest/gtest.h>

#include <clocale>
#include <cstdlib>
#include <ctime>

#include "tests/tools/sample_values.h"

namespace ebbfs {
namespace {

using namespace std::chrono_literals;

TEST(HumanBytes, HasAtMostThreeDigitsAndIecUnits) {
  struct Case {
    std::int64_t bytes;
    const char* want;
  };
  constexpr Case kCases[] = {
      {.bytes = 0, .want = "0 B"},
      {.bytes = 999, .want = "999 B"},
      {.bytes = 1000, .want = "1.0 KiB"},
      {.bytes = 4096, .want = "4.0 KiB"},
      {.bytes = 102'297, .want = "99.9 KiB"},
      {.bytes = 102'400, .want = "100 KiB"},
      {.bytes = 1'023'487, .want = "999 KiB"},
      {.bytes = 1'023'999, .want = "1.0 MiB"},
      {.bytes = 1'503'238'553, .want = "1.4 GiB"},
      {.bytes = 20LL << 40, .want = "20.0 TiB"},
      {.bytes = INT64_MAX, .want = "8.0 EiB"},
      {.bytes = -4096, .want = "-4.0 KiB"},
  };
  for (const Case& row : kCases) EXPECT_EQ(human_bytes({row.bytes}), row.want) << row.bytes;
}

TEST(HumanCount, GroupsThousands) {
  EXPECT_EQ(human_count(0), "0");
  EXPECT_EQ(human_count(999), "999");
  EXPECT_EQ(human_count(1'000), "1,000");
  EXPECT_EQ(human_count(-1'204'331), "-1,204,331");
  EXPECT_EQ(counted(1, "unit"), "1 unit");
  EXPECT_EQ(counted(2'306, "unit"), "2,306 units");
}

TEST(HumanDuration, NamesItsTwoLargestUnits) {
  struct Case {
    Duration duration;
    const char* want;
  };
  constexpr Case kCases[] = {
      {.duration = 0s, .want = "0s"},          {.duration = 499ms, .want = "0s"},
      {.duration = 14s, .want = "14s"},        {.duration = 59s + 600ms, .want = "1m"},
      {.duration = 61s, .want = "1m 1s"},      {.duration = 2h + 13min + 7s, .want = "2h 13m"},
      {.duration = 2h + 7s, .want = "2h"},     {.duration = 76h, .want = "3d 4h"},
      {.duration = 24h * 400, .want = "400d"}, {.duration = -90s, .want = "1m 30s"},
  };
  for (const Case& row : kCases) EXPECT_EQ(human_duration(row.duration), row.want) << row.want;
}

TEST(HumanTime, IsRelativeAndAbsolute) {
  ::setenv("TZ", "UTC0", 1);
  ::tzset();
  EXPECT_EQ(relative(kNow + 999ms, kNow), "now");
  EXPECT_EQ(relative(kNow - 14s, kNow), "14s ago");
  EXPECT_EQ(relative(kNow + 24h, kNow), "in 1d");
  EXPECT_EQ(absolute(kNow + 999ms), "2024-10-04 12:00:00");
  EXPECT_EQ(absolute(WallTime{} - 1ns), "1969-12-31 23:59:59");
  EXPECT_EQ(both(kNow - 2h, kNow), "2h ago (2024-10-04 10:00:00)");
}

TEST(HumanTime, IsInLocalTime) {
  ::setenv("TZ", "TEST-05:30", 1);
  ::tzset();
  EXPECT_EQ(absolute(kNow), "2024-10-04 17:30:00");
  ::setenv("TZ", "UTC0", 1);
  ::tzset();
}

TEST(PlainText, EscapesWhatCouldSteerATerminal) {
  struct Case {
    const char* text;
    const char* want;
  };
  constexpr Case kCases[] = {
      {.text = "a b/é-日本", .want = "a b/é-日本"},
      {.text = "line\nbreak\ttab\r", .want = "line\\nbreak\\ttab\\r"},
      {.text = "\x1b[31mred", .want = "\\x1b[31mred"},
      {.text = "\x7f", .want = "\\x7f"},
      {.text = "a\xff\xc3", .want = "a\\xff\\xc3"},
      {.text = "c1 \xc2\x9b", .want = "c1 \\u{9b}"},
      {.text = "bidi \xe2\x80\xae", .want = "bidi \\u{202e}"},
      {.text = "tag \xf3\xa0\x81\x81", .want = "tag \\u{e0041}"},
  };
  for (const Case& row : kCases) EXPECT_EQ(plain(row.text), row.want) << row.want;
}

TEST(PlainText, CountsColumnsNotBytes) {
  std::setlocale(LC_CTYPE, "C.UTF-8");
  EXPECT_EQ(display_width("abc"), 3U);
  EXPECT_EQ(display_width("é…"), 2U);
  EXPECT_EQ(display_width("日本"), 4U);
}

TEST(PlainText, IsShortenedInTheMiddleVisibly) {
  std::setlocale(LC_CTYPE, "C.UTF-8");
  EXPECT_EQ(shorten("0123456789", 10, true), "0123456789");
  EXPECT_EQ(shorten("0123456789", 9, true), "0123…6789");
  EXPECT_EQ(shorten("0123456789", 8, false), "01...789");
  EXPECT_EQ(shorten("日本日本日本", 7, true), "日…日本");
}

TEST(UsageBar, FillsWithTheShare) {
  EXPECT_EQ(usage_bar(0, 12, false), "[----------]");
  EXPECT_EQ(usage_bar(0.72, 12, false), "[#######---]");
  EXPECT_EQ(usage_bar(7.5, 12, false), "[##########]");
  EXPECT_EQ(usage_bar(0.5, 4, true), "[█░]");
}

TEST(Wrapped, KeepsToTheWidthOfATerminal) {
  const Style terminal{.terminal = true, .width = 12};
  EXPECT_EQ(wrapped("a  ", "one two three", terminal), "a  one two\n   three\n");
  EXPECT_EQ(wrapped("a  ", "a-word-longer-than-that x", terminal),
            "a  a-word-longer-than-that\n   x\n");
  EXPECT_EQ(wrapped("a  ", "one two three", Style{.width = 12}), "a  one two three\n");
}

TEST(Wrapped, KeepsASizeTogether) {
  const Style terminal{.terminal = true, .width = 12};
  EXPECT_EQ(wrapped("", "trash: 1.0 MiB", terminal), "trash:\n1.0 MiB\n");
  EXPECT_EQ(wrapped("", "holds 12 Bytes", terminal), "holds 12\nBytes\n");
}

Table sample_table() {
  Table table({{"N", Table::Align::right}, {"NAME"}, {"PATH"}});
  table.add({{"1"}, {"a", Color::bad}, {"short"}});
  table.add({{"1000"}, {"long name"}, {"a/path/that/is/longer/than/most"}});
  return table;
}

TEST(Tables, AlignColumnsAndNeverPadTheLast) {
  EXPECT_EQ(sample_table().render(Style{.width = 40}),
            "   N  NAME       PATH\n"
            "   1  a          short\n"
            "1000  long name  a/path/that/is/longer/than/most\n");
}

TEST(Tables, ShortenTheLastColumnOnATerminalOnly) {
  EXPECT_EQ(sample_table().render(Style{.terminal = true, .width = 40}),
            "   N  NAME       PATH\n"
            "   1  a          short\n"
            "1000  long name  a/path/tha.../than/most\n");
}

TEST(Tables, KeepAUsefulPartOfThePathOnANarrowTerminal) {
  EXPECT_NE(
      sample_table().render(Style{.terminal = true, .width = 20}).find("a/path/t...than/most"),
      std::string::npos);
}

TEST(Tables, StayAlignedInColor) {
  const std::string text = sample_table().render(Style{.color = true, .width = 80});
  EXPECT_NE(text.find("   1  \x1b[31ma\x1b[0m          short\n"), std::string::npos) << text;
}

}  // namespace
}  // namespace ebbfs
