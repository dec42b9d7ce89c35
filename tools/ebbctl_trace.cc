// SPDX-License-Identifier: Apache-2.0
//
// ebbctl trace: the requests that reach the daemon, as they are answered.
#include <fmt/format.h>

#include "tools/ebbctl_command.h"
#include "tools/terminal.h"

namespace ebbfs {
namespace {

constexpr std::chrono::milliseconds kFetchInterval{250};

void print_requests(const Invocation& invocation, const Style& style, const TraceView& view) {
  if (!invocation.json) return print(render(view, style, std::chrono::system_clock::now()));
  for (const TracedView& request : view.requests) print_json(to_json(request), Form::line);
}

// Until interrupted, or nobody reads any more, or the mount is gone.
int run_trace(Invocation& invocation, const Style& style) {
  invocation.request.command = command::kTrace;
  end_wait_on_signal();
  do {
    const ControlReply reply = ask_mount(invocation);
    const auto view = from_json<TraceView>(reply.body);
    if (reply.exit_code != kExitDone || !view)
      return print_error(invocation.json, reply, Form::line);
    if (!invocation.request.token && !invocation.json) print(trace_header(style));
    invocation.request.token = view->token;
    print_requests(invocation, style, *view);
    if (view->lost > 0) {
      print_detail(
          fmt::format("{} more were answered than could be kept: narrow it with --user, "
                      "--op, --slow or a PATH\n",
                      counted(static_cast<std::int64_t>(view->lost), "request")));
    }
    if (std::fflush(stdout) != 0) return kExitRefused;
  } while (wait_while_read(kFetchInterval));
  return kExitDone;
}

}  // namespace

void add_trace_commands(CLI::App& app, Invocation& invocation) {
  CLI::App* trace =
      add_command(app, invocation, "trace", "The requests that reach the daemon, as they come",
                  "  ebbctl trace                        all, until Ctrl-C\n"
                  "  ebbctl trace --slow 10ms            those that took at least so long\n"
                  "  ebbctl trace --op rename --user ci /mnt/ebs/worktrees\n"
                  "  ebbctl trace --json | jq -r .op | head -n 1000 | sort | uniq -c\n"
                  "Shows what the kernel asks, which answers most by itself: reads of files of\n"
                  "128 KiB and more, and what it has in its caches, do not reach the daemon.\n"
                  "Costs nothing while nobody traces. Other users see their own requests.",
                  run_trace);
  add_path(*trace, invocation, "Only at or below PATH; also names the mount", PathUse::optional);
  trace->add_option("--user", invocation.request.filter.user, "Only of this user, name or uid")
      ->type_name("USER");
  trace->add_option("--op", invocation.request.filter.kind, "Only lookup, open, write, rename, ...")
      ->type_name("OP");
  add_duration(*trace, "--slow", invocation.request.slow,
               "Only those that took at least this long");
}

}  // namespace ebbfs
