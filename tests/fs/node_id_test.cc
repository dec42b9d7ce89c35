// SPDX-License-Identifier: Apache-2.0
//
// Requests that come for a file after its number has gone to another one. The test plays a kernel
// that has sent them before, and no FORGET yet.
#include "fs/node_id.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "fs/virtual_files.h"
#include "tests/support/volume_rig.h"

namespace ebbfs {
namespace {

constexpr Caller kCaller{.umask = 022, .may_block = true};

class NumberUsedAgain : public testing::Test {
 protected:
  void SetUp() override { rig_.mount(); }

  // Makes names by `make` until one has the number of `node`; kNoNode where the filesystem does not
  // use it again.
  NodeId made_with_number_of(NodeId node, const std::function<void(const std::string&)>& make,
                             const std::string& below = "") {
    for (int i = 0; i < 64; ++i) {
      made_ = below + "new" + std::to_string(i);
      make(made_);
      const NodeId made = rig_.at(made_);
      if (number_of(made) == number_of(node)) return made;
    }
    return kNoNode;
  }
  // The nodes of a file that is gone and of one that has its number.
  std::pair<NodeId, NodeId> removed_and_new_file() {
    EXPECT_TRUE(rig_.write_file("old", "old"));
    const NodeId old = rig_.at("old");
    EXPECT_TRUE(rig_.remove("old"));
    return {old, made_with_number_of(
                     old, [&](const auto& name) { ASSERT_TRUE(rig_.write_file(name, "new")); })};
  }
  Filesystem& fs() { return *rig_.parts().filesystem; }
  template <typename T>
  static Errno error_of(const Result<T>& result) {
    return result ? Errno{0} : result.error();
  }

  VolumeRig rig_;
  std::string made_;  // the last name that was
};

constexpr const char* kNotUsedAgain =
    "/tmp uses no number again (ext4 does), or somebody else has it";

TEST_F(NumberUsedAgain, ReachesTheNewFileByItsNewNodeOnly) {
  const auto [old, made] = removed_and_new_file();
  if (made == kNoNode) GTEST_SKIP() << kNotUsedAgain;
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
  EXPECT_EQ(rig_.at("old/absent"), kNoNode) << "its descriptor is cached now";
  ASSERT_TRUE(rig_.remove("old"));
  const NodeId made =
      made_with_number_of(old, [&](const auto& name) { ASSERT_TRUE(rig_.make_dir(name)); });
  if (made == kNoNode) GTEST_SKIP() << kNotUsedAgain;
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

// Who holds a removed directory open may make names in it, or try to.
TEST_F(NumberUsedAgain, RemovesNoLockOfTheNewDirectoryByTheOldNode) {
  ASSERT_TRUE(rig_.make_dir("locks"));
  ASSERT_TRUE(rig_.make_dir("locks/old"));
  const NodeId old = rig_.at("locks/old");
  ASSERT_TRUE(rig_.remove("locks/old"));
  const NodeId made = made_with_number_of(
      old, [&](const auto& name) { ASSERT_TRUE(rig_.make_dir(name)); }, "locks/");
  if (made == kNoNode) GTEST_SKIP() << kNotUsedAgain;
  const ProcessId owner = rig_.processes.start({.parent = 1});
  ASSERT_TRUE(rig_.take_lock(made_ + "/a.lock", owner.tgid));
  rig_.processes.kill(owner);
  rig_.reaper().run_once();
  rig_.advance(kRigLockGrace * 2);
  ASSERT_NE(rig_.lock(made_ + "/a.lock"), nullptr);
  EXPECT_EQ(error_of(fs().make_directory(kCaller, old, "a.lock", 0755)), Errno{ESTALE});
  EXPECT_NE(rig_.lock(made_ + "/a.lock"), nullptr) << "nobody has asked for its name";
}

TEST_F(NumberUsedAgain, IsForgottenUseByUse) {
  const auto [old, made] = removed_and_new_file();
  if (made == kNoNode) GTEST_SKIP() << kNotUsedAgain;
  fs().forget(old, 2);  // made, and looked up
  EXPECT_EQ(error_of(fs().get_attributes(old, nullptr)), Errno{ESTALE});
  EXPECT_TRUE(fs().get_attributes(made, nullptr).has_value());
  fs().forget(made, 2);
  EXPECT_EQ(error_of(fs().get_attributes(made, nullptr)), Errno{ESTALE});
}

// Somebody exchanges two names over and over, just between the two looks at the first of them.
class ExchangingBacking final : public Backing {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Backing>> open(const std::string& directory) {
    auto backing = std::make_unique<ExchangingBacking>();
    if (const auto attached = backing->attach(directory, AccessTimes{}); !attached) {
      return std::unexpected(attached.error());
    }
    return backing;
  }
  [[nodiscard]] Result<FileHandle> handle(int fd, const char* name) const override {
    if (exchanges && std::string_view(name) == "x") {
      EXPECT_TRUE(Backing::rename(fd, "x", fd, "y", RENAME_EXCHANGE));
    }
    return Backing::handle(fd, name);
  }
  static inline bool exchanges = false;
};

TEST(ANameThatIsExchangedWhileItIsLookedAt, IsTheOneFileOrTheOther) {
  VolumeRig rig;
  rig.open_backing = ExchangingBacking::open;
  rig.mount();
  ASSERT_TRUE(rig.write_file("x", "open to all"));
  ASSERT_TRUE(rig.write_file("y", "secret"));
  for (const bool known : {true, false}) {
    SCOPED_TRACE(known ? "both are known" : "neither is known");
    if (!known) {
      rig.unmount();
      rig.mount();
    }
    OpenFile* const open = known ? rig.open("x", O_RDWR) : nullptr;
    ExchangingBacking::exchanges = true;
    const auto seen = rig.parts().filesystem->lookup(kCaller, kRootNode, "x");
    ExchangingBacking::exchanges = false;
    ASSERT_TRUE(seen.has_value());
    const auto attributes = rig.parts().filesystem->get_attributes(seen->id, nullptr);
    ASSERT_TRUE(attributes.has_value());
    EXPECT_EQ(attributes->stx_ino, seen->attributes.stx_ino)
        << "whoever is let into the one is led to the other";
    EXPECT_EQ(attributes->stx_size, seen->attributes.stx_size);
    EXPECT_FALSE(seen->inode->retired());
    if (open == nullptr) continue;
    EXPECT_FALSE(open->inode().retired());
    rig.close(open);
  }
  EXPECT_TRUE(rig.exact());
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
