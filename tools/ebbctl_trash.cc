// SPDX-License-Identifier: Apache-2.0
//
// The commands about what was removed: trash list, trash empty, restore; and resume.
#include "tools/control_client.h"
#include "tools/ebbctl_command.h"

namespace ebbfs {
namespace {

int run_list(Invocation& invocation, const Style& style) {
  return run_request<TrashView>(invocation, style, command::kTrashList);
}

int run_empty(Invocation& invocation, const Style& style) {
  return run_request<TrashView>(invocation, style, command::kTrashEmpty);
}

int run_resume(Invocation& invocation, const Style& style) {
  return run_request<ResumeView>(invocation, style, command::kResume);
}

int run_restore(Invocation& invocation, const Style& style) {
  if (!invocation.place.path && !invocation.request.trash_id) {
    return print_error(invocation.json,
                       misused("name what to restore by its path, or by --id (see --help)"));
  }
  if (!invocation.to.empty()) {
    // Another path on the same mount.
    Place place = invocation.place;
    if (!place.path) place.path = invocation.to;
    const auto from = find_target(place, this_host());
    if (!from) return print_error(invocation.json, from.error());
    const auto to = find_target({invocation.place.mount, invocation.to}, this_host());
    if (!to) return print_error(invocation.json, to.error());
    if (to->mount != from->mount) {
      return print_error(invocation.json, refused("--to must lie on the same mount"));
    }
    if (to->path.empty()) return print_error(invocation.json, misused("--to names the mount"));
    invocation.request.to = to->path;
  }
  return run_request<RestoreView>(invocation, style, command::kRestore);
}

void add_restore(CLI::App& parent, Invocation& invocation) {
  CLI::App* restore =
      add_command(parent, invocation, "restore", "Put a removed unit back from the trash",
                  "  ebbctl restore worktrees/job-17           where it was, used just now\n"
                  "  ebbctl restore worktrees/job-17 --to worktrees/job-17-old\n"
                  "  ebbctl restore --id 42                    that entry of `ebbctl trash list`\n"
                  "  ebbctl restore worktrees/job-17 --dry-run\n"
                  "Of several entries of one path the newest is taken. A git worktree gets its\n"
                  "entry in the repository back, also under another name.",
                  run_restore);
  add_path(*restore, invocation, "Where it was", PathUse::optional);
  restore->add_option("--to", invocation.to, "Another place, on the same mount")->type_name("PATH");
  restore->add_option("--id", invocation.request.trash_id, "The entry of this number")
      ->type_name("N")
      ->check(whole_number_check());
  add_dry_run(*restore, invocation);
}

}  // namespace

void add_trash_commands(CLI::App& app, Invocation& invocation) {
  CLI::App* trash = app.add_subcommand("trash", "List, restore or delete what was removed");
  trash->require_subcommand(1);
  CLI::App* list = add_command(*trash, invocation, "list", "What can be restored, and until when",
                               "  ebbctl trash list                   the newest first\n"
                               "  ebbctl trash list --user alice\n"
                               "  ebbctl trash list --json | jq '.items[] | {id, path}'",
                               run_list);
  add_path(*list, invocation, "What was at or below PATH; also names the mount", PathUse::optional);
  list->add_option("--user", invocation.request.filter.user, "Only of this owner, name or uid")
      ->type_name("USER");
  add_restore(*trash, invocation);
  CLI::App* empty =
      add_command(*trash, invocation, "empty", "Delete it for good, in the background",
                  "  ebbctl trash empty --dry-run        what would go\n"
                  "  ebbctl trash empty --older 30m      what was removed longer ago\n"
                  "  ebbctl trash empty worktrees/job-17",
                  run_empty);
  add_path(*empty, invocation, "What was at or below PATH; also names the mount",
           PathUse::optional);
  empty->add_option("--user", invocation.request.filter.user, "Only of this owner, name or uid")
      ->type_name("USER");
  add_duration(*empty, "--older", invocation.request.older, "Only what was removed longer ago");
  add_dry_run(*empty, invocation);

  add_restore(app, invocation);
  CLI::App* resume =
      add_command(app, invocation, "resume", "Let go what the brake holds: units go again",
                  "  ebbctl status                       says why it holds\n"
                  "  ebbctl units --state due            what will go\n"
                  "  ebbctl resume",
                  run_resume);
  add_path(*resume, invocation, "A path on the mount to ask", PathUse::optional);
  add_dry_run(*resume, invocation);
}

}  // namespace ebbfs
