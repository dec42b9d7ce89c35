// SPDX-License-Identifier: Apache-2.0
#include "policy/limits.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <system_error>

namespace ebbfs {
namespace {

constexpr std::string_view kNone = "none";

struct TimeUnit {
  std::string_view suffix;
  std::int64_t ns;
};
// Falling, so that a duration names each unit at most once and in order.
constexpr std::array<TimeUnit, 7> kTimeUnits{{
    {"d", 86'400'000'000'000},
    {"h", 3'600'000'000'000},
    {"m", 60'000'000'000},
    {"s", 1'000'000'000},
    {"ms", 1'000'000},
    {"us", 1'000},
    {"ns", 1},
}};

constexpr std::string_view kSizeLetters = "KMGTP";  // 2^10, 2^20...

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Takes the digits at the front; nothing when there are none or too many.
std::optional<std::int64_t> take_number(std::string_view& text) {
  std::int64_t number = 0;
  if (text.empty() || !is_digit(text.front())) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

// "B" and "" are 1, "K" and "KiB" 1024, and so on.
std::optional<std::int64_t> size_unit(std::string_view suffix) {
  if (suffix.empty() || suffix == "B") return 1;
  const std::size_t power = kSizeLetters.find(suffix.front());
  if (power == std::string_view::npos) return std::nullopt;
  suffix.remove_prefix(1);
  if (!suffix.empty() && suffix != "iB") return std::nullopt;
  return std::int64_t{1} << (10 * (power + 1));
}

// What ".5" is of `unit` bytes, rounded down; nothing for anything else than a dot and digits.
std::optional<std::int64_t> parse_fraction(std::string_view text, std::int64_t unit) {
  if (text.size() < 2 || text.front() != '.' || !is_digit(text[1])) return std::nullopt;
  double fraction = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, fraction, std::chars_format::fixed);
  if (error != std::errc{} || rest != end) return std::nullopt;
  return static_cast<std::int64_t>(fraction * static_cast<double>(unit));
}

}  // namespace

const ClassRule* Policy::find_class(std::string_view name) const {
  const auto found = std::ranges::find(classes, name, &ClassRule::name);
  return found == classes.end() ? nullptr : &*found;
}

std::string PolicyError::message() const {
  std::string text = file;
  if (line != 0) text += ':' + std::to_string(line);
  if (line != 0 && column != 0) text += ':' + std::to_string(column);
  return text + ": " + what;
}

Policy default_policy() {
  using std::chrono::hours;
  using std::chrono::minutes;
  Policy policy;
  policy.classes = {
      {.name = "worktree",
       .kind = ClassKind::tree,
       .match = {"worktrees/*"},
       .ttl = hours(24),
       .keep = hours(1)},
      {.name = "lock",
       .kind = ClassKind::lock,
       .match = {"locks/**", "{git}/**/*.lock"},
       .ttl = minutes(5)},
  };
  policy.source = "built-in default";
  return policy;
}

std::optional<Duration> parse_duration(std::string_view text) {
  if (text == kNone) return kNoLimit;
  if (text.empty()) return std::nullopt;
  std::int64_t total = 0;
  auto unit = kTimeUnits.begin();
  while (!text.empty()) {
    const auto number = take_number(text);
    if (!number) return std::nullopt;
    const std::string_view suffix = text.substr(0, text.find_first_of("0123456789"));
    unit =
        std::find_if(unit, kTimeUnits.end(), [&](const TimeUnit& u) { return u.suffix == suffix; });
    if (unit == kTimeUnits.end() || *number > (kMax - total) / unit->ns) return std::nullopt;
    total += *number * unit->ns;
    text.remove_prefix(suffix.size());
    ++unit;
  }
  if (total == kMax) return std::nullopt;  // would read as "none"
  return Duration(total);
}

std::optional<Bytes> parse_bytes(std::string_view text) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
  std::string_view number = text.substr(0, digits);
  const auto unit = size_unit(text.substr(digits));
  const auto whole = take_number(number);
  if (!unit || !whole || *whole > kMax / *unit) return std::nullopt;
  const std::int64_t bytes = *whole * *unit;
  if (number.empty()) return Bytes{bytes};
  const auto part = parse_fraction(number, *unit);
  if (!part || *unit == 1 || bytes > kMax - *part) return std::nullopt;
  return Bytes{bytes + *part};
}

std::string format_duration(Duration duration) {
  if (duration == kNoLimit) return std::string(kNone);
  if (duration == Duration::zero()) return "0s";
  std::string text = duration < Duration::zero() ? "-" : "";
  // Unsigned: the least duration has no positive counterpart.
  auto left = static_cast<std::uint64_t>(duration.count());
  if (duration < Duration::zero()) left = 0 - left;
  for (const TimeUnit& unit : kTimeUnits) {
    const auto ns = static_cast<std::uint64_t>(unit.ns);
    // People say 24h and 36h, and count days from two on.
    const bool is_day = &unit == kTimeUnits.data();
    if (left < (is_day ? 2 * ns : ns)) continue;
    text += std::to_string(left / ns);
    text += unit.suffix;
    left %= ns;
  }
  return text;
}

std::string format_bytes_exact(Bytes bytes) {
  std::int64_t number = bytes.n;
  std::size_t power = 0;
  while (number != 0 && number % 1024 == 0 && power < kSizeLetters.size()) {
    number /= 1024;
    ++power;
  }
  std::string text = std::to_string(number);
  if (power > 0) {
    text += kSizeLetters[power - 1];
    text += "iB";
  }
  return text;
}

std::string_view to_string(HookRule::On on) {
  switch (on) {
    case HookRule::On::reclaimed:
      return "reclaimed";
    case HookRule::On::expired:
      return "expired";
    case HookRule::On::idle:
      return "idle";
  }
  return "unknown";
}

}  // namespace ebbfs
