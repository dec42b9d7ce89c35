// SPDX-License-Identifier: Apache-2.0
#include "fs/control_json.h"

#include <gtest/gtest.h>

namespace ebbfs {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

WallTime at(int year, unsigned month, unsigned day) {
  return std::chrono::sys_days(std::chrono::year(year) / static_cast<int>(month) /
                               static_cast<int>(day));
}

TEST(ControlTime, IsRfc3339InUtcWithNanoseconds) {
  EXPECT_EQ(format_time(at(2026, 11, 23) + 20h + 1min + 7s), "2026-11-23T20:01:07.000000000Z");
  EXPECT_EQ(format_time(at(1969, 12, 31) + 24h - 1ns), "1969-12-31T23:59:59.999999999Z");
}

TEST(ControlTime, ReadsWhatItWrites) {
  for (const WallTime time : {WallTime{}, at(2024, 2, 29) + 123456789ns, at(1700, 1, 1) - 1ns,
                              at(2261, 12, 31) + 24h - 1ns}) {
    EXPECT_EQ(parse_time(format_time(time)), time) << format_time(time);
  }
}

TEST(ControlTime, ReadsAnyNumberOfFractionDigits) {
  const WallTime noon = at(2026, 1, 2) + 12h;
  EXPECT_EQ(parse_time("2026-01-02T12:00:00Z"), noon);
  EXPECT_EQ(parse_time("2026-01-02T12:00:00.5Z"), noon + 500ms);
  EXPECT_EQ(parse_time("2026-01-02T12:00:00.000000001Z"), noon + 1ns);
}

TEST(ControlTime, RefusesWhatIsNoTime) {
  for (const char* text :
       {"", "Z", "2026-01-02", "2026-01-02T12:00:00", "2026-01-02 12:00:00Z",
        "2026-01-02T12:00:00+00:00", "2026-13-02T12:00:00Z", "2026-02-29T12:00:00Z",
        "2026-01-02T24:00:00Z", "2026-01-02T12:60:00Z", "2026-01-02T12:00:61Z",
        "2026-01-02T12:00:00.Z", "2026-01-02T12:00:00.0000000001Z", "2026-01-02T12:00:00.1xZ",
        "-026-01-02T12:00:00Z", "9999-01-02T12:00:00Z", "0001-01-02T12:00:00Z"}) {
    EXPECT_EQ(parse_time(text), std::nullopt) << text;
  }
}

TEST(ControlDuration, IsANumberOfSeconds) {
  EXPECT_EQ(seconds_of(1500ms), json(1.5));
  EXPECT_EQ(duration_of(json(90)), 90s);
  EXPECT_EQ(duration_of(json(0.25)), 250ms);
  EXPECT_EQ(duration_of(json(-1)), -1s);
  EXPECT_EQ(duration_of(seconds_of(24h * 10 - 1ns)), 24h * 10 - 1ns);
}

TEST(ControlDuration, RefusesWhatDoesNotFit) {
  EXPECT_EQ(duration_of(json(1e300)), std::nullopt);
  EXPECT_EQ(duration_of(json(-1e10)), std::nullopt);
  EXPECT_EQ(duration_of(json("5s")), std::nullopt);
  EXPECT_EQ(duration_of(json()), std::nullopt);
}

TEST(ControlPath, TravelsAsTextWhereItIsText) {
  json object = json::object();
  put_path(object, "path", "locks/日本");
  EXPECT_EQ(object, (json{{"path", "locks/日本"}}));
  EXPECT_EQ(get_path(object, "path"), "locks/日本");
}

TEST(ControlPath, KeepsEveryByteOfOneThatIsNotText) {
  std::string path;
  for (int byte = 1; byte < 256; ++byte) path.push_back(static_cast<char>(byte));
  json object = json::object();
  put_path(object, "path", path);
  const auto received = from_text(to_text(object));
  ASSERT_TRUE(received);
  EXPECT_EQ(get_path(*received, "path"), path);
}

TEST(ControlPath, IsRefusedWithANulOrBadBytes) {
  EXPECT_EQ(get_path(json::object(), "path"), std::nullopt);
  EXPECT_EQ(get_path({{"path", std::string("a\0b", 3)}}, "path"), std::nullopt);
  EXPECT_EQ(get_path({{"path", 1}}, "path"), std::nullopt);
  for (const char* hex : {"6", "zz", "+1", "6100"}) {
    EXPECT_EQ(get_path({{"path", "a"}, {"path_bytes", hex}}, "path"), std::nullopt) << hex;
  }
}

TEST(ControlText, KnowsWhatIsUtf8) {
  for (const char* text : {"", "a", "é", "€", "😀", "\x7f", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(is_utf8(text)) << text;
  }
  for (const char* text : {"\x80", "\xc0\x80", "\xc3", "\xe2\x82", "\xe0\x80\x80", "\xed\xa0\x80",
                           "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xff", "a\xc3z"}) {
    EXPECT_FALSE(is_utf8(text)) << json(text).dump(-1, ' ', true, json::error_handler_t::ignore);
  }
}

TEST(ControlText, IsOneLineOfJsonWhateverTheBytes) {
  EXPECT_EQ(to_text({{"comm", "a\nb"}}), "{\"comm\":\"a\\nb\"}");
  EXPECT_EQ(to_text({{"comm", "a\xff"}}), "{\"comm\":\"a\xef\xbf\xbd\"}");
}

TEST(ControlText, RefusesWhatIsNotOneValue) {
  for (const char* text : {"", "{", "{} {}", "nonsense", "{\"a\":1,}", "\"\\ud800\""}) {
    EXPECT_EQ(from_text(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace ebbfs
