// SPDX-License-Identifier: Apache-2.0
//
// The trash, what came out of it, and the brake.
#include <fmt/format.h>

#include "tools/render_views.h"

namespace ebbfs {
namespace {

using enum Table::Align;

std::string total(const TrashView& view) {
  return fmt::format("{}, {}", counted(static_cast<std::int64_t>(view.items.size()), "unit"),
                     human_bytes(view.usage.bytes));
}

std::string until(const TrashItemView& item, WallTime now) {
  if (item.purging) return "being deleted";
  return item.restorable_until <= now ? "is due" : human_duration(item.restorable_until - now);
}

}  // namespace

std::string render(const TrashView& view, const Style& style, WallTime now) {
  if (view.items.empty()) {
    return view.emptied ? "nothing to delete\n" : "the trash is empty\n";
  }
  Table table(
      {{"ID", right}, {"REMOVED"}, {"WHY"}, {"LEFT"}, {"BYTES", right}, {"OWNER"}, {"PATH"}});
  for (const TrashItemView& item : view.items) {
    table.add({{std::to_string(item.id)},
               {relative(item.removed_at, now)},
               {plain(item.reason)},
               {until(item, now), item.purging ? Color::warn : Color::none},
               {human_bytes(item.usage.bytes)},
               {owner_short(item.owner)},
               {shown_path(item.path)}});
  }
  std::string out = table.render(style);
  if (!view.emptied) return out + total(view) + "; undo with: ebbctl restore PATH\n";
  return out + total(view) +
         (view.dry_run ? " would be deleted\n" : ": being deleted in the background\n");
}

std::string render(const RestoreView& view, const Style& style, WallTime now) {
  std::string out = fmt::format("{}: {} ({}, {})\n", shown_path(view.path),
                                view.dry_run ? "would be restored" : "restored",
                                human_bytes(view.usage.bytes), counted(view.usage.inodes, "inode"));
  const auto line = [&](std::string_view label, const std::string& text) {
    out += wrapped(fmt::format("  {:<11}", label), text, style);
  };
  if (view.was != view.path) line("was", shown_path(view.was));
  if (!view.git_entry.empty()) line("git entry", plain(view.git_entry));
  if (!view.git_entry_lost.empty()) {
    line("git entry", paint(style, Color::warn, "not restored: " + plain(view.git_entry_lost)));
  }
  if (view.expires_at) line("expires", both(*view.expires_at, now));
  if (view.others > 0) {
    line("trash", counted(view.others, "older entry") + " of this path; see: ebbctl trash list");
  }
  return out;
}

std::string render(const ResumeView& view, const Style& style, WallTime /*now*/) {
  const std::string why = view.brake ? plain(view.brake->text) : "";
  if (view.dry_run && view.brake) {
    return wrapped("",
                   fmt::format("would be resumed: {} would go (it is held because {})",
                               counted(view.due_units, "due unit"), why),
                   style);
  }
  if (!view.changed) return "nothing was held\n";
  return wrapped("",
                 fmt::format("resumed: {} may go now (it was held because {})",
                             counted(view.due_units, "due unit"), why),
                 style);
}

}  // namespace ebbfs
