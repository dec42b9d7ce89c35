// SPDX-License-Identifier: Apache-2.0
//
// What the commands of ebbctl have in common: the command line as values, the way to the daemon,
// and the two forms of output. A command prints its answer on standard output and an error on
// standard error, or with --json both as one JSON object on standard output. Single-threaded.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdio>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fs/control_protocol.h"
#include "tools/mount_finder.h"
#include "tools/render_views.h"

namespace ebbfs {

// The command line. CLI11 fills it while parsing and sets `run` to the command chosen.
struct Invocation {
  bool json = false;
  Place place;
  ControlRequest request;
  bool follow = false;                                // events
  bool orphans = false;                               // locks
  bool all = false;                                   // quota list
  bool once = false;                                  // top
  Duration interval{};                                // top
  std::string file;                                   // policy check, report
  std::string to;                                     // restore
  std::vector<std::string> words;                     // help
  std::function<int(Invocation&, const Style&)> run;  // returns the exit code
};

using Run = int (*)(Invocation&, const Style&);

// A command of `parent` with --json and --mount, run as `run`. `examples`: lines below the help.
CLI::App* add_command(CLI::App& parent, Invocation& invocation, const std::string& name,
                      const std::string& about, const std::string& examples, Run run);

enum class PathUse { optional, required };
void add_path(CLI::App& command, Invocation& invocation, const std::string& about, PathUse use);
void add_dry_run(CLI::App& command, Invocation& invocation);

// Each adds its group of commands.
void add_query_commands(CLI::App& app, Invocation& invocation);    // status units locks show events
void add_explain_commands(CLI::App& app, Invocation& invocation);  // explain
void add_trace_commands(CLI::App& app, Invocation& invocation);    // trace
void add_report_commands(CLI::App& app, Invocation& invocation);   // report
void add_top_commands(CLI::App& app, Invocation& invocation);      // top
void add_change_commands(CLI::App& app, Invocation& invocation);   // pin unpin expire
void add_quota_commands(CLI::App& app, Invocation& invocation);    // quota list|show|set...
void add_check_commands(CLI::App& app, Invocation& invocation);    // check
void add_trash_commands(CLI::App& app, Invocation& invocation);    // trash restore resume
void add_policy_commands(CLI::App& app, Invocation& invocation);   // policy show|check|reload
void add_help_command(CLI::App& app, Invocation& invocation);      // help

// What is wrong with a command line that `app` has refused with `error`, and where to read on.
[[nodiscard]] ControlReply usage_error(const CLI::App& app, const CLI::ParseError& error);

// Finds the mount and asks it; `request.path` is set on the way.
[[nodiscard]] ControlReply ask_mount(Invocation& invocation);

// Prints `reply`, whose body is a View, and returns the exit code.
template <typename View>
int print_reply(const Invocation& invocation, const Style& style, const ControlReply& reply);

// For check() of an option: a number, zero or more; one of `words`, which help and completion show.
[[nodiscard]] CLI::Validator whole_number_check();
[[nodiscard]] CLI::Validator one_of(const std::vector<std::string>& words);

// Whole duration as in a policy ("30s", "7d"); anything else is refused while parsing.
[[nodiscard]] Duration duration_of_option(const std::string& option, const std::string& text);
// The option `name` of `command`, such a duration, which goes into `into`.
CLI::Option* add_duration(CLI::App& command, const std::string& name, std::optional<Duration>& into,
                          const std::string& about);

// The usual command: asks `name` and prints.
template <typename View>
int run_request(Invocation& invocation, const Style& style, std::string_view name) {
  invocation.request.command = name;
  return print_reply<View>(invocation, style, ask_mount(invocation));
}

// Writes to standard output; a failure shows when it is closed.
void print(std::string_view text);
// Writes to standard error.
void print_detail(std::string_view text);
// Writes `object` to standard output over several lines, or as one of a stream of them.
enum class Form { spread, line };
void print_json(const nlohmann::json& object, Form form = Form::spread);
// As an object with "error" beside what the body holds, or as a line on standard error. Returns the
// exit code.
int print_error(bool json, const ControlReply& reply, Form form = Form::spread);

template <typename View>
int print_reply(const Invocation& invocation, const Style& style, const ControlReply& reply) {
  const auto view = from_json<View>(reply.body);
  if (reply.exit_code != kExitDone) {
    const int exit_code = print_error(invocation.json, reply);
    // A refusal may come with its reasons.
    if (view && !invocation.json)
      print_detail(render(*view, style, std::chrono::system_clock::now()));
    return exit_code;
  }
  if (invocation.json) {
    print_json(reply.body);
    return kExitDone;
  }
  if (!view) {
    return print_error(false, refused("the daemon's answer is not understood: it is of another "
                                      "version than this ebbctl; --json shows it"));
  }
  print(render(*view, style, std::chrono::system_clock::now()));
  return kExitDone;
}

}  // namespace ebbfs
