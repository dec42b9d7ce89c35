// SPDX-License-Identifier: Apache-2.0
//
// The commands about quotas: quota list, show, set, clear, default.
#include <algorithm>
#include <charconv>

#include "policy/limits.h"
#include "policy/words.h"
#include "tools/ebbctl_command.h"

namespace ebbfs {
namespace {

constexpr const char* kScopes = "volume, class:NAME, unit:PATH,\nuser:NAME, group:NAME, job:NAME";

// Those with a limit only, unless all are asked for.
int list_quotas(Invocation& invocation, const Style& style) {
  if (!invocation.all) invocation.request.filter.state = quota_state::kLimited;
  return run_request<QuotasView>(invocation, style, command::kQuotaList);
}

int show_quota(Invocation& invocation, const Style& style) {
  return run_request<QuotasView>(invocation, style, command::kQuotaList);
}

int set_quota(Invocation& invocation, const Style& style) {
  if (invocation.request.quota == QuotaChange{}) {
    return print_error(invocation.json,
                       misused("give at least one limit, such as --bytes 10G (see --help)"));
  }
  return run_request<QuotasView>(invocation, style, command::kQuotaSet);
}

int set_default_quota(Invocation& invocation, const Style& style) {
  invocation.request.scope += ":*";
  return set_quota(invocation, style);
}

int clear_quota(Invocation& invocation, const Style& style) {
  return run_request<QuotasView>(invocation, style, command::kQuotaClear);
}

std::int64_t bytes_of(const std::string& name, const std::string& text) {
  if (text == "none") return kUnlimited;
  const auto bytes = parse_bytes(text);
  if (bytes) return bytes->n;
  throw CLI::ValidationError(
      name, "expected a size such as 512M, 10GiB or none, got " + ebbfs::quoted(text));
}

// "1000", "20k", "1M": thousands, as people count files.
std::int64_t count_of(const std::string& name, const std::string& text) {
  if (text == "none") return kUnlimited;
  std::int64_t count = 0;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, count);
  const std::string_view unit(at, end);
  const std::int64_t factor = unit.empty()                 ? 1
                              : unit == "k" || unit == "K" ? 1'000
                              : unit == "M"                ? 1'000'000
                                                           : 0;
  if (error == std::errc() && factor != 0 && count >= 0 && count <= kUnlimited / factor) {
    return count * factor;
  }
  throw CLI::ValidationError(
      name, "expected a number such as 20000, 1M or none, got " + ebbfs::quoted(text));
}

void add_limits(CLI::App& command, Invocation& invocation) {
  QuotaChange& change = invocation.request.quota;
  using Parse = std::int64_t (*)(const std::string&, const std::string&);
  const auto add = [&command](const std::string& name, std::optional<std::int64_t>& limit,
                              Parse parse, const char* type, const std::string& about) {
    command
        .add_option_function<std::string>(
            name, [&limit, parse, name](const std::string& text) { limit = parse(name, text); },
            about)
        ->type_name(type);
  };
  add("--bytes", change.bytes, bytes_of, "SIZE", "Hard limit, or none");
  add("--soft", change.soft_bytes, bytes_of, "SIZE", "Soft limit of bytes, or none");
  add("--inodes", change.inodes, count_of, "N", "Hard limit of files, directories..., or none");
  add("--soft-inodes", change.soft_inodes, count_of, "N", "Soft limit of inodes, or none");
  command.add_option("--grace", change.grace, "How long soft limits may be passed, or none")
      ->type_name("DURATION");
}

void add_scope(CLI::App& command, Invocation& invocation) {
  command.add_option("SCOPE", invocation.request.scope, kScopes)->type_name("")->required();
}

}  // namespace

void add_quota_commands(CLI::App& app, Invocation& invocation) {
  CLI::App* quota = app.add_subcommand("quota", "List, show, set or clear limits");
  quota->require_subcommand(1);
  CLI::App* list =
      add_command(*quota, invocation, "list", "Usage against limits",
                  "  ebbctl quota list\n"
                  "  ebbctl quota list --all             what has no limit, too\n"
                  "  ebbctl quota list --json | jq '.quotas[] | select(.percent > 90)'",
                  list_quotas);
  add_path(*list, invocation, "A path on the mount to ask", PathUse::optional);
  list->add_flag("--all", invocation.all, "Also scopes without a limit");
  CLI::App* show =
      add_command(*quota, invocation, "show", "One scope, and where its limits are from",
                  "  ebbctl quota show user:ci\n"
                  "  ebbctl quota show unit:worktrees/job-17",
                  show_quota);
  add_scope(*show, invocation);
  CLI::App* set =
      add_command(*quota, invocation, "set", "Limit one scope, whatever the policy says",
                  "  ebbctl quota set user:ci --bytes 10G --soft 8G --inodes 1M --grace 3d\n"
                  "  ebbctl quota set unit:worktrees/job-17 --bytes 2G\n"
                  "  ebbctl quota set job:nightly --bytes none\n"
                  "What is not given stays as it was. Nothing is removed: growth is refused.",
                  set_quota);
  add_scope(*set, invocation);
  add_limits(*set, invocation);
  add_dry_run(*set, invocation);
  CLI::App* all = add_command(*quota, invocation, "default", "Limit each scope of a kind alike",
                              "  ebbctl quota default user --bytes 20G\n"
                              "  ebbctl quota default unit --inodes 500k",
                              set_default_quota);
  all->add_option("KIND", invocation.request.scope, "class, unit, user, group or job")
      ->type_name("")
      ->required()
      ->check(one_of({"class", "unit", "user", "group", "job"}));
  add_limits(*all, invocation);
  add_dry_run(*all, invocation);
  CLI::App* clear =
      add_command(*quota, invocation, "clear", "Forget what was set; the policy holds again",
                  "  ebbctl quota clear user:ci\n"
                  "  ebbctl quota clear 'user:*'         what `quota default user` has set",
                  clear_quota);
  add_scope(*clear, invocation);
  add_dry_run(*clear, invocation);
}

}  // namespace ebbfs
