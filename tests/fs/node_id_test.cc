// SPDX-License-Identifier: Apache-2.0
//
// Requests that come for a file after its number has gone to another one. The test plays a kernel
// that has sent them before, and no FORGET yet.
#include "fs/node_id.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "fs/virtual_files.h"
#include "tests/support/volume_rig.h"

namespace ebbfs {
namespace {

constexpr Caller kCaller{.umask = 022, .may_block = true};

class NumberUsedAgain : public testing::Test {
 protected:
  void SetUp() override { rig_.mount(); }

  // Makes names by `make` until one has the number of `node`; 0 where the filesystem does not use
  // it again.
  NodeId made_with_number_of(NodeId node, const std::function<void(const std::string&)>& make) {
    for (int i = 0; i < 64; ++i) {
      const std::string name = "new" + std::to_string(i);
      make(name);
      const NodeId made = rig_.at(name);
      if (number_of(made) == number_of(node)) return made;
    }
    return NodeId{0};
  }
  Filesystem& fs() { return *rig_.parts().filesystem; }
  template <typename T>
  static Errno error_of(const Result<T>& result) {
    return result ? Errno{0} : result.error();
  }

  VolumeRig rig_;
};

constexpr const char* kNotUsedAgain = "the filesystem of /tmp uses no number again (ext4 does)";

TEST_F(NumberUsedAgain, ReachesTheNewFileByItsNewNodeOnly) {
  ASSERT_TRUE(rig_.write_file("old", "old"));
  const NodeId old = rig_.at("old");
  ASSERT_TRUE(rig_.remove("old"));
  const NodeId made = made_with_number_of(
      old, [&](const auto& name) { ASSERT_TRUE(rig_.write_file(name, "new")); });
  if (made == NodeId{0}) GTEST_SKIP() << kNotUsedAgain;
  EXPECT_NE(made, old);

  EXPECT_EQ(error_of(fs().open(kCaller, old, O_RDWR, false)), Errno{ESTALE});
  EXPECT_EQ(error_of(fs().get_attributes(old, nullptr)), Errno{ESTALE});
  AttributeChange change;
  change.mode = 0777;
  EXPECT_EQ(error_of(fs().set_attributes(kCaller, old, nullptr, change)), Errno{ESTALE});
  EXPECT_EQ(error_of(fs().link(kCaller, old, kRootNode, "linked")), Errno{ESTALE});
  change.mode.reset();
  change.size = 0;
  EXPECT_EQ(error_of(fs().set_attributes(kCaller, old, nullptr, change)), Errno{ESTALE});

  const auto attributes = fs().get_attributes(made, nullptr);
  ASSERT_TRUE(attributes.has_value());
  EXPECT_EQ(attributes->stx_mode & 07777, 0644);
  EXPECT_EQ(attributes->stx_size, 3U);
  EXPECT_TRUE(rig_.exact());
}

TEST_F(NumberUsedAgain, PutsNothingIntoTheNewDirectoryByTheOldNode) {
  ASSERT_TRUE(rig_.make_dir("old"));
  const NodeId old = rig_.at("old");
  EXPECT_EQ(rig_.at("old/absent"), NodeId{0}) << "its descriptor is cached now";
  ASSERT_TRUE(rig_.remove("old"));
  const NodeId made =
      made_with_number_of(old, [&](const auto& name) { ASSERT_TRUE(rig_.make_dir(name)); });
  if (made == NodeId{0}) GTEST_SKIP() << kNotUsedAgain;
  auto inside = fs().create(kCaller, made, "inside", 0644, O_CREAT | O_WRONLY);
  ASSERT_TRUE(inside.has_value()) << "and so is that of the new one";
  rig_.close(inside->opened.file.release());

  EXPECT_EQ(error_of(fs().lookup(kCaller, old, "inside")), Errno{ESTALE});
  EXPECT_EQ(error_of(fs().make_directory(kCaller, old, "more", 0755)), Errno{ESTALE});
  EXPECT_EQ(error_of(fs().unlink(kCaller, old, "inside")), Errno{ESTALE});
  EXPECT_EQ(error_of(fs().rename(kCaller, old, "inside", kRootNode, "out", 0)), Errno{ESTALE});
  const auto last = fs().get_attributes(old, nullptr);
  ASSERT_TRUE(last.has_value()) << "somebody may have it open";
  EXPECT_EQ(last->stx_nlink, 0U);
  EXPECT_TRUE(fs().lookup(kCaller, made, "inside").has_value());
  EXPECT_TRUE(rig_.exact());
}

TEST_F(NumberUsedAgain, IsForgottenUseByUse) {
  ASSERT_TRUE(rig_.write_file("old", "old"));
  const NodeId old = rig_.at("old");
  ASSERT_TRUE(rig_.remove("old"));
  const NodeId made = made_with_number_of(
      old, [&](const auto& name) { ASSERT_TRUE(rig_.write_file(name, "new")); });
  if (made == NodeId{0}) GTEST_SKIP() << kNotUsedAgain;
  fs().forget(old, 2);  // made, and looked up
  EXPECT_EQ(error_of(fs().get_attributes(old, nullptr)), Errno{ESTALE});
  EXPECT_TRUE(fs().get_attributes(made, nullptr).has_value());
  fs().forget(made, 2);
  EXPECT_EQ(error_of(fs().get_attributes(made, nullptr)), Errno{ESTALE});
}

TEST(NodeId, IsTheNumberItselfOrNoNumberAtAll) {
  for (const std::uint64_t number : {1ULL, 42ULL, (1ULL << 40) - 1}) {
    const InodeId inode{number};
    EXPECT_EQ(raw(node_of(inode, 0)), number);
    for (const std::uint32_t use : {1U, 2U, kUsesMax}) {
      const NodeId node = node_of(inode, use);
      EXPECT_EQ(number_of(node), inode);
      EXPECT_GE(raw(node), 1ULL << 63);
      EXPECT_FALSE(VirtualFiles::owns(node));
    }
  }
  EXPECT_EQ(uses_of(InodeId{(1ULL << 40) - 1}), kUsesMax);
  EXPECT_EQ(uses_of(InodeId{1ULL << 40}), 0U);
}

}  // namespace
}  // namespace ebbfs
