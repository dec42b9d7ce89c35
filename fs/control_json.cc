// SPDX-License-Identifier: Apache-2.0
#include "fs/control_json.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstdint>

namespace ebbfs {
namespace {

using nlohmann::json;
namespace chrono = std::chrono;

constexpr std::size_t kFractionDigits = 9;
// What fits into 64 bits of nanoseconds, with a margin for rounding.
constexpr double kSecondsMax = 9.2e9;
constexpr int kYearMin = 1678;
constexpr int kYearMax = 2261;

// `count` decimal digits at `at`, or nothing. `text` is long enough.
std::optional<unsigned> digits(std::string_view text, std::size_t at, std::size_t count) {
  unsigned value = 0;
  for (const char c : text.substr(at, count)) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  return value;
}

// ".123" as nanoseconds; zero for "".
std::optional<Duration> parse_fraction(std::string_view text) {
  if (text.empty()) return Duration{};
  const std::string_view part = text.substr(1);
  if (text.front() != '.' || part.empty() || part.size() > kFractionDigits) return std::nullopt;
  auto value = digits(part, 0, part.size());
  if (!value) return std::nullopt;
  for (std::size_t i = part.size(); i < kFractionDigits; ++i) *value *= 10;
  return Duration(*value);
}

std::string to_hex(std::string_view bytes) {
  std::string hex;
  hex.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    fmt::format_to(std::back_inserter(hex), "{:02x}", static_cast<unsigned char>(c));
  }
  return hex;
}

std::optional<std::string> from_hex(std::string_view hex) {
  if (hex.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  bytes.reserve(hex.size() / 2);
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    std::uint8_t value = 0;
    const char* end = hex.data() + i + 2;
    const auto [stop, error] = std::from_chars(hex.data() + i, end, value, 16);
    if (error != std::errc{} || stop != end) return std::nullopt;
    bytes.push_back(static_cast<char>(value));
  }
  return bytes;
}

std::string bytes_key(std::string_view key) { return std::string(key) + "_bytes"; }

}  // namespace

std::string format_time(WallTime time) {
  const auto day = chrono::floor<chrono::days>(time);
  const chrono::year_month_day date(day);
  const chrono::hh_mm_ss clock(time - day);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                     clock.subseconds().count());
}

std::optional<WallTime> parse_time(std::string_view text) {
  constexpr std::string_view kShape = "0000-00-00T00:00:00";
  if (text.size() <= kShape.size() || text.back() != 'Z') return std::nullopt;
  for (std::size_t i = 0; i < kShape.size(); ++i) {
    if (kShape[i] != '0' && text[i] != kShape[i]) return std::nullopt;
  }
  const auto year = digits(text, 0, 4);
  const auto month = digits(text, 5, 2);
  const auto day = digits(text, 8, 2);
  const auto hour = digits(text, 11, 2);
  const auto minute = digits(text, 14, 2);
  const auto second = digits(text, 17, 2);
  text.remove_suffix(1);
  const auto fraction = parse_fraction(text.substr(kShape.size()));
  if (!year || !month || !day || !hour || !minute || !second || !fraction) return std::nullopt;
  const chrono::year_month_day date(chrono::year(static_cast<int>(*year)), chrono::month(*month),
                                    chrono::day(*day));
  if (!date.ok() || date.year() < chrono::year(kYearMin) || date.year() > chrono::year(kYearMax) ||
      *hour > 23 || *minute > 59 || *second > 59) {
    return std::nullopt;
  }
  return WallTime(chrono::sys_days(date)) + chrono::hours(*hour) + chrono::minutes(*minute) +
         chrono::seconds(*second) + *fraction;
}

json seconds_of(Duration duration) { return chrono::duration<double>(duration).count(); }

std::optional<Duration> duration_of(const json& value) {
  if (!value.is_number()) return std::nullopt;
  const double seconds = value.get<double>();
  if (!(std::abs(seconds) < kSecondsMax)) return std::nullopt;
  return Duration(std::llround(seconds * 1e9));
}

void put_path(json& object, std::string_view key, std::string_view path) {
  object[std::string(key)] = path;
  if (!is_utf8(path)) object[bytes_key(key)] = to_hex(path);
}

std::optional<std::string> get_path(const json& object, std::string_view key) {
  std::optional<std::string> path;
  if (const auto bytes = object.find(bytes_key(key)); bytes != object.end()) {
    if (bytes->is_string()) path = from_hex(bytes->get_ref<const std::string&>());
  } else if (const auto text = object.find(key); text != object.end() && text->is_string()) {
    path = text->get_ref<const std::string&>();
  }
  if (path && path->find('\0') != std::string::npos) return std::nullopt;
  return path;
}

std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  if (first < 0xC2 || first > 0xF4) return 0;
  const std::size_t length = first < 0xE0 ? 2U : (first < 0xF0 ? 3U : 4U);
  if (text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const bool overlong = (first == 0xE0 && byte(1) < 0xA0) || (first == 0xF0 && byte(1) < 0x90);
  const bool surrogate = first == 0xED && byte(1) > 0x9F;
  const bool too_large = first == 0xF4 && byte(1) > 0x8F;
  return overlong || surrogate || too_large ? 0 : length;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string to_text(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::optional<json> from_text(std::string_view text) {
  json value = json::parse(text, nullptr, false);
  if (value.is_discarded()) return std::nullopt;
  return value;
}

}  // namespace ebbfs
