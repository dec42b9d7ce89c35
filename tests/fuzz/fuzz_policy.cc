// SPDX-License-Identifier: Apache-2.0
//
// A policy file may hold anything. What is accepted is written back as a policy that is the same,
// and classifies paths; what is refused says where and why.
#include "policy/classifier.h"
#include "policy/limits.h"
#include "tests/fuzz/fuzz.h"

using namespace ebbfs;
using ebbfs::test::promised;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = test::text_of(data, size);
  auto policy = parse_policy(text, "fuzz.toml");
  if (!policy) {
    promised(!policy.error().what.empty(), "an error says what was expected");
    promised(policy.error().line > 0, "an error has a line");
    return 0;
  }
  const std::string written = to_toml(*policy);
  auto again = parse_policy(written, "fuzz.toml");
  promised(again.has_value(), "what is written can be read");
  promised(to_toml(*again) == written, "what is read again is the same");
  const Classifier classifier(std::make_shared<const Policy>(std::move(*policy)));
  for (const char* path : {"", "worktrees/a", "a/b/c/d", "repo/.git/index.lock", "locks/x"}) {
    (void)classifier.walk(path);
  }
  return 0;
}
