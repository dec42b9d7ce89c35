// SPDX-License-Identifier: Apache-2.0
//
// The commands about the policy: policy show, policy check, policy reload. Checking needs no mount.
#include <cstring>

#include "policy/limits.h"
#include "tools/control_client.h"
#include "tools/ebbctl_command.h"

namespace ebbfs {
namespace {

int show_policy(Invocation& invocation, const Style& style) {
  return run_request<PolicyView>(invocation, style, command::kPolicyShow);
}

int reload_policy(Invocation& invocation, const Style& style) {
  invocation.request.command = command::kPolicyReload;
  const ControlReply reply = ask_mount(invocation);
  const auto policy = from_json<PolicyView>(reply.body);
  if (invocation.json || reply.exit_code != kExitDone || !policy) {
    return print_reply<PolicyView>(invocation, style, reply);
  }
  print(render_reloaded(*policy, style));
  return kExitDone;
}

ControlReply check(const std::string& file) {
  const auto text = read_file(file);
  if (!text) return refused(file + ": " + std::strerror(code(text.error())));
  CheckView view;
  view.file = file;
  const auto policy = parse_policy(*text, file);
  if (!policy) {
    const PolicyError& error = policy.error();
    view.line = error.line;
    view.column = error.column;
    view.reason = error.what;
    ControlReply reply = refused(error.message());
    reply.body = to_json(view);
    return reply;
  }
  view.valid = true;
  view.policy = view_of(*policy, to_toml(*policy));
  return done(to_json(view));
}

int check_policy(Invocation& invocation, const Style& style) {
  const ControlReply reply = check(invocation.file);
  if (reply.exit_code != kExitDone) return print_error(invocation.json, reply);
  return print_reply<CheckView>(invocation, style, reply);
}

}  // namespace

void add_policy_commands(CLI::App& app, Invocation& invocation) {
  CLI::App* policy = app.add_subcommand("policy", "Show, check or reload the policy");
  policy->require_subcommand(1);
  CLI::App* show = add_command(*policy, invocation, "show", "The policy in force, as TOML",
                               "  ebbctl policy show > /etc/ebbfs/policy.toml", show_policy);
  add_path(*show, invocation, "A path on the mount to ask", PathUse::optional);
  CLI::App* check_file = add_command(
      *policy, invocation, "check", "Check a policy file; needs no mount",
      "  ebbctl policy check /etc/ebbfs/policy.toml && ebbctl policy reload", check_policy);
  check_file->add_option("FILE", invocation.file, "The policy file")->type_name("")->required();
  CLI::App* reload = add_command(*policy, invocation, "reload",
                                 "Read the file again; a broken one changes nothing",
                                 "  ebbctl policy reload", reload_policy);
  add_path(*reload, invocation, "A path on the mount to ask", PathUse::optional);
}

}  // namespace ebbfs
