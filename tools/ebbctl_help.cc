// SPDX-License-Identifier: Apache-2.0
//
// ebbctl help, and what is wrong with a command line.
#include <fmt/format.h>

#include "policy/words.h"
#include "tools/control_client.h"
#include "tools/ebbctl_command.h"

namespace ebbfs {
namespace {

// The innermost command that was named.
const CLI::App& named(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? app : named(*chosen.front());
}

// As it is typed.
std::string command_line(const CLI::App& app) {
  const CLI::App* const parent = app.get_parent();
  return (parent == nullptr ? "" : command_line(*parent) + " ") + app.get_name();
}

std::vector<std::string> commands_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(command->get_name());
  }
  return names;
}

std::string no_command(const CLI::App& app, const std::string& word) {
  const std::string who = app.get_parent() == nullptr ? "" : app.get_name() + ": ";
  return who + "no command " + ebbfs::quoted(word) + did_you_mean(word, commands_of(app));
}

std::string no_option(const CLI::App& app, const std::string& word) {
  const std::string name = word.substr(0, word.find('='));
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& known : option->get_lnames()) names.push_back("--" + known);
  }
  return "no option " + ebbfs::quoted(name) + did_you_mean(name, names);
}

std::string see_help(const CLI::App& app) {
  return fmt::format(" (see: {} --help)", command_line(app));
}

// About the first word that none of the commands from `app` on has a use for.
std::optional<std::string> not_taken(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  for (const std::string& word : app.remaining()) {
    if (word == "--") continue;
    std::string text = "there is no use for " + ebbfs::quoted(word);
    if (word.size() > 1 && word.starts_with('-')) {
      text = no_option(app, word);
    } else if (chosen.empty() && !commands_of(app).empty()) {
      text = no_command(app, word);
    }
    return text + see_help(app);
  }
  return chosen.empty() ? std::nullopt : not_taken(*chosen.front());
}

// What the parser says of an option or operand, in our words where it has others.
std::string in_our_words(const std::string& said) {
  const auto has = [&said](std::string_view part) { return said.find(part) != std::string::npos; };
  const std::string name = said.substr(0, said.find(": "));
  if (has(" required but received ")) return name + ": given more than once";
  if (has(" required ") && said.ends_with(" missing")) return name + ": expected a value";
  if (said.starts_with("Could not convert: ")) {
    const std::string left = said.substr(said.find(": ") + 2);
    const std::size_t at = left.find(" = ");
    return left.substr(0, at) + ": there is no use for " + ebbfs::quoted(left.substr(at + 3));
  }
  if (const std::size_t at = said.find(" excludes "); at != std::string::npos) {
    return said.substr(0, at) + " does not go with " + said.substr(said.rfind(' ') + 1);
  }
  return said;
}

std::string what_is_wrong(const CLI::App& app, const CLI::ParseError& error) {
  const auto code = static_cast<CLI::ExitCodes>(error.get_exit_code());
  const std::string where = see_help(named(app));
  if (code == CLI::ExitCodes::ExtrasError || code == CLI::ExitCodes::RequiredError) {
    if (auto text = not_taken(app)) return *std::move(text);
    if (!commands_of(named(app)).empty()) return "a command is required" + where;
  }
  // Of a value we have said it ourselves.
  if (code == CLI::ExitCodes::ValidationError) return error.what() + where;
  return in_our_words(error.what()) + where;
}

int print_help(const CLI::App& app, const std::vector<std::string>& words, bool json) {
  const CLI::App* command = &app;
  for (const std::string& word : words) {
    const auto below =
        command->get_subcommands([&word](const CLI::App* one) { return one->get_name() == word; });
    if (below.empty()) {
      return print_error(json, misused(no_command(*command, word) + see_help(*command)));
    }
    command = below.front();
  }
  // Not its help(), which is that of the command that was chosen: this one.
  print(command->get_formatter()->make_help(command, command_line(*command),
                                            CLI::AppFormatMode::Normal));
  return kExitDone;
}

}  // namespace

ControlReply usage_error(const CLI::App& app, const CLI::ParseError& error) {
  return misused(what_is_wrong(app, error));
}

void add_help_command(CLI::App& app, Invocation& invocation) {
  CLI::App* help = app.add_subcommand("help", "What a command does, with examples");
  help->add_option("COMMAND", invocation.words, "Such as units, or quota set")->type_name("");
  help->footer("Examples:\n  ebbctl help\n  ebbctl help quota set");
  help->callback([&app, &invocation] {
    invocation.run = [&app](Invocation& asked, const Style& /*style*/) {
      return print_help(app, asked.words, asked.json);
    };
  });
}

}  // namespace ebbfs
