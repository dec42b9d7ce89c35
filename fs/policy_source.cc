// SPDX-License-Identifier: Apache-2.0
#include "fs/policy_source.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

namespace ebbfs {

std::expected<Policy, std::string> load_policy(const std::string& file) {
  if (file.empty()) return default_policy();
  std::ifstream in(file);
  if (!in) return std::unexpected(file + ": cannot be read: " + std::strerror(errno));
  std::stringstream text;
  text << in.rdbuf();
  auto policy = parse_policy(text.str(), file);
  if (!policy) return std::unexpected(policy.error().message());
  return std::move(*policy);
}

bool same_shape(const Policy& a, const Policy& b) {
  return std::ranges::equal(a.classes, b.classes, [](const ClassRule& x, const ClassRule& y) {
    return x.name == y.name && x.kind == y.kind && x.match == y.match && x.owner == y.owner;
  });
}

}  // namespace ebbfs
