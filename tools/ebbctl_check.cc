// SPDX-License-Identifier: Apache-2.0
//
// ebbctl check: starts a check, follows it, tells what it found. It runs in the daemon; should this
// process end first, it ends by itself a little later and has changed nothing, or with --repair
// nothing but counters that were wrong.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "tools/control_client.h"
#include "tools/ebbctl_command.h"

namespace ebbfs {
namespace {

// Between two questions: soon at first, as small volumes are done at once.
constexpr auto kAskAfter = std::chrono::milliseconds(20);
constexpr auto kAskAfterMax = std::chrono::milliseconds(320);

// One line on a terminal's standard error, written over and over.
class ProgressLine {
 public:
  explicit ProgressLine(bool wanted) : wanted_(wanted && ::isatty(STDERR_FILENO) == 1) {}
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  ~ProgressLine() { clear(); }
  void show(const RecountView& check) {
    if (!wanted_) return;
    print_detail("\r" + render_progress(check) + "\x1b[K");
    shown_ = true;
  }
  void clear() {
    if (shown_) print_detail("\r\x1b[K");
    shown_ = false;
  }

 private:
  const bool wanted_;
  bool shown_ = false;
};

int print_check(const Invocation& invocation, const Style& style, const ControlReply& reply) {
  const auto view = from_json<RecountView>(reply.body);
  // What was found is the answer, and goes where answers go.
  if (reply.exit_code != kExitDone && view && !invocation.json && !view->given_up) {
    print(render(*view, style, std::chrono::system_clock::now()));
    return print_error(false, reply);
  }
  return print_reply<RecountView>(invocation, style, reply);
}

int run_check(Invocation& invocation, const Style& style) {
  ControlRequest& request = invocation.request;
  request.command = command::kCheck;
  auto target = find_target(invocation.place, this_host());
  if (!target) return print_error(invocation.json, target.error());
  ControlReply reply = ask(target->mount, request);
  auto view = from_json<RecountView>(reply.body);
  auto wait = kAskAfter;
  ProgressLine line(!invocation.json);
  while (reply.exit_code == kExitDone && view && view->running) {
    line.show(*view);
    std::this_thread::sleep_for(wait);
    wait = std::min(2 * wait, kAskAfterMax);
    request.token = view->token;
    reply = ask(target->mount, request);
    view = from_json<RecountView>(reply.body);
  }
  line.clear();
  return print_check(invocation, style, reply);
}

}  // namespace

void add_check_commands(CLI::App& app, Invocation& invocation) {
  CLI::App* check =
      add_command(app, invocation, "check", "Count the volume again and compare, under load",
                  "  ebbctl check\n"
                  "  ebbctl check --json | jq '.differences'\n"
                  "  ebbctl check --repair               after the backing was changed directly\n"
                  "Nobody is stopped: each unit is counted as it was at one instant, while work\n"
                  "goes on, at about a tenth of one processor. Only root may. What a scope holds\n"
                  "more (+) or less (-) than its counters say is listed; expected is nothing.\n"
                  "Ctrl-C does no harm: a check that nobody follows ends after 30 s.\n"
                  "Exit codes: 0 exact, 1 differences found (repaired or not) or refused,\n"
                  "2 usage, 3 no mount.",
                  run_check);
  add_path(*check, invocation, "A path on the mount to ask", PathUse::optional);
  check->add_flag("--repair", invocation.request.repair, "Make the counters right");
}

}  // namespace ebbfs
