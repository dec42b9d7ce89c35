// SPDX-License-Identifier: Apache-2.0
//
// A mounted volume with units, jobs and a place outside of both, and its quotas as values.
// Threading: one thread.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>

#include "tests/support/each_filesystem.h"

namespace ebbfs::test {

inline constexpr const char* kQuotaPolicy = R"(
[[class]]
name = "tree"
kind = "tree"
match = ["units/*", "agents/{job}/*"]
ttl = "24h"
)";

class QuotaTest : public OnVolume {
 protected:
  void SetUp() override { start({.policy = kQuotaPolicy}); }
  void start(const VolumeOptions& options) {
    mount(options);
    if (IsSkipped()) return;
    for (const char* dir : {"units", "agents", "plain"}) {
      ASSERT_EQ(::mkdir(at(dir).c_str(), 0755), 0);
      ASSERT_EQ(::chmod(at(dir).c_str(), 0777), 0);
    }
  }
  [[nodiscard]] Ran quota(const std::string& arguments) const {
    return volume_->ebbctl("quota " + arguments);
  }
  void set(const std::string& arguments) const {
    const Ran ran = quota("set " + arguments);
    ASSERT_EQ(ran.exit_code, 0) << ran.out;
  }
  [[nodiscard]] nlohmann::json show(const std::string& scope) const {
    return volume_->json("quota show " + scope)["quotas"][0];
  }
  [[nodiscard]] Counted held(const std::string& scope) const {
    const auto view = show(scope);
    return {.bytes = view["bytes"]["used"], .inodes = view["inodes"]["used"]};
  }
  [[nodiscard]] Ran run(const std::string& commands) const {
    return shell(commands, volume_->path());
  }
};

}  // namespace ebbfs::test
