// SPDX-License-Identifier: Apache-2.0
//
// The commands that only look: status, units, locks, show, events.
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "tools/control_client.h"
#include "tools/ebbctl_command.h"
#include "tools/terminal.h"

namespace ebbfs {
namespace {

constexpr std::size_t kEventsShown = 20;
constexpr std::chrono::milliseconds kPollInterval{500};

constexpr const char* kPathBelow = "Only at or below PATH; also names the mount";

int run_status(Invocation& invocation, const Style& style) {
  return run_request<StatusView>(invocation, style, command::kStatus);
}

int run_units(Invocation& invocation, const Style& style) {
  return run_request<UnitsView>(invocation, style, command::kUnits);
}

int run_locks(Invocation& invocation, const Style& style) {
  if (invocation.orphans) invocation.request.filter.state = to_string(LockState::orphan);
  return run_request<LocksView>(invocation, style, command::kLocks);
}

// What the daemon knows nothing of may not be there at all, which is a slip of the user's.
int run_show(Invocation& invocation, const Style& style) {
  invocation.request.command = command::kShow;
  const auto target = find_target(invocation.place, this_host());
  if (!target) return print_error(invocation.json, target.error());
  invocation.request.path = target->path;
  const ControlReply reply = ask(target->mount, invocation.request);
  const auto view = from_json<ShowView>(reply.body);
  if (reply.exit_code == kExitDone && view && !view->unit && !view->lock) {
    const std::string path = target->mount + "/" + target->path;
    struct stat status{};
    if (::lstat(path.c_str(), &status) != 0 && (errno == ENOENT || errno == ENOTDIR)) {
      return print_error(invocation.json, refused(path + " does not exist"));
    }
  }
  return print_reply<ShowView>(invocation, style, reply);
}

void print_events(const Invocation& invocation, const Style& style, const EventsView& view) {
  if (view.events.empty()) return;
  if (!invocation.json) return print(render(view, style, std::chrono::system_clock::now()));
  for (const EventView& event : view.events) print_json(to_json(event), Form::line);
}

// Until interrupted, or nobody reads any more, or the mount is gone.
int follow_events(Invocation& invocation, const Style& style) {
  invocation.request.command = command::kEvents;
  end_wait_on_signal();
  do {
    const ControlReply reply = ask_mount(invocation);
    const auto view = from_json<EventsView>(reply.body);
    if (reply.exit_code != kExitDone) return print_error(invocation.json, reply, Form::line);
    if (!view) {
      return print_reply<EventsView>(invocation, style, reply);
    }
    print_events(invocation, style, *view);
    if (std::fflush(stdout) != 0) return kExitRefused;
    invocation.request.after = std::max(view->last_sequence, invocation.request.after.value_or(0));
    invocation.request.since.reset();
    invocation.request.limit = 0;
  } while (wait_while_read(kPollInterval));
  return kExitDone;
}

int run_events(Invocation& invocation, const Style& style) {
  if (invocation.follow) return follow_events(invocation, style);
  return run_request<EventsView>(invocation, style, command::kEvents);
}

void add_filters(CLI::App& command, Invocation& invocation) {
  ControlFilter& filter = invocation.request.filter;
  command.add_option("--class", filter.class_name, "Only of this class")->type_name("NAME");
  command.add_option("--user", filter.user, "Only of this owner, name or uid")->type_name("USER");
  command.add_option("--job", filter.job, "Only of this job")->type_name("JOB");
}

CLI::Option* add_limit(CLI::App& command, Invocation& invocation, const std::string& about) {
  return command.add_option("--limit", invocation.request.limit, about)
      ->check(whole_number_check())
      ->type_name("N");
}

void add_sort(CLI::App& command, Invocation& invocation, const std::string& about,
              const std::vector<std::string>& orders) {
  command.add_option("--sort", invocation.request.sort, about)
      ->type_name("ORDER")
      ->default_str(orders.front())
      ->check(one_of(orders));
  command.preparse_callback([&invocation, first = orders.front()](std::size_t /*left*/) {
    invocation.request.sort = first;
  });
}

void add_units(CLI::App& app, Invocation& invocation) {
  CLI::App* units =
      add_command(app, invocation, "units", "List units: what lives and expires as a whole",
                  "  ebbctl units                        soonest to expire first\n"
                  "  ebbctl units --sort bytes --limit 10\n"
                  "  ebbctl units --user alice --state busy\n"
                  "  ebbctl units --json | jq -r '.units[].path'",
                  run_units);
  add_path(*units, invocation, kPathBelow, PathUse::optional);
  add_filters(*units, invocation);
  units->add_option("--state", invocation.request.filter.state, "Only in this state")
      ->type_name("STATE")
      ->check(one_of({"idle", "busy", "pinned", "due", "permanent"}));
  add_sort(
      *units, invocation, "Soonest, largest or longest unused first",
      {std::string(sort_by::kExpires), std::string(sort_by::kBytes), std::string(sort_by::kUsed)});
  add_limit(*units, invocation, "At most N units; 0 for all");
}

void add_locks(CLI::App& app, Invocation& invocation) {
  CLI::App* locks =
      add_command(app, invocation, "locks", "List locks and who holds them",
                  "  ebbctl locks                        oldest first\n"
                  "  ebbctl locks --orphans              those about to be reclaimed\n"
                  "  ebbctl locks /mnt/ebs/repo/.git",
                  run_locks);
  add_path(*locks, invocation, kPathBelow, PathUse::optional);
  add_filters(*locks, invocation);
  CLI::Option* state =
      locks->add_option("--state", invocation.request.filter.state, "Only in this state")
          ->type_name("STATE")
          ->check(one_of({"held", "orphan", "uncertain"}));
  locks->add_flag("--orphans", invocation.orphans, "Only those whose owner is gone")
      ->excludes(state);
  add_sort(*locks, invocation, "Oldest, or soonest to be reclaimed first",
           {std::string(sort_by::kAge), std::string(sort_by::kReclaim)});
  add_limit(*locks, invocation, "At most N locks; 0 for all");
}

void add_events(CLI::App& app, Invocation& invocation) {
  CLI::App* events =
      add_command(app, invocation, "events", "What was removed and why, and what else happened",
                  "  ebbctl events                       the newest 20\n"
                  "  ebbctl events --since 24h --kind expired\n"
                  "  ebbctl events --follow              goes on as they happen\n"
                  "  ebbctl events --follow --json       one object a line\n"
                  "--follow begins with what is there (--limit 0 --since 1s: with next to\n"
                  "nothing) and goes on until Ctrl-C, or until nobody reads.",
                  run_events);
  add_path(*events, invocation, kPathBelow, PathUse::optional);
  CLI::Option* limit = add_limit(*events, invocation, "The newest N; 0 for all");
  CLI::Option* since =
      add_duration(*events, "--since", invocation.request.since, "Not older than this");
  events->add_option("--kind", invocation.request.filter.kind, "Only expired, reclaimed, ...")
      ->type_name("KIND");
  events->add_flag("--follow,-f", invocation.follow, "Wait for more");
  events->parse_complete_callback([&invocation, limit, since] {
    if (limit->empty() && since->empty()) invocation.request.limit = kEventsShown;
  });
}

}  // namespace

void add_query_commands(CLI::App& app, Invocation& invocation) {
  CLI::App* status =
      add_command(app, invocation, "status", "One screen: enforcing or not, usage, what is next",
                  "  ebbctl status\n"
                  "  ebbctl status /mnt/ebs --json | jq .enforcing",
                  run_status);
  add_path(*status, invocation, "A path on the mount to ask", PathUse::optional);
  add_units(app, invocation);
  add_locks(app, invocation);
  CLI::App* show =
      add_command(app, invocation, "show", "What a path is, when it goes, and why not yet",
                  "  ebbctl show .\n"
                  "  ebbctl show /mnt/ebs/worktrees/job-17\n"
                  "  ebbctl show locks/deploy.lock       as printed by ebbctl locks\n"
                  "A symbolic link on the mount is shown itself; write LINK/ to follow it.",
                  run_show);
  add_path(*show, invocation, "What to show", PathUse::required);
  add_events(app, invocation);
}

}  // namespace ebbfs
