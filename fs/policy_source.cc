// SPDX-License-Identifier: Apache-2.0
#include "fs/policy_source.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "fs/user_names.h"

namespace ebbfs {

std::expected<Policy, std::string> load_policy(const std::string& file) {
  if (file.empty()) return default_policy();
  std::ifstream in(file);
  if (!in) return std::unexpected(file + ": cannot be read: " + std::strerror(errno));
  std::stringstream text;
  text << in.rdbuf();
  auto policy = parse_policy(text.str(), file);
  if (!policy) return std::unexpected(policy.error().message());
  for (const HookRule& hook : policy->hooks) {
    if (user_id(hook.user)) continue;
    return std::unexpected(
        file + ": a hook is to run as a user that this host does not have: " + hook.user);
  }
  return std::move(*policy);
}

bool same_shape(const Policy& a, const Policy& b) {
  return std::ranges::equal(a.classes, b.classes, [](const ClassRule& x, const ClassRule& y) {
    return x.name == y.name && x.kind == y.kind && x.match == y.match && x.owner == y.owner;
  });
}

}  // namespace ebbfs
