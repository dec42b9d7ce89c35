// SPDX-License-Identifier: Apache-2.0
//
// The commands that change one unit or lock: pin, unpin, expire.
#include "tools/ebbctl_command.h"

namespace ebbfs {
namespace {

int run_pin(Invocation& invocation, const Style& style) {
  return run_request<ChangeView>(invocation, style, command::kPin);
}

int run_unpin(Invocation& invocation, const Style& style) {
  return run_request<ChangeView>(invocation, style, command::kUnpin);
}

int run_expire(Invocation& invocation, const Style& style) {
  return run_request<ChangeView>(invocation, style, command::kExpire);
}

}  // namespace

void add_change_commands(CLI::App& app, Invocation& invocation) {
  CLI::App* pin =
      add_command(app, invocation, "pin", "Keep a unit until it is unpinned",
                  "  ebbctl pin worktrees/job-17\n"
                  "  ebbctl pin .                        the unit of the working directory",
                  run_pin);
  add_path(*pin, invocation, "The unit, or anything in it", PathUse::required);
  add_dry_run(*pin, invocation);
  CLI::App* unpin = add_command(app, invocation, "unpin", "Let a pinned unit expire again",
                                "  ebbctl unpin worktrees/job-17", run_unpin);
  add_path(*unpin, invocation, "The unit, or anything in it", PathUse::required);
  add_dry_run(*unpin, invocation);
  CLI::App* expire =
      add_command(app, invocation, "expire", "Remove a unit now that nothing holds",
                  "  ebbctl expire worktrees/job-17 --dry-run   what holds it, what would go\n"
                  "  ebbctl expire worktrees/job-17",
                  run_expire);
  add_path(*expire, invocation, "The unit itself", PathUse::required);
  add_dry_run(*expire, invocation);
}

}  // namespace ebbfs
