// SPDX-License-Identifier: Apache-2.0
#include "tests/crash/walk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <stdexcept>

#include "tests/crash/observed.h"

namespace ebbfs::test {
namespace {

using namespace std::chrono_literals;
using testing::AnyOf;
using testing::Eq;

constexpr std::uint32_t kGapsMax = 100;

class Walk {
 public:
  explicit Walk(const Operation& operation)
      : operation_(operation),
        // Outside of the volume, and of what a volume takes with it.
        switch_("/tmp/ebbfs-crash-board." + std::to_string(::getpid())) {}

  std::uint32_t run() {
    learn();
    std::uint32_t gap = 0;
    for (; gap < kGapsMax && !testing::Test::HasFatalFailure(); ++gap) {
      if (!die_in(gap)) break;
    }
    EXPECT_LT(gap, kGapsMax) << "it never came through";
    return gap;
  }

 private:
  // Everything idle and stored as such, so that what the operation has to mark it marks itself.
  std::unique_ptr<MountedVolume> prepared() {
    switch_.disarm();
    auto volume = std::make_unique<MountedVolume>(killable(switch_, operation_.policy));
    operation_.prepare(*volume);
    EXPECT_TRUE(exact_soon(*volume));
    if (before_.empty()) before_ = picture(*volume);
    volume->unmount();
    volume->mount();
    EXPECT_TRUE(exact_soon(*volume));
    return volume;
  }

  std::string picture(const MountedVolume& volume) const {
    std::string picture = without_owner(picture_of(volume), operation_.lock);
    return operation_.forgive ? operation_.forgive(std::move(picture)) : picture;
  }

  bool act(MountedVolume& volume) const {
    const bool acknowledged = operation_.act(volume);
    if (operation_.ended) {
      const bool ended = eventually(
          [&] { return switch_.fired() || (acknowledged && operation_.ended(volume)); }, 10s);
      EXPECT_TRUE(ended) << "what follows from it never came";
    }
    return acknowledged;
  }

  void learn() {
    const auto volume = prepared();
    EXPECT_TRUE(act(*volume)) << "refused";
    after_ = picture(*volume);
    EXPECT_EQ(wrong_charges(*volume), "");
  }

  // False when the operation came through without having been in that gap.
  bool die_in(std::uint32_t gap) {
    auto volume = prepared();
    switch_.arm(gap);
    const bool acknowledged = act(*volume);
    const bool died = switch_.fired();
    switch_.disarm();
    if (!died) {
      EXPECT_TRUE(acknowledged);
      return false;
    }
    const std::string where = switch_.gap(gap);
    std::printf("  %-34s %2u  %s\n", operation_.name.c_str(), gap, where.c_str());
    SCOPED_TRACE(operation_.name + ", gap " + std::to_string(gap) + ": " + where);
    volume->kill_daemon();
    volume->mount();
    const std::string once = check(*volume);
    if (acknowledged) {
      EXPECT_EQ(once, after_) << "it had been acknowledged";
    } else {
      EXPECT_THAT(once, AnyOf(Eq(before_), Eq(after_)));
    }
    volume->kill_daemon();
    volume->mount();
    EXPECT_EQ(check(*volume), once) << "changed by another start";
    return true;
  }

  std::string check(const MountedVolume& volume) const {
    EXPECT_TRUE(exact_soon(volume)) << "usage stays provisional";
    if (operation_.ended) {
      // What was begun is finished in the background.
      const auto settled = [&] {
        const std::string seen = picture(volume);
        return seen == after_ || seen == before_;
      };
      EXPECT_TRUE(eventually(settled, 5s));
    }
    EXPECT_EQ(wrong_charges(volume), "");
    return picture(volume);
  }

  const Operation& operation_;
  KillSwitch switch_;
  std::string before_;
  std::string after_;
};

}  // namespace

std::uint32_t walk(const Operation& operation) {
  const std::uint32_t gaps = Walk(operation).run();
  std::printf("  %-34s %2u gaps\n", operation.name.c_str(), gaps);
  testing::Test::RecordProperty(operation.name, static_cast<int>(gaps));
  return gaps;
}

}  // namespace ebbfs::test
