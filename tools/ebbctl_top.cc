// SPDX-License-Identifier: Apache-2.0
//
// ebbctl top: who does how much, now.
#include <algorithm>
#include <thread>

#include "tools/control_client.h"
#include "tools/ebbctl_command.h"
#include "tools/live_screen.h"
#include "tools/render_top.h"
#include "tools/terminal.h"

namespace ebbfs {
namespace {

namespace chrono = std::chrono;

constexpr Duration kInterval = chrono::seconds(1);
constexpr Duration kIntervalMin = chrono::milliseconds(100);
constexpr std::size_t kShownMax = 50;  // scopes, and units that expire next
// What changes slowly is asked for so much later than the last time, and no more often than so many
// times what asking took.
constexpr auto kSlowly = chrono::seconds(3);
constexpr int kPatience = 20;

// Asks one mount for what a frame shows.
class TopSource {
 public:
  explicit TopSource(std::string mount) : mount_(std::move(mount)) {}

  // What was done since the last call; nothing was in the first. An error is the daemon's.
  [[nodiscard]] std::expected<void, ControlReply> update() {
    ControlRequest request;
    request.command = command::kActivity;
    if (frame_.activity.token != 0) request.token = frame_.activity.token;
    if (auto told = take(request, frame_.activity); !told) return told;
    const auto now = chrono::steady_clock::now();
    return now < slow_at_ ? std::expected<void, ControlReply>() : update_slowly(now);
  }
  // The next call asks for what changes slowly, too.
  void look_at_all() { slow_at_ = {}; }
  [[nodiscard]] const TopFrame& frame() const { return frame_; }

 private:
  std::expected<void, ControlReply> update_slowly(chrono::steady_clock::time_point begin) {
    ControlRequest request;
    request.command = command::kStatus;
    if (auto told = take(request, frame_.status); !told) return told;
    request.command = command::kQuotaList;
    request.limit = kShownMax;
    if (auto told = take(request, frame_.quotas); !told) return told;
    request.command = command::kUnits;
    request.sort = sort_by::kExpires;
    if (auto told = take(request, frame_.next); !told) return told;
    const auto end = chrono::steady_clock::now();
    slow_at_ = end + std::max<chrono::steady_clock::duration>(kSlowly, (end - begin) * kPatience);
    return {};
  }
  template <typename View>
  std::expected<void, ControlReply> take(const ControlRequest& request, View& view) {
    const ControlReply reply = ask(mount_, request);
    if (reply.exit_code != kExitDone) return std::unexpected(reply);
    auto told = from_json<View>(reply.body);
    if (!told) {
      return std::unexpected(refused(
          "the daemon's answer is not understood: it is of another version than this ebbctl"));
    }
    view = *std::move(told);
    return {};
  }

  const std::string mount_;
  TopFrame frame_;
  chrono::steady_clock::time_point slow_at_{};
};

int show_once(const Invocation& invocation, const Style& style, TopSource& source) {
  if (const auto begun = source.update(); !begun) {
    return print_error(invocation.json, begun.error());
  }
  std::this_thread::sleep_for(invocation.interval);
  source.look_at_all();
  if (const auto told = source.update(); !told) {
    return print_error(invocation.json, told.error());
  }
  if (invocation.json) {
    print_json(top_json(source.frame()));
  } else {
    Style whole = style;
    whole.height = 0;
    print(render(source.frame(), whole, chrono::system_clock::now()));
  }
  return kExitDone;
}

// Until somebody has enough; an error that came meanwhile is told afterwards.
std::expected<void, ControlReply> show_live(const Invocation& invocation, TopSource& source) {
  LiveScreen screen;
  auto next = chrono::steady_clock::now();
  for (;;) {
    const auto now = chrono::steady_clock::now();
    if (now >= next) {
      if (auto told = source.update(); !told) return told;
      next = now + invocation.interval;
    }
    // The size of the terminal may be another one now.
    screen.show(render(source.frame(), standard_output(), chrono::system_clock::now()));
    const auto left = chrono::ceil<chrono::milliseconds>(next - chrono::steady_clock::now());
    if (screen.wait(std::max(left, chrono::milliseconds(1))) == LiveScreen::Woken::quit) return {};
  }
}

int run_top(Invocation& invocation, const Style& style) {
  const auto target = find_target(invocation.place, this_host());
  if (!target) return print_error(invocation.json, target.error());
  if (invocation.interval == Duration{}) invocation.interval = kInterval;
  TopSource source(target->mount);
  if (invocation.once || invocation.json || !style.terminal) {
    return show_once(invocation, style, source);
  }
  const auto shown = show_live(invocation, source);
  return shown ? kExitDone : print_error(false, shown.error());
}

}  // namespace

void add_top_commands(CLI::App& app, Invocation& invocation) {
  CLI::App* top =
      add_command(app, invocation, "top", "Who writes how much now, what is full or goes next",
                  "  ebbctl top                          q quits\n"
                  "  ebbctl top --interval 5s\n"
                  "  ebbctl top --once                   a sample over a second, then done\n"
                  "  ebbctl top --json --interval 10s | jq '.users[0].bytes_new_per_second'\n"
                  "NEW is what files grew by, whatever has gone again; NET is by how much what\n"
                  "is held has changed; OPS are requests that use a unit: opening, creating,\n"
                  "writing, renaming, removing. Reading an open file is none. Without a terminal,\n"
                  "and with --json, it samples once.",
                  run_top);
  add_path(*top, invocation, "A path on the mount to ask", PathUse::optional);
  top->add_flag("--once", invocation.once, "One sample, then done");
  top->add_option_function<std::string>(
         "--interval",
         [&invocation](const std::string& text) {
           invocation.interval = duration_of_option("--interval", text);
           if (invocation.interval < kIntervalMin) {
             throw CLI::ValidationError("--interval", "expected 100ms or more");
           }
         },
         "Between two looks (default 1s)")
      ->type_name("DURATION");
}

}  // namespace ebbfs
