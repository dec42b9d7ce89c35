// SPDX-License-Identifier: Apache-2.0
#include "tools/ebbctl_command.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "policy/limits.h"
#include "policy/words.h"
#include "tools/control_client.h"

namespace ebbfs {

CLI::App* add_command(CLI::App& parent, Invocation& invocation, const std::string& name,
                      const std::string& about, const std::string& examples, Run run) {
  CLI::App* command = parent.add_subcommand(name, about);
  command->add_flag("--json", invocation.json, "Print JSON, errors as {\"error\": ...} too");
  command->add_option("--mount", invocation.place.mount, "The mount to ask")->type_name("DIR");
  command->footer("Examples:\n" + examples);
  command->callback([&invocation, run] { invocation.run = run; });
  return command;
}

void add_dry_run(CLI::App& command, Invocation& invocation) {
  command.add_flag("--dry-run", invocation.request.dry_run,
                   "Say what would happen, change nothing");
}

void add_path(CLI::App& command, Invocation& invocation, const std::string& about, PathUse use) {
  CLI::Option* path = command.add_option("PATH", invocation.place.path, about)->type_name("");
  if (use == PathUse::required) path->required();
}

CLI::Validator whole_number_check() {
  const auto check = [](const std::string& text) {
    std::uint64_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data(), end, number);
    if (error == std::errc{} && at == end) return std::string();
    return "expected a number from 0 upwards, got " + ebbfs::quoted(text);
  };
  return {check, ""};
}

CLI::Validator one_of(const std::vector<std::string>& words) {
  const auto check = [words](const std::string& text) {
    if (std::ranges::find(words, text) != words.end()) return std::string();
    return fmt::format("expected one of {}, got {}{}", fmt::join(words, ", "), ebbfs::quoted(text),
                       did_you_mean(text, words));
  };
  return {check, fmt::format("{{{}}}", fmt::join(words, ","))};
}

Duration duration_of_option(const std::string& option, const std::string& text) {
  const auto duration = parse_duration(text);
  if (!duration || *duration == kNoLimit) {
    throw CLI::ValidationError(
        option, "expected a duration such as 30s, 5m, 24h or 7d, got " + ebbfs::quoted(text));
  }
  return *duration;
}

CLI::Option* add_duration(CLI::App& command, const std::string& name, std::optional<Duration>& into,
                          const std::string& about) {
  return command
      .add_option_function<std::string>(
          name, [name, &into](const std::string& text) { into = duration_of_option(name, text); },
          about)
      ->type_name("DURATION");
}

ControlReply ask_mount(Invocation& invocation) {
  auto target = find_target(invocation.place, this_host());
  if (!target) return target.error();
  invocation.request.path = target->path;
  return ask(target->mount, invocation.request);
}

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

void print_detail(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); }

void print_json(const nlohmann::json& object, Form form) {
  const int indent = form == Form::spread ? 2 : -1;
  print(object.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

int print_error(bool json, const ControlReply& reply, Form form) {
  if (json) {
    nlohmann::json object = reply.body.is_object() ? reply.body : nlohmann::json::object();
    object["error"] = reply.error;
    print_json(object, form);
  } else {
    print_detail("ebbctl: " + plain(reply.error) + "\n");
  }
  return reply.exit_code;
}

}  // namespace ebbfs
