// SPDX-License-Identifier: Apache-2.0
//
// The policy file, table by table. All complaints are gathered and the first in the file reported,
// so that fixing goes from top to bottom.
#include <algorithm>

#include "policy/automaton.h"
#include "policy/classifier.h"
#include "policy/hook.h"
#include "policy/toml_parse.h"
#include "policy/toml_reader.h"
#include "policy/words.h"

namespace ebbfs {
namespace {

using Complaints = std::vector<Complaint>;

constexpr std::string_view kCommandForm =
    R"(an array of words such as ["/usr/bin/logger", "{path}"])";
constexpr std::string_view kGlobsForm = R"(an array of globs such as ["worktrees/*"])";

// A class and where its parts stand.
struct PlacedClass {
  ClassRule rule;
  FilePlace name;
  std::vector<FilePlace> globs;  // as rule.match
};

bool is_class_name(std::string_view name) {
  return std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
  });
}

void read_volume(const toml::table& table, VolumeRule& volume, Complaints& complaints) {
  TableReader reader(table, complaints);
  const std::size_t before = complaints.size();
  reader.read("high", volume.high);
  reader.read("low", volume.low);
  reader.read("reserve", volume.reserve);
  reader.read("trash_retention", volume.trash_retention, {.zero = true, .none = true});
  reader.read("adopt_grace", volume.adopt_grace, {.zero = true});
  reader.read("brake_units", volume.brake_units);
  reader.read_percent("brake_percent", volume.brake_percent);
  reader.finish();
  if (complaints.size() != before) return;

  // Said of the one that stands there; the other may be the default.
  const std::string_view key = reader.has("low") ? "low" : "high";
  if (volume.high.bytes.has_value() != volume.low.bytes.has_value()) {
    reader.complain(reader.place_of(key), key, "high and low both in percent or both as sizes",
                    reader.found(key));
  } else if (volume.low.fraction >= volume.high.fraction && volume.low.bytes >= volume.high.bytes) {
    reader.complain(reader.place_of(key), key,
                    key == "low" ? "less than high" : "more than low, which is 75% by default",
                    reader.found(key));
  }
}

void read_tree_limits(TableReader& reader, ClassRule& rule) {
  rule.keep = kDefaultKeep;
  reader.read("ttl", rule.ttl, {.none = true});
  reader.read("keep", rule.keep, {.zero = true, .none = true});
  reader.read("max_age", rule.max_age, {.none = true});
  constexpr std::string_view kExpected = "it in a class of kind \"lock\" only";
  reader.misplaced("owner", kExpected);
  reader.misplaced("orphan_grace", kExpected);
}

void read_lock_limits(TableReader& reader, ClassRule& rule) {
  rule.ttl = kDefaultLockTtl;
  reader.read("ttl", rule.ttl, {.none = true});
  reader.read("orphan_grace", rule.orphan_grace, {.zero = true});
  if (const auto word = reader.read_word("owner", {"process", "cgroup"})) {
    rule.owner = *word == 0 ? OwnerMode::process : OwnerMode::cgroup;
  }
  constexpr std::string_view kExpected = "it in a class of kind \"tree\" only";
  reader.misplaced("keep", kExpected);
  reader.misplaced("max_age", kExpected);
}

PlacedClass read_class(const toml::table& table, Complaints& complaints) {
  TableReader reader(table, complaints);
  PlacedClass placed;
  ClassRule& rule = placed.rule;
  if (auto name = reader.required_string("name", "a name")) {
    placed.name = name->place;
    rule.name = std::move(name->text);
    if (!is_class_name(rule.name)) {
      reader.complain(placed.name, "name", "letters, digits, '_', '.' and '-'", quoted(rule.name));
    }
  }
  const auto kind = reader.read_word("kind", {"tree", "lock"});
  if (!reader.has("kind")) {
    reader.complain(reader.place(), "kind", "\"tree\" or \"lock\"", "nothing");
  }
  std::vector<PlacedString> globs = reader.required_strings("match", kGlobsForm);
  if (kind) {
    rule.kind = *kind == 0 ? ClassKind::tree : ClassKind::lock;
    if (rule.kind == ClassKind::tree) {
      read_tree_limits(reader, rule);
    } else {
      read_lock_limits(reader, rule);
    }
    reader.finish();
  }
  for (PlacedString& glob : globs) {
    if (const auto wrong = check_glob(glob.text, kind ? rule.kind : ClassKind::lock)) {
      reader.complain(glob.place, "match", "a glob", quoted(glob.text) + ": " + *wrong);
    }
    rule.match.push_back(std::move(glob.text));
    placed.globs.push_back(glob.place);
  }
  return placed;
}

void check_overlap(const PlacedClass& earlier, const PlacedClass& later, Complaints& complaints) {
  for (std::size_t i = 0; i < later.rule.match.size(); ++i) {
    for (const std::string& other : earlier.rule.match) {
      const auto path = overlap(later.rule.match[i], other);
      if (!path) continue;
      complaints.push_back(
          {later.globs[i],
           "match: expected globs that match nothing that another class of the same "
           "kind does, got " +
               quoted(later.rule.match[i]) + ", which matches " + quoted(*path) + " as " +
               quoted(other) + " of class " + quoted(earlier.rule.name) + " does"});
      return;
    }
  }
}

// What can only be said of classes that are each in order.
void check_classes(const std::vector<PlacedClass>& classes, Complaints& complaints) {
  for (std::size_t i = 0; i < classes.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (classes[i].rule.name == classes[j].rule.name) {
        complaints.push_back({classes[i].name, "name: expected one that no other class has, got " +
                                                   quoted(classes[i].rule.name) + " again"});
      }
      if (classes[i].rule.kind == classes[j].rule.kind) {
        check_overlap(classes[j], classes[i], complaints);
      }
    }
  }
}

// Empty when `scope` is well formed, else what was expected and what was found.
std::string check_scope(std::string_view scope, const std::vector<ClassRule>& classes) {
  if (scope == "volume") return {};
  const std::size_t colon = scope.find(':');
  const std::string_view kind = scope.substr(0, colon);
  const std::string_view name = colon == std::string_view::npos ? "" : scope.substr(colon + 1);
  const std::string got = ", got " + quoted(scope);
  const std::vector<std::string> kinds{"class", "unit", "user", "group", "job"};
  if (name.empty() || std::ranges::find(kinds, kind) == kinds.end()) {
    return "volume, class:NAME, unit:GLOB, user:NAME, group:NAME or job:NAME" + got +
           did_you_mean(kind, {"volume", "class", "unit", "user", "group", "job"});
  }
  if (name == "*") return {};
  if (kind == "unit") {
    const auto wrong = check_glob(name, ClassKind::tree);
    return wrong ? "a glob after unit:" + got + ": " + *wrong : "";
  }
  if (name.find_first_of("*?/") != std::string_view::npos) {
    return "one name, or * alone for the default of each" + got;
  }
  if (kind != "class" || std::ranges::find(classes, name, &ClassRule::name) != classes.end()) {
    return {};
  }
  std::vector<std::string> names;
  names.reserve(classes.size());
  for (const ClassRule& rule : classes) names.push_back(rule.name);
  return "the name of a class after class:" + got + did_you_mean(name, names);
}

template <typename Limit>
void check_soft(TableReader& reader, std::string_view key, const std::optional<Limit>& soft,
                const std::optional<Limit>& hard) {
  if (soft && hard && *soft > *hard) {
    reader.complain(reader.place_of(key), key, "at most the hard limit", reader.found(key));
  }
}

void read_quota(const toml::table& table, Policy& policy, Complaints& complaints) {
  TableReader reader(table, complaints);
  QuotaRule quota;
  const auto scope = reader.required_string("scope", "a scope such as user:*");
  reader.read("bytes", quota.bytes);
  reader.read("soft_bytes", quota.soft_bytes);
  reader.read("inodes", quota.inodes);
  reader.read("soft_inodes", quota.soft_inodes);
  reader.read("grace", quota.grace, {.zero = true, .none = true});
  reader.finish();
  check_soft(reader, "soft_bytes", quota.soft_bytes, quota.bytes);
  check_soft(reader, "soft_inodes", quota.soft_inodes, quota.inodes);
  if (!reader.has("bytes") && !reader.has("soft_bytes") && !reader.has("inodes") &&
      !reader.has("soft_inodes")) {
    reader.complain(reader.place(), "bytes", "a limit on bytes or inodes, or none", "nothing");
  }
  if (!scope) return;
  const std::string wrong = check_scope(scope->text, policy.classes);
  if (!wrong.empty()) complaints.push_back({scope->place, "scope: expected " + wrong});
  if (std::ranges::find(policy.quotas, scope->text, &QuotaRule::scope) != policy.quotas.end()) {
    reader.complain(scope->place, "scope", "one that no other quota has",
                    quoted(scope->text) + " again");
  }
  quota.scope = scope->text;
  policy.quotas.push_back(std::move(quota));
}

void check_command(TableReader& reader, const std::vector<PlacedString>& words) {
  for (const PlacedString& word : words) {
    if (const auto wrong = unknown_hook_part(word.text)) {
      std::vector<std::string> known;
      for (const std::string_view part : kHookParts) known.push_back("{" + std::string(part) + "}");
      reader.complain(word.place, "command", "{path}, {repo}, {job} or {class} between braces",
                      quoted(*wrong) + did_you_mean(*wrong, known));
    }
    if (word.text.find('\0') != std::string::npos) {
      reader.complain(word.place, "command", "words without NUL", quoted(word.text));
    }
  }
  if (words.empty()) return;
  const PlacedString& program = words.front();
  if (!program.text.starts_with('/') || program.text.contains('{')) {
    reader.complain(program.place, "command", "an absolute path first", quoted(program.text));
  }
}

// A name of a class that can have the event, or none.
void read_hook_class(TableReader& reader, HookRule& hook, const std::vector<ClassRule>& classes) {
  if (!reader.has("class")) return;
  const auto name = reader.required_string("class", "the name of a class");
  if (!name) return;
  hook.class_name = name->text;
  const auto found = std::ranges::find(classes, name->text, &ClassRule::name);
  if (found == classes.end()) {
    std::vector<std::string> names;
    for (const ClassRule& rule : classes) names.push_back(rule.name);
    reader.complain(name->place, "class", "the name of a class",
                    quoted(name->text) + did_you_mean(name->text, names));
    return;
  }
  const bool of_locks = hook.on == HookRule::On::reclaimed;
  if ((found->kind == ClassKind::lock) == of_locks) return;
  reader.complain(name->place, "class",
                  of_locks ? "a class of kind \"lock\" with on = \"reclaimed\""
                           : "a class of kind \"tree\" with on = " + quoted(to_string(hook.on)),
                  quoted(name->text));
}

void read_hook(const toml::table& table, Policy& policy, Complaints& complaints) {
  TableReader reader(table, complaints);
  HookRule hook;
  const auto on = reader.read_word("on", {"reclaimed", "expired", "idle"});
  if (on) hook.on = static_cast<HookRule::On>(*on);
  if (!reader.has("on")) {
    reader.complain(reader.place(), "on", R"("reclaimed" or "expired" or "idle")", "nothing");
  }
  const std::vector<PlacedString> words = reader.required_strings("command", kCommandForm);
  check_command(reader, words);
  for (const PlacedString& word : words) hook.command.push_back(word.text);
  if (auto user = reader.required_string("user", "the name of a user, or a uid")) {
    hook.user = std::move(user->text);
  }
  read_hook_class(reader, hook, policy.classes);
  if (hook.on == HookRule::On::idle) {
    reader.read("after", hook.after, {});
    if (on && !reader.has("after")) {
      reader.complain(reader.place(), "after", "a duration such as 30m", "nothing");
    }
  } else {
    reader.misplaced("after", "it with on = \"idle\" only");
  }
  reader.read("timeout", hook.timeout, {});
  if (hook.timeout > kHookTimeoutMax) {
    reader.complain(reader.place_of("timeout"), "timeout", "24h at most", reader.found("timeout"));
  }
  reader.read("parallel", hook.parallel);
  if (hook.parallel < 1 || hook.parallel > kHooksAtOnceMax) {
    reader.complain(reader.place_of("parallel"), "parallel",
                    "a number from 1 to " + std::to_string(kHooksAtOnceMax),
                    reader.found("parallel"));
  }
  reader.finish();
  policy.hooks.push_back(std::move(hook));
}

void read_classes(const std::vector<const toml::table*>& tables, Policy& policy,
                  Complaints& complaints) {
  std::vector<PlacedClass> classes;
  classes.reserve(tables.size());
  for (const toml::table* table : tables) classes.push_back(read_class(*table, complaints));
  if (complaints.empty()) check_classes(classes, complaints);
  policy.classes.clear();
  for (PlacedClass& placed : classes) policy.classes.push_back(std::move(placed.rule));
  if (!complaints.empty()) return;
  if (const auto built = Automaton::build(policy); !built) {
    complaints.push_back(
        {classes.front().globs.front(), "match: expected fewer, got too many: " + built.error()});
  }
}

Policy read_policy(const toml::table& root, Complaints& complaints) {
  Policy policy = default_policy();
  TableReader reader(root, complaints);
  if (const auto word = reader.read_word("mode", {"enforce", "observe"})) {
    policy.mode = *word == 0 ? Mode::enforce : Mode::observe;
  }
  if (const toml::table* volume = reader.table("volume")) {
    read_volume(*volume, policy.volume, complaints);
  }
  if (const auto classes = reader.tables("class")) read_classes(*classes, policy, complaints);
  if (const auto quotas = reader.tables("quota")) {
    for (const toml::table* quota : *quotas) read_quota(*quota, policy, complaints);
  }
  if (const auto hooks = reader.tables("hook")) {
    for (const toml::table* hook : *hooks) read_hook(*hook, policy, complaints);
  }
  reader.finish();
  return policy;
}

}  // namespace

std::expected<Policy, PolicyError> parse_policy(std::string_view text, std::string_view file) {
  const auto refused = [&](Complaint why) {
    return std::unexpected(
        PolicyError{std::string(file), why.place.line, why.place.column, std::move(why.what)});
  };
  const auto parsed = parse_toml(text);
  if (!parsed) return refused(parsed.error());
  Complaints complaints;
  Policy policy = read_policy(*parsed, complaints);
  if (!complaints.empty()) {
    return refused(*std::ranges::min_element(complaints, {}, &Complaint::place));
  }
  policy.source = file;
  return policy;
}

}  // namespace ebbfs
