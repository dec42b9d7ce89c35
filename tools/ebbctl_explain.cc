// SPDX-License-Identifier: Apache-2.0
//
// ebbctl explain: why is it full.
#include "tools/ebbctl_command.h"

namespace ebbfs {
namespace {

int run_explain(Invocation& invocation, const Style& style) {
  return run_request<ExplainView>(invocation, style, command::kExplain);
}

}  // namespace

void add_explain_commands(CLI::App& app, Invocation& invocation) {
  CLI::App* explain =
      add_command(app, invocation, "explain", "Why it is full: growth, owners, what cannot go",
                  "  ebbctl explain\n"
                  "  ebbctl explain --since 24h          growth and removals of the last day\n"
                  "  ebbctl explain /mnt/ebs/agents      only units at or below PATH\n"
                  "  ebbctl explain --json | jq -r '.actions[].command | join(\" \")'\n"
                  "Usage is sampled once a minute and kept for a day, once an hour for 90 days.\n"
                  "GROWTH is from the beginning of that time to now; \">\" means at least so\n"
                  "much. FULL IN goes on in a straight line, for data; other users see the\n"
                  "volume and what is theirs.",
                  run_explain);
  add_path(*explain, invocation, "Only units at or below PATH; also names the mount",
           PathUse::optional);
  add_duration(*explain, "--since", invocation.request.since, "How far to look back (default 7d)");
}

}  // namespace ebbfs
