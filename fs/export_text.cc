// SPDX-License-Identifier: Apache-2.0
#include "fs/export_text.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "fs/whole_number.h"

namespace ebbfs {
namespace {

constexpr std::string_view kPinsHead =
    "# Pinned units of this volume, a path a line. Written by ebbfs, and read when its index is "
    "lost.\n";
constexpr std::string_view kQuotasHead =
    "# Quotas set on this volume (ebbctl quota set). Written by ebbfs, and read when its index is "
    "lost.\n";
constexpr std::string_view kScopeKey = "scope=";

std::string escaped(std::string_view name) {
  std::string text;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const auto byte = static_cast<unsigned char>(name[i]);
    const bool plain = byte >= 0x20 && byte != 0x7f && byte != '\\' && (i > 0 || byte != '#');
    text += plain ? std::string(1, name[i]) : fmt::format("\\x{:02x}", byte);
  }
  return text;
}

std::optional<std::string> unescaped(std::string_view text) {
  std::string name;
  while (!text.empty()) {
    if (text.front() != '\\') {
      name.push_back(text.front());
      text.remove_prefix(1);
      continue;
    }
    unsigned byte = 0;
    if (text.size() < 4 || text[1] != 'x') return {};
    const auto [at, error] = std::from_chars(text.data() + 2, text.data() + 4, byte, 16);
    if (error != std::errc() || at != text.data() + 4) return {};
    name.push_back(static_cast<char>(byte));
    text.remove_prefix(4);
  }
  return name;
}

// The lines that say something.
std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    if (!line.empty() && line.front() != '#') lines.push_back(line);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return lines;
}

std::string number_or_none(std::int64_t value) {
  return value == kUnlimited ? "none" : std::to_string(value);
}

// "none" is kUnlimited, which is also Duration::max() in nanoseconds.
std::optional<std::int64_t> parse_number(std::string_view text) {
  if (text == "none") return kUnlimited;
  const auto value = whole_number<std::int64_t>(text);
  return value && *value >= 0 ? value : std::nullopt;
}

bool set_field(QuotaRecord& quota, std::string_view key, std::int64_t value) {
  ScopeLimits& limits = quota.limits;
  if (key == "bytes") return limits.bytes = value, true;
  if (key == "soft_bytes") return limits.soft_bytes = value, true;
  if (key == "inodes") return limits.inodes = value, true;
  if (key == "soft_inodes") return limits.soft_inodes = value, true;
  if (key == "grace_ns") return limits.grace = Duration(value), true;
  if (key == "set_by") return quota.set_by = static_cast<uid_t>(value), true;
  if (key == "set_at_ns") return quota.set_at = WallTime(Duration(value)), true;
  return false;
}

std::optional<QuotaRecord> parse_quota(std::string_view line) {
  QuotaRecord quota;
  quota.exception = true;
  while (!line.starts_with(kScopeKey)) {
    const std::size_t end = line.find(' ');
    const std::string_view field = line.substr(0, end);
    const std::size_t equals = field.find('=');
    if (end == std::string_view::npos || equals == std::string_view::npos) return {};
    const auto value = parse_number(field.substr(equals + 1));
    if (!value || !set_field(quota, field.substr(0, equals), *value)) return {};
    line.remove_prefix(end + 1);
  }
  const auto scope = unescaped(line.substr(kScopeKey.size()));
  if (!scope || scope->empty()) return {};
  quota.scope = *scope;
  return quota;
}

}  // namespace

std::string pins_text(const std::vector<std::string>& paths) {
  std::string text(kPinsHead);
  for (const std::string& path : paths) text += escaped(path) + "\n";
  return text;
}

std::vector<std::string> parse_pins(std::string_view text) {
  std::vector<std::string> paths;
  for (const std::string_view line : lines_of(text)) {
    if (auto path = unescaped(line)) paths.push_back(*std::move(path));
  }
  return paths;
}

std::string quotas_text(const std::vector<QuotaRecord>& quotas) {
  std::string text(kQuotasHead);
  for (const QuotaRecord& quota : quotas) {
    if (!quota.exception) continue;
    const ScopeLimits& limits = quota.limits;
    text += fmt::format(
        "bytes={} soft_bytes={} inodes={} soft_inodes={} grace_ns={} set_by={} set_at_ns={} "
        "scope={}\n",
        number_or_none(limits.bytes), number_or_none(limits.soft_bytes),
        number_or_none(limits.inodes), number_or_none(limits.soft_inodes),
        number_or_none(limits.grace.count()), quota.set_by, quota.set_at.time_since_epoch().count(),
        escaped(quota.scope));
  }
  return text;
}

std::vector<QuotaRecord> parse_quotas(std::string_view text) {
  std::vector<QuotaRecord> quotas;
  for (const std::string_view line : lines_of(text)) {
    if (auto quota = parse_quota(line)) quotas.push_back(*std::move(quota));
  }
  return quotas;
}

}  // namespace ebbfs
