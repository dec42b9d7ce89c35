// SPDX-License-Identifier: Apache-2.0
//
// ebbctl: asks a mounted ebbfs and tells people, or scripts with --json.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstring>
#include <string_view>

#include "tools/ebbctl_command.h"
#include "tools/terminal.h"

namespace {

using ebbfs::ControlReply;

constexpr const char* kFooter =
    "The mount is found from PATH, else from the working directory, else it is the\n"
    "only one on the host. A relative PATH that leads to nothing here is taken from\n"
    "the root of the volume, as the lists print it.\n"
    "Exit codes: 0 done, 1 refused or not found, 2 usage, 3 no mount.\n"
    "`ebbctl help COMMAND` has examples.";

// Wanted before parsing has succeeded, for errors of usage.
bool wants_json(int argc, char** argv) {
  for (int i = 1; i < argc && std::string_view(argv[i]) != "--"; ++i) {
    if (std::string_view(argv[i]) == "--json") return true;
  }
  return false;
}

void describe(CLI::App& app, ebbfs::Invocation& invocation) {
  app.name("ebbctl");
  app.footer(kFooter);
  app.require_subcommand(1);
  app.set_version_flag("-V,--version", fmt::format("ebbctl {} (control protocol {})", EBBFS_VERSION,
                                                   ebbfs::kControlVersion));
  app.add_flag("--json", invocation.json, "As with each command");
  app.add_option("--mount", invocation.place.mount, "As with each command")->type_name("DIR");
  ebbfs::add_query_commands(app, invocation);
  ebbfs::add_explain_commands(app, invocation);
  ebbfs::add_trace_commands(app, invocation);
  ebbfs::add_report_commands(app, invocation);
  ebbfs::add_top_commands(app, invocation);
  ebbfs::add_change_commands(app, invocation);
  ebbfs::add_trash_commands(app, invocation);
  ebbfs::add_quota_commands(app, invocation);
  ebbfs::add_check_commands(app, invocation);
  ebbfs::add_policy_commands(app, invocation);
  ebbfs::add_help_command(app, invocation);
}

// Output that did not arrive is a failure (disk full), whatever the command said.
int closed(int exit_code) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return exit_code;
  return ebbfs::print_error(
      false, ebbfs::refused(fmt::format("standard output: {}", std::strerror(errno))));
}

int run(int argc, char** argv) {
  CLI::App app("Asks a mounted ebbfs what fills it, what will go, when, and why not");
  ebbfs::Invocation invocation;
  describe(app, invocation);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    return ebbfs::print_error(wants_json(argc, argv), ebbfs::usage_error(app, error));
  }
  return invocation.run(invocation, ebbfs::standard_output());
}

}  // namespace

int main(int argc, char** argv) {
  // Whoever started us may ignore it, and then `ebbctl units | head` would complain.
  std::signal(SIGPIPE, SIG_DFL);
  try {
    return closed(run(argc, argv));
  } catch (const std::exception& error) {
    return ebbfs::print_error(false, ebbfs::refused(error.what()));
  }
}
