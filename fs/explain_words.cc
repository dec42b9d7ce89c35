// SPDX-License-Identifier: Apache-2.0
#include "fs/explain_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "fs/control_json.h"
#include "fs/describe.h"
#include "index/history_sample.h"
#include "policy/limits.h"

namespace ebbfs {
namespace {

constexpr Duration kLongTime = std::chrono::days(365);
// Less than this share of the volume is not worth a word.
constexpr std::int64_t kWorthwhile = 200;

std::string units_text(std::int64_t count) {
  return fmt::format("{} unit{}", count, count == 1 ? "" : "s");
}

const UsageThenView* window_of(const ExplainView& view) {
  const auto found = std::ranges::find_if(view.usage, [&](const UsageThenView& then) {
    return then.ago == view.since && then.time.has_value();
  });
  return found == view.usage.end() ? nullptr : &*found;
}

// "12 GiB more than 7d ago, full in 3d 4h at that rate".
std::string change_text(const ExplainView& view) {
  const UsageThenView* then = window_of(view);
  if (then == nullptr) return "there is no history yet to say whether it grows";
  const Duration passed = view.time - *then->time;
  const std::string when = span_text(std::min(passed, view.since)) + " ago";
  std::string text;
  if (then->bytes_growth <= 0) {
    text = "not growing";
    if (then->bytes_growth < 0) {
      text += fmt::format(": {} less than {}", bytes_text({-then->bytes_growth}), when);
    }
  } else {
    text = fmt::format("{} more than {}", bytes_text({then->bytes_growth}), when);
    if (then->time_to_full) {
      text += *then->time_to_full > kLongTime
                  ? ", and not full within a year"
                  : ", full in " + span_text(*then->time_to_full) + " at that rate";
    } else {
      return text + ", which is too short for a forecast";
    }
  }
  // As much as a tenth less is the same.
  if (passed < view.since - view.since / 10) text += " (history has no more)";
  return text;
}

// Something that takes room, and what is to be said of it.
struct Heap {
  std::int64_t bytes = 0;
  std::string text;
};

std::vector<Heap> heaps_of(const ExplainView& view) {
  std::vector<Heap> heaps;
  for (const HeldView& held : view.held) {
    heaps.push_back(
        {held.usage.bytes.n,
         held.reason == "outside"
             ? std::string("lies outside of any unit, where nothing ever expires")
             : fmt::format("cannot go now: {}, {}", units_text(held.units), held.text)});
  }
  heaps.push_back(
      {view.evictable.bytes.n, fmt::format("may go, each at its time or when space is needed: {}",
                                           units_text(view.evictable_units))});
  heaps.push_back({view.trash.bytes.n, "is in the trash, and can be deleted at once"});
  if (!view.only_own && view.path.empty() && !view.usage.empty()) {
    heaps.push_back({view.usage.front().bytes_used.n - view.charged.n,
                     "is not in this tree: other files of the filesystem, or its own data"});
  }
  std::ranges::sort(heaps, std::greater(), &Heap::bytes);
  return heaps;
}

std::string cause_text(const ExplainView& view) {
  if (!view.cleanup.text.empty()) {
    std::string text = "Nothing is removed: " + view.cleanup.text;
    if (view.cleanup.since) {
      text += fmt::format(", for {}{}", view.cleanup.since_at_least ? "at least " : "",
                          span_text(view.time - *view.cleanup.since));
    }
    return text + ".";
  }
  const auto heaps = heaps_of(view);
  if (heaps.empty() || heaps.front().bytes <= 0) {
    return view.only_own ? "Nothing of it is yours." : "It holds next to nothing.";
  }
  const std::string whose = view.only_own ? "Of yours, " : view.path.empty() ? "" : "Below it, ";
  return fmt::format("{}{} {}.", whose, bytes_text({heaps.front().bytes}), heaps.front().text);
}

class Actions {
 public:
  explicit Actions(const ExplainView& view) : view_(view) {}

  void add(std::string why, std::vector<std::string> command) {
    // Words of a reply are text, so what is none cannot be pasted.
    if (!std::ranges::all_of(command, [](const std::string& word) { return is_utf8(word); }))
      return;
    if (all_.size() < kActionsMax) all_.push_back({std::move(why), std::move(command)});
  }
  [[nodiscard]] std::string at(const std::string& path) const { return view_.mount + "/" + path; }
  [[nodiscard]] bool worthwhile(Bytes bytes) const {
    return bytes.n > 0 && bytes.n >= view_.bytes_total.n / kWorthwhile;
  }
  std::vector<ActionView> take() { return std::move(all_); }

 private:
  const ExplainView& view_;
  std::vector<ActionView> all_;
};

void add_for_cleanup(const ExplainView& view, Actions& actions) {
  const std::string& state = view.cleanup.state;
  if (view.only_own || view.cleanup.text.empty()) return;
  if (state == to_string(HistorySample::Cleanup::observing)) {
    actions.add("remove what is due: set mode = \"enforce\" in the policy file, then",
                {"ebbctl", "policy", "reload", "--mount", view.mount});
  } else if (state == to_string(HistorySample::Cleanup::braked)) {
    actions.add("look at what the brake holds",
                {"ebbctl", "units", "--state", "due", "--mount", view.mount});
    actions.add("let it go", {"ebbctl", "resume", "--mount", view.mount});
  } else {
    actions.add("see what is wrong, and until when", {"ebbctl", "status", "--mount", view.mount});
  }
}

void add_for_held(const ExplainView& view, Actions& actions) {
  for (const HeldView& held : view.held) {
    if (!actions.worthwhile(held.usage.bytes)) continue;
    if (held.reason == "outside") {
      actions.add("find what lies outside of units; a class of the policy can cover it",
                  {"du", "-xh", "--max-depth=2", view.mount});
    } else if (held.reason == "pinned") {
      actions.add("unpin the largest pinned unit", {"ebbctl", "unpin", actions.at(held.largest)});
    } else if (held.reason == "open_files" || held.reason == "process_inside" ||
               held.reason == "live_lock") {
      actions.add("see who holds the largest busy unit",
                  {"ebbctl", "show", actions.at(held.largest)});
    } else if (held.reason == "git_work") {
      actions.add("look whether the work in it is still wanted",
                  {"git", "-C", actions.at(held.largest), "status", "--short"});
    }
  }
}

// What is held and half of what is free, but no more than twice what is held: it stops a run-away,
// and leaves room to others.
std::string limit_for(Bytes held, Bytes free) {
  constexpr std::int64_t kMiB = std::int64_t{1} << 20;
  constexpr std::int64_t kGiB = std::int64_t{1} << 30;
  const std::int64_t limit = held.n + std::min(held.n, free.n / 2);
  const bool is_large = limit >= 10 * kGiB;
  const std::int64_t unit = is_large ? kGiB : kMiB;
  return fmt::format("{}{}", (limit + unit - 1) / unit, is_large ? "GiB" : "MiB");
}

void add_for_holders(const ExplainView& view, const std::set<std::string>& limited,
                     Actions& actions) {
  if (view.users.empty()) return;
  const auto growth = [](const HolderView& user) { return user.bytes_growth.value_or(0); };
  const HolderView& most = *std::ranges::max_element(view.users, {}, growth);
  const HolderView& who = growth(most) > 0 ? most : view.users.front();
  if (!actions.worthwhile(who.usage.bytes)) return;
  actions.add(growth(who) > 0 ? "see what has grown" : "see what is largest",
              {"ebbctl", "units", "--user", who.name, "--sort", "bytes", "--limit", "10", "--mount",
               view.mount});
  if (view.only_own || growth(who) <= 0 || who.name == "root" || limited.contains(who.name)) return;
  actions.add("stop that user from taking all that is left",
              {"ebbctl", "quota", "set", "user:" + who.name, "--bytes",
               limit_for(who.usage.bytes, view.bytes_free), "--mount", view.mount});
}

}  // namespace

std::string span_text(Duration span) {
  struct Part {
    std::int64_t seconds;
    char name;
  };
  constexpr std::array<Part, 4> kParts = {{{86'400, 'd'}, {3'600, 'h'}, {60, 'm'}, {1, 's'}}};
  std::int64_t left =
      std::max<std::int64_t>(std::chrono::round<std::chrono::seconds>(span).count(), 0);
  for (std::size_t i = 0; i < kParts.size(); ++i) {
    const std::int64_t count = left / kParts[i].seconds;
    if (count == 0) continue;
    left %= kParts[i].seconds;
    const std::int64_t next = i + 1 < kParts.size() ? left / kParts[i + 1].seconds : 0;
    if (next == 0) return fmt::format("{}{}", count, kParts[i].name);
    return fmt::format("{}{} {}{}", count, kParts[i].name, next, kParts[i + 1].name);
  }
  return "0s";
}

std::vector<std::string> verdict_of(const ExplainView& view) {
  const Bytes used = view.usage.empty() ? Bytes{} : view.usage.front().bytes_used;
  const double share = view.bytes_total.n > 0 ? 100.0 * static_cast<double>(used.n) /
                                                    static_cast<double>(view.bytes_total.n)
                                              : 0;
  return {fmt::format("{:.0f} % full, {} of {}: {}.", share, bytes_text(used),
                      bytes_text(view.bytes_total), change_text(view)),
          cause_text(view)};
}

std::vector<ActionView> actions_of(const ExplainView& view, const std::set<std::string>& limited) {
  Actions actions(view);
  add_for_cleanup(view, actions);
  if (!view.only_own && actions.worthwhile(view.trash.bytes)) {
    actions.add("delete what is in the trash, for good",
                {"ebbctl", "trash", "empty", "--mount", view.mount});
  }
  add_for_held(view, actions);
  add_for_holders(view, limited, actions);
  return actions.take();
}

}  // namespace ebbfs
