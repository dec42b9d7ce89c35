// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "tools/render_views.h"

namespace ebbfs {
namespace {

// "  label     text", wrapped.
std::string line(std::string_view label, std::string_view text, const Style& style) {
  return wrapped(fmt::format("  {:<10}", label), text, style);
}

std::string usage_text(const Usage& usage) {
  return fmt::format("{}, {}", human_bytes(usage.bytes), counted(usage.inodes, "inode"));
}

std::string title(const ShowView& show, const Style& style) {
  const std::string path = paint(style, Color::bold, shown_path(show.path));
  if (show.what == "root") return path + ": the root of the volume, which never expires\n";
  if (show.what == "unit" && show.unit) {
    return fmt::format("{}: unit of class {}\n", path, plain(show.unit->class_name));
  }
  if (show.what == "lock" && show.lock) {
    return fmt::format("{}: lock of class {}\n", path, plain(show.lock->class_name));
  }
  if (show.lock) return fmt::format("{}: part of lock {}\n", path, shown_path(show.lock->path));
  if (show.unit) return fmt::format("{}: part of unit {}\n", path, shown_path(show.unit->path));
  return path + ": in no unit, never expires\n";
}

std::string blocker_lines(const std::vector<BlockerView>& blockers, const Style& style) {
  std::string out;
  for (const BlockerView& blocker : blockers) {
    out += line(out.empty() ? "held by" : "", plain(blocker.text), style);
  }
  return out;
}

std::string unit_lines(const UnitView& unit, const Style& style, WallTime now) {
  std::string out = line("used", both(unit.last_used, now), style);
  out += line("made", both(unit.created, now), style);
  out += line("usage", usage_text(unit.usage), style);
  out += line("owner", owner_full(unit.owner), style);
  if (!unit.owner.cgroup.empty()) out += line("cgroup", plain(unit.owner.cgroup), style);
  if (unit.pinned) out += line("pinned", "yes; undo with: ebbctl unpin", style);
  return out;
}

std::string lock_lines(const LockView& lock, const Style& style, WallTime now) {
  std::string out = line("made", both(lock.made, now), style);
  const bool is_orphan = lock.state == LockState::orphan;
  std::string state = fmt::format("{}, for {}", to_string(lock.state),
                                  human_duration(is_orphan ? lock.age - lock.held : lock.held));
  if (is_orphan) state += "; held for " + human_duration(lock.held) + " before";
  out += line("state", state, style);
  out += line(
      "owner",
      fmt::format("{}; {}, {}", owner_full(lock.owner), plain(lock.life), plain(lock.certainty)),
      style);
  if (!lock.owner.cgroup.empty()) out += line("cgroup", plain(lock.owner.cgroup), style);
  return out;
}

// ", mode M, N classes:" and a line for each class.
std::string summary(const PolicyView& policy, const Style& style) {
  const std::size_t classes = policy.classes.size();
  std::string out = fmt::format(", mode \"{}\", {} class{}:\n", plain(policy.mode), classes,
                                classes == 1 ? "" : "es");
  for (const ClassRuleView& rule : policy.classes) {
    std::string globs;
    for (const std::string& glob : rule.match) globs += (globs.empty() ? "" : ", ") + plain(glob);
    out += wrapped(fmt::format("  {:<10} {}  ", plain(rule.name), plain(rule.kind)), globs, style);
  }
  return out;
}

std::string past_or_future(const ChangeView& change) {
  if (change.changed) return change.dry_run ? "would be " : "";
  // What is no removal was so before.
  if (change.action == "pinned" || change.action == "unpinned") return "already ";
  return change.dry_run ? "would not be " : "not ";
}

}  // namespace

std::string render(const ShowView& show, const Style& style, WallTime now) {
  std::string out = title(show, style);
  if (!show.verdict.empty()) out += line("verdict", plain(show.verdict), style);
  if (!show.rule.empty()) out += line("rule", plain(show.rule), style);
  if (show.expires_at) {
    out += line(show.what == "lock" ? "reclaim" : "expires",
                (*show.expires_at < now ? "due " : "") + both(*show.expires_at, now), style);
  }
  if (show.evictable_at) out += line("evictable", both(*show.evictable_at, now), style);
  out += blocker_lines(show.blockers, style);
  const bool about_lock = show.lock && (show.what == "lock" || !show.unit);
  if (about_lock) {
    out += lock_lines(*show.lock, style, now);
    if (show.unit) out += line("unit", shown_path(show.unit->path), style);
  } else if (show.unit) {
    out += unit_lines(*show.unit, style, now);
  }
  return out;
}

std::string render(const ChangeView& change, const Style& style, WallTime /*now*/) {
  std::string out = fmt::format("{}: {}{}", shown_path(change.path), past_or_future(change),
                                plain(change.action));
  if (change.usage.bytes.n != 0 || change.usage.inodes != 0) {
    out += fmt::format(" ({})", usage_text(change.usage));
  }
  if (change.restorable_until) {
    out += ", restorable until " + absolute(*change.restorable_until);
  }
  return out + "\n" + blocker_lines(change.blockers, style);
}

std::string render(const PolicyView& policy, const Style& style, WallTime /*now*/) {
  const std::string source = plain(policy.source);
  std::string text;
  // The text is TOML that its writer has escaped; lines stay lines.
  std::string_view left = policy.text;
  while (!left.empty()) {
    const std::size_t end = left.find('\n');
    text += plain(left.substr(0, end)) + "\n";
    left.remove_prefix(end == std::string_view::npos ? left.size() : end + 1);
  }
  return paint(style, Color::faint, "# in force, from " + source) + "\n" + text;
}

std::string render(const CheckView& check, const Style& style, WallTime /*now*/) {
  const std::string file = plain(check.file) + ": " + paint(style, Color::good, "valid");
  return check.policy ? file + summary(*check.policy, style) : file + "\n";
}

std::string render_reloaded(const PolicyView& policy, const Style& style) {
  return plain(policy.source) + ": " + paint(style, Color::good, "in force") +
         summary(policy, style);
}

}  // namespace ebbfs
