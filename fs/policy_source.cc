// SPDX-License-Identifier: Apache-2.0
#include "fs/policy_source.h"

#include <fcntl.h>

#include <algorithm>
#include <cstring>

#include "fs/read_text.h"
#include "fs/unique_fd.h"
#include "fs/user_names.h"

namespace ebbfs {

std::expected<Policy, std::string> load_policy(const std::string& file) {
  if (file.empty()) return default_policy();
  const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  const Result<std::string> text = fd.valid() ? read_text(fd.get()) : fail_errno();
  if (!text) {
    return std::unexpected(file + ": cannot be read: " + std::strerror(code(text.error())));
  }
  auto policy = parse_policy(*text, file);
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
