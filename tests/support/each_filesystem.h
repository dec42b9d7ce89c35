// SPDX-License-Identifier: Apache-2.0
//
// Test fixtures over a real mount: one that runs a test on each backing filesystem, and one on
// tmpfs alone. After each test the usage that ebbfs counted must equal what find counts.
// Threading: one thread.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <ostream>
#include <string>

#include "tests/support/mounted_volume.h"
#include "tests/support/plain_files.h"

namespace ebbfs::test {

struct Ground {
  const char* name;
  const char* filesystem;
  const char* transport;  // "": auto
  friend std::ostream& operator<<(std::ostream& out, const Ground& ground) {
    return out << ground.name;
  }
};
inline constexpr Ground kFilesystems[] = {
    {.name = "Tmpfs", .filesystem = "tmpfs", .transport = ""},
    {.name = "Ext4", .filesystem = "ext4", .transport = ""},
    {.name = "Xfs", .filesystem = "xfs", .transport = ""},
};
// For the operations that everything else is made of.
inline constexpr Ground kFilesystemsAndTransports[] = {
    kFilesystems[0],
    kFilesystems[1],
    kFilesystems[2],
    {.name = "TmpfsOverDevFuse", .filesystem = "tmpfs", .transport = "dev"},
};

[[nodiscard]] inline std::string ground_name(const testing::TestParamInfo<Ground>& info) {
  return info.param.name;
}

class OnVolume : public testing::Test {
 protected:
  // Skips the test where it cannot run; SetUp of a fixture that wants other options calls this.
  void mount(const VolumeOptions& options = {}) {
    const auto why = MountedVolume::cannot_run(options.filesystem);
    if (why) GTEST_SKIP() << *why;
    volume_.emplace(options);
  }
  void SetUp() override { mount(); }
  void TearDown() override {
    if (!volume_ || HasFailure()) return;
    EXPECT_TRUE(volume_->counts_right())
        << "charged " << volume_->charged() << ", but find counts " << volume_->count();
  }

  [[nodiscard]] std::string at(const std::string& relative) const { return volume_->at(relative); }

  std::optional<MountedVolume> volume_;
};

class OnEachFilesystem : public OnVolume, public testing::WithParamInterface<Ground> {
 protected:
  void SetUp() override {
    mount({.filesystem = GetParam().filesystem, .transport = GetParam().transport});
  }
};

}  // namespace ebbfs::test
