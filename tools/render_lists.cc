// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "tools/render_views.h"

namespace ebbfs {
namespace {

using enum Table::Align;

// From this width on there is room for more than the essential.
constexpr std::size_t kWide = 120;

std::string when(WallTime time, const Style& style, WallTime now) {
  return style.width >= kWide ? both(time, now) : relative(time, now);
}

std::string expiry_of(const UnitView& unit, const Style& style, WallTime now) {
  switch (unit.state) {
    case UnitState::busy:
      return unit.open_files > 0 ? fmt::format("busy, {} open", unit.open_files) : "busy";
    case UnitState::pinned:
      return "pinned";
    case UnitState::due:
      return "due now";
    case UnitState::permanent:
      return "never";
    case UnitState::idle:
    case UnitState::unknown:
      break;
  }
  return unit.expires_at ? when(*unit.expires_at, style, now) : "?";
}

Color color_of(UnitState state) {
  switch (state) {
    case UnitState::due:
      return Color::warn;
    case UnitState::pinned:
    case UnitState::busy:
      return Color::good;
    case UnitState::idle:
    case UnitState::permanent:
    case UnitState::unknown:
      break;
  }
  return Color::none;
}

std::string state_of(const LockView& lock, WallTime now) {
  std::string state(to_string(lock.state));
  if (!lock.reclaim_at) return state;
  return state + (*lock.reclaim_at < now ? ", due " : ", ") + relative(*lock.reclaim_at, now);
}

Color color_of(LockState state) {
  switch (state) {
    case LockState::orphan:
      return Color::bad;
    case LockState::uncertain:
      return Color::warn;
    case LockState::held:
    case LockState::unknown:
      break;
  }
  return Color::none;
}

// Whether a column for the class says anything.
template <typename View>
bool one_class(const std::vector<View>& views) {
  return std::ranges::all_of(
      views, [&](const View& view) { return view.class_name == views.front().class_name; });
}

std::string left_out(std::size_t shown, std::int64_t total) {
  const auto count = static_cast<std::int64_t>(shown);
  return count < total ? fmt::format("; {} shown", human_count(count)) : "";
}

std::string user_of(const OwnerView& owner) {
  return owner.user.empty() ? std::to_string(owner.uid) : plain(owner.user);
}

std::string process_of(const LockView& lock) {
  if (lock.owner.pid == 0) return "?";
  const std::string dead =
      lock.life == "alive" || lock.life == "unknown" ? "" : " " + plain(lock.life);
  return fmt::format("{}[{}]{}", plain(lock.owner.comm), lock.owner.pid, dead);
}

std::string event_line(const EventView& event, const Style& style) {
  const std::string head = fmt::format("{}  {:<12}  ", absolute(event.time), plain(event.kind));
  std::vector<std::string> parts;
  if (!event.rule.empty()) parts.push_back(plain(event.rule));
  if (event.usage.bytes.n != 0) parts.push_back(human_bytes(event.usage.bytes));
  if (event.age > Duration{}) {
    // Of a hook it is how long its command ran.
    parts.push_back((event.kind == "hook" ? "took " : "age ") + human_duration(event.age));
  }
  if (!event.owner.empty()) parts.push_back(plain(event.owner));
  if (!event.detail.empty()) parts.push_back(plain(event.detail));
  const std::string colon = event.path.empty() || parts.empty() ? "" : ": ";
  const std::string text = fmt::format("{}{}{}", plain(event.path), colon, fmt::join(parts, "; "));
  if (text.empty()) return head.substr(0, head.find_last_not_of(' ') + 1) + "\n";
  return wrapped(head, text, style);
}

}  // namespace

std::string owner_short(const OwnerView& owner) {
  std::string text = user_of(owner);
  if (!owner.job.empty()) text += " " + plain(owner.job);
  return text;
}

std::string owner_full(const OwnerView& owner) {
  std::string text = owner.user.empty() ? fmt::format("uid {}", owner.uid)
                                        : fmt::format("{} (uid {})", plain(owner.user), owner.uid);
  if (owner.pid != 0) text += fmt::format(", {}[{}]", plain(owner.comm), owner.pid);
  if (!owner.job.empty()) text += ", job " + plain(owner.job);
  return text;
}

std::string shown_path(const std::string& path) { return path.empty() ? "." : plain(path); }

std::string render(const UnitsView& view, const Style& style, WallTime now) {
  if (view.units.empty()) return "no units\n";
  const bool with_class = !one_class(view.units);
  std::vector<Table::Column> columns = {{"BYTES", right}, {"USED"},  {"EXPIRES"},
                                        {"OWNER"},        {"CLASS"}, {"PATH"}};
  if (!with_class) columns.erase(columns.end() - 2);
  Table table(std::move(columns));
  for (const UnitView& unit : view.units) {
    std::vector<Table::Cell> row = {{human_bytes(unit.usage.bytes)},
                                    {when(unit.last_used, style, now)},
                                    {expiry_of(unit, style, now), color_of(unit.state)},
                                    {owner_short(unit.owner)}};
    if (with_class) row.push_back({plain(unit.class_name)});
    row.push_back({shown_path(unit.path)});
    table.add(std::move(row));
  }
  return table.render(style) +
         paint(style, Color::faint,
               fmt::format("{}, {}, {}{}\n", counted(view.total, "unit"),
                           human_bytes(view.usage.bytes), counted(view.usage.inodes, "inode"),
                           left_out(view.units.size(), view.total)));
}

std::string render(const LocksView& view, const Style& style, WallTime now) {
  if (view.locks.empty()) return "no locks\n";
  const bool with_class = !one_class(view.locks);
  std::vector<Table::Column> columns = {{"MADE"},    {"STATE"}, {"OWNER"},
                                        {"PROCESS"}, {"CLASS"}, {"PATH"}};
  if (!with_class) columns.erase(columns.end() - 2);
  Table table(std::move(columns));
  for (const LockView& lock : view.locks) {
    std::vector<Table::Cell> row = {
        {when(lock.made, style, now)},
        {state_of(lock, now), color_of(lock.state)},
        {style.width >= kWide ? owner_short(lock.owner) : user_of(lock.owner)},
        {process_of(lock)}};
    if (with_class) row.push_back({plain(lock.class_name)});
    row.push_back({shown_path(lock.path)});
    table.add(std::move(row));
  }
  return table.render(style) + paint(style, Color::faint,
                                     fmt::format("{}{}\n", counted(view.total, "lock"),
                                                 left_out(view.locks.size(), view.total)));
}

std::string render(const EventsView& view, const Style& style, WallTime /*now*/) {
  if (view.events.empty()) return "no events\n";
  std::string out;
  for (const EventView& event : view.events) out += event_line(event, style);
  return out;
}

}  // namespace ebbfs
