// SPDX-License-Identifier: Apache-2.0
//
// The policy as a file: every key, so that it also serves to look up what is in force.
#include <array>
#include <charconv>

#include "policy/limits.h"

namespace ebbfs {
namespace {

std::string quote(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < ' ' || byte == 0x7f) {
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 0xF];
    } else {
      out += c;
    }
  }
  return out + '"';
}

// 0.85 as 85%: the point of the shortest exact decimal is moved, as multiplying would round.
std::string percent(double fraction) {
  std::array<char, 400> buffer{};  // longest: the least double, without exponent
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), fraction,
                                 std::chars_format::fixed);
  std::string text(buffer.data(), end.ptr);
  std::size_t dot = text.find('.');
  if (dot == std::string::npos) {
    dot = text.size();
  } else {
    text.erase(dot, 1);
  }
  while (text.size() < dot + 2) text += '0';
  if (text.size() > dot + 2) text.insert(dot + 2, ".");
  const std::size_t first = text.find_first_not_of('0');
  if (first == std::string::npos) return "0%";
  text.erase(0, text[first] == '.' ? first - 1 : first);
  return text + '%';
}

std::string size_or_none(const std::optional<Bytes>& bytes) {
  return quote(bytes ? format_bytes_exact(*bytes) : "none");
}

std::string count_or_none(const std::optional<std::int64_t>& count) {
  return count ? std::to_string(*count) : quote("none");
}

void line(std::string& out, std::string_view key, std::string_view value) {
  out.append(key).append(" = ").append(value).append("\n");
}

void append_volume(std::string& out, const VolumeRule& volume) {
  out += "\n[volume]\n";
  line(out, "high", quote(format_threshold(volume.high)));
  line(out, "low", quote(format_threshold(volume.low)));
  line(out, "reserve", quote(format_threshold(volume.reserve)));
  line(out, "trash_retention", quote(format_duration(volume.trash_retention)));
  line(out, "adopt_grace", quote(format_duration(volume.adopt_grace)));
  line(out, "brake_units", std::to_string(volume.brake_units));
  line(out, "brake_percent", quote(percent(volume.brake_percent)));
}

void append_class(std::string& out, const ClassRule& rule) {
  out += "\n[[class]]\n";
  line(out, "name", quote(rule.name));
  line(out, "kind", rule.kind == ClassKind::tree ? quote("tree") : quote("lock"));
  std::string globs;
  for (const std::string& glob : rule.match) globs += (globs.empty() ? "" : ", ") + quote(glob);
  line(out, "match", "[" + globs + "]");
  line(out, "ttl", quote(format_duration(rule.ttl)));
  if (rule.kind == ClassKind::tree) {
    line(out, "keep", quote(format_duration(rule.keep)));
    line(out, "max_age", quote(format_duration(rule.max_age)));
  } else {
    line(out, "owner", rule.owner == OwnerMode::process ? quote("process") : quote("cgroup"));
    line(out, "orphan_grace", quote(format_duration(rule.orphan_grace)));
  }
}

void append_quota(std::string& out, const QuotaRule& quota) {
  out += "\n[[quota]]\n";
  line(out, "scope", quote(quota.scope));
  line(out, "bytes", size_or_none(quota.bytes));
  line(out, "soft_bytes", size_or_none(quota.soft_bytes));
  line(out, "inodes", count_or_none(quota.inodes));
  line(out, "soft_inodes", count_or_none(quota.soft_inodes));
  line(out, "grace", quote(format_duration(quota.grace)));
}

void append_hook(std::string& out, const HookRule& hook) {
  out += "\n[[hook]]\n";
  line(out, "on", quote(to_string(hook.on)));
  std::string words;
  for (const std::string& word : hook.command) words += (words.empty() ? "" : ", ") + quote(word);
  line(out, "command", "[" + words + "]");
  line(out, "user", quote(hook.user));
  if (!hook.class_name.empty()) line(out, "class", quote(hook.class_name));
  if (hook.on == HookRule::On::idle) line(out, "after", quote(format_duration(hook.after)));
  line(out, "timeout", quote(format_duration(hook.timeout)));
  line(out, "parallel", std::to_string(hook.parallel));
}

}  // namespace

std::string format_threshold(const Threshold& value) {
  if (value.fraction) return percent(*value.fraction);
  std::string text = format_bytes_exact(value.bytes.value_or(Bytes{}));
  if (text.back() >= '0' && text.back() <= '9') text += 'B';  // a bare number is refused
  return text;
}

std::string to_toml(const Policy& policy) {
  std::string out;
  line(out, "mode", policy.mode == Mode::enforce ? quote("enforce") : quote("observe"));
  // Absent would mean the default classes.
  if (policy.classes.empty()) line(out, "class", "[]");
  append_volume(out, policy.volume);
  for (const ClassRule& rule : policy.classes) append_class(out, rule);
  for (const QuotaRule& quota : policy.quotas) append_quota(out, quota);
  for (const HookRule& hook : policy.hooks) append_hook(out, hook);
  return out;
}

}  // namespace ebbfs
