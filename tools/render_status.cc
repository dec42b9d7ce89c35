// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "tools/render_views.h"

namespace ebbfs {
namespace {

constexpr std::size_t kBarWidth = 34;
constexpr std::size_t kUsersShown = 3;
constexpr std::size_t kPathMin = 10;
// For fitting into the height of a terminal.
constexpr std::size_t kPromptLines = 1;
constexpr std::size_t kHeaderLines = 1;
constexpr std::size_t kGaps = 3;
constexpr std::size_t kRowsMin = 2;
// Later than this is not the ordinary delay of a timer.
constexpr Duration kLate = std::chrono::seconds(5);

double share(std::int64_t used, std::int64_t total) {
  return total > 0 ? static_cast<double>(used) / static_cast<double>(total) : 0;
}

std::string percent(double share) { return fmt::format("{:.0f} %", share * 100); }

std::string space_line(const StatusView& status) {
  const SpaceView& space = status.space;
  if (space.level == "full" && space.bytes_reserve >= status.volume.bytes_total) {
    return "the reserve of " + plain(space.reserve) +
           " is all of the volume, so no new data is taken: set a smaller one in the policy, then: "
           "ebbctl policy reload";
  }
  std::string line = space.level == "full"
                         ? "full: new data waits for space, or is refused; locks still work"
                         : "above the high mark of " + plain(space.high);
  if (space.evicting) return line + "; idle units are being evicted";
  if (space.stuck.empty()) return line;
  return line + "; the low mark of " + plain(space.low) + " is out of reach: " + plain(space.stuck);
}

// Everything that somebody should act on or know before reading on.
std::vector<std::string> warnings(const StatusView& status, WallTime now) {
  std::vector<std::string> lines;
  if (status.mode == "observe") {
    lines.push_back(
        "mode is \"observe\": verdicts are recorded, nothing is removed; set mode = \"enforce\" in "
        "the policy, then: ebbctl policy reload");
  }
  if (status.adopt_grace_until && *status.adopt_grace_until > now) {
    lines.push_back(std::string(status.index_rebuilt ? "index rebuilt" : "first mount") +
                    ": nothing is removed for " + human_duration(*status.adopt_grace_until - now) +
                    ", until " + absolute(*status.adopt_grace_until));
  }
  if (status.brake) {
    lines.push_back("brake: " + plain(status.brake->text) +
                    ": no unit is removed; look with: ebbctl units --state due, then: ebbctl "
                    "resume");
  }
  if (status.space.level == "high" || status.space.level == "full") {
    lines.push_back(space_line(status));
  }
  for (const std::string& reason : status.degraded) lines.push_back(plain(reason));
  if (status.adoption.running) {
    lines.push_back("usage is provisional while old content is adopted: " +
                    human_count(status.adoption.entries) + " entries so far");
  } else if (status.provisional) {
    lines.emplace_back("usage is provisional: still being counted");
  }
  if (!status.check.running && status.check.finished && !status.check.exact) {
    lines.push_back("the last check, " + relative(*status.check.finished, now) +
                    ", did not find usage exact: ebbctl check");
  }
  if (status.enforcing && status.overdue > kLate) {
    lines.push_back("removal is late by " + human_duration(status.overdue));
  }
  return lines;
}

std::string heading(const StatusView& status, const Style& style) {
  const std::string daemon =
      fmt::format("ebbfs {}, up {}", plain(status.version), human_duration(status.uptime));
  const std::string mount = plain(status.mount);
  const std::string state = status.enforcing ? "ENFORCING" : "*** NOT ENFORCING ***";
  const std::size_t used = display_width(mount) + 2 + state.size() + display_width(daemon);
  const std::string space(style.width > used + 2 ? style.width - used : 2, ' ');
  return paint(style, Color::bold, mount) + "  " +
         paint(style, status.enforcing ? Color::good : Color::loud, state) + space +
         paint(style, Color::faint, daemon) + "\n";
}

std::string volume_lines(const StatusView& status, const Style& style) {
  const VolumeView& volume = status.volume;
  const double full = share(volume.bytes_used.n, volume.bytes_total.n);
  const Color color = 100 * full >= kVolumeNearlyFull ? Color::bad : Color::good;
  std::string out = label("volume") +
                    paint(style, color, usage_bar(full, kBarWidth, style.unicode)) +
                    fmt::format(" {:>5}  {} of {}\n", percent(full), human_bytes(volume.bytes_used),
                                human_bytes(volume.bytes_total));
  out += label("") + human_bytes(volume.bytes_free) + " free";
  if (volume.inodes_total > 0) {
    out += fmt::format("; {} of {} inodes, {}", human_count(volume.inodes_used),
                       human_count(volume.inodes_total),
                       percent(share(volume.inodes_used, volume.inodes_total)));
  } else if (volume.inodes_used > 0) {
    out += fmt::format("; {}", counted(volume.inodes_used, "inode"));
  }
  return out + "\n";
}

std::string heap(const HeapView& view) {
  if (view.units == 0) return "nothing";
  return fmt::format("{}, {}", counted(view.units, "unit"), human_bytes(view.bytes));
}

std::string heap(const TrashHeapView& view) {
  if (view.units == 0) return "nothing";
  const std::string all = heap(HeapView{view.bytes, view.units});
  if (view.reclaimable_bytes == view.bytes) return all + ", reclaimable now";
  return all + "; reclaimable now: " + human_bytes(view.reclaimable_bytes);
}

// When and what. On a narrow terminal the date gives way to the path, which is shortened last.
std::string next_expiry(const StatusView& status, const Style& style, WallTime now) {
  constexpr std::string_view kBetween = "  ";
  if (!status.next_expiry) return "none";
  std::string when = both(*status.next_expiry, now);
  const std::string path = plain(status.next_expiry_path);
  if (path.empty()) return when;
  if (!style.terminal) return when.append(kBetween) + path;
  const auto room = [&] {
    const std::size_t used = kLabelWidth + display_width(when) + kBetween.size();
    return style.width > used ? style.width - used : 0;
  };
  if (room() < std::min(Table::kLastMin, display_width(path))) {
    when = relative(*status.next_expiry, now);
  }
  const std::size_t left = std::max(room(), kPathMin);
  return when.append(kBetween) + shorten(path, left, style.unicode);
}

std::string time_lines(const StatusView& status, const Style& style, WallTime now) {
  std::string out = label("next expiry") + next_expiry(status, style, now) + "\n";
  out += label("last reclaim") +
         (status.last_reclaim ? both(*status.last_reclaim, now) : "none since the start") + "\n";
  out += label("due now") + heap(status.due) + "\n";
  return out + label("trash") + heap(status.trash) + "\n";
}

std::string class_table(const StatusView& status, const Style& style, std::size_t rows_max) {
  using enum Table::Align;
  Table table({{"CLASS"}, {"KIND"}, {"COUNT", right}, {"BYTES", right}, {"INODES", right}});
  std::size_t rows = 0;
  for (const ClassView& view : status.classes) {
    if (rows++ == rows_max) break;
    table.add({{plain(view.name)},
               {plain(view.kind)},
               {human_count(view.units)},
               {view.kind == "lock" ? "-" : human_bytes(view.usage.bytes)},
               {human_count(view.usage.inodes)}});
  }
  std::string out = table.render(style);
  if (status.classes.size() > rows_max) {
    out += fmt::format("and {} more; all with --json\n", status.classes.size() - rows_max);
  }
  return out;
}

std::string users_line(const StatusView& status) {
  if (status.users.empty()) return "none";
  std::string out;
  const std::size_t shown = std::min(kUsersShown, status.users.size());
  for (std::size_t i = 0; i < shown; ++i) {
    const UserView& user = status.users[i];
    const std::string name = user.name.empty() ? fmt::format("uid {}", user.uid) : plain(user.name);
    out += fmt::format("{}{} {}", i > 0 ? ", " : "", name, human_bytes(user.usage.bytes));
  }
  if (status.users.size() > shown) out += fmt::format(", {} more", status.users.size() - shown);
  return out;
}

std::string daemon_lines(const StatusView& status, const Style& style) {
  const bool in_place = status.backing.path == status.mount;
  std::string out = wrapped(label("users"), users_line(status), style);
  out += wrapped(label("transport"),
                 fmt::format("{}; large reads {}", plain(status.transport),
                             status.passthrough ? "pass through the kernel" : "go to the daemon"),
                 style);
  out += wrapped(label("backing"),
                 fmt::format("{}, {}; policy: {}", plain(status.backing.fs_type),
                             in_place ? "mounted in place" : plain(status.backing.path),
                             plain(status.policy_source)),
                 style);
  out += wrapped(
      label("daemon"),
      fmt::format("pid {}; {}, {} known; {} of {} fds", status.pid,
                  counted(status.open_files, "open file"), counted(status.known_inodes, "inode"),
                  human_count(status.fds.used), human_count(status.fds.limit)),
      style);
  if (status.check.running) {
    out += label("check") + fmt::format("running, {} %\n", status.check.percent);
  }
  return out;
}

std::size_t lines_of(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count(text, '\n'));
}

}  // namespace

std::string render(const StatusView& status, const Style& style, WallTime now) {
  std::string top = heading(status, style);
  for (const std::string& line : warnings(status, now)) {
    top += paint(style, Color::warn, "! ") + wrapped("  ", line, style).substr(2);
  }
  const std::string middle = volume_lines(status, style) + time_lines(status, style, now);
  const std::string bottom = daemon_lines(status, style);

  // The heading must not scroll away: blank lines go first, then rows of the table.
  const std::size_t rows = status.classes.size();
  const std::size_t fixed = lines_of(top) + lines_of(middle) + lines_of(bottom) + kPromptLines;
  const auto fits = [&](std::size_t lines) { return style.height == 0 || lines <= style.height; };
  const std::string gap = fits(fixed + kHeaderLines + rows + kGaps) ? "\n" : "";
  std::size_t shown = rows;
  // A cut table has one line more, which says so.
  while (shown > kRowsMin && !fits(fixed + kHeaderLines + shown + (shown < rows ? 1 : 0))) --shown;
  return top + gap + middle + gap + class_table(status, style, shown) + gap + bottom;
}

}  // namespace ebbfs
