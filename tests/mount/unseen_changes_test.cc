// SPDX-License-Identifier: Apache-2.0
//
// The tree and the index do not agree: it was changed while unmounted or under the mount, or power
// was lost and the index is as it was some time ago.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <set>

#include "index/rocks_store.h"
#include "index/schema.h"
#include "index/volume_state.h"
#include "tests/support/child.h"
#include "tests/support/each_filesystem.h"

namespace ebbfs::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr const char* kBriefUnitsPolicy = R"(
[volume]
adopt_grace = "0s"
[[class]]
name = "worktree"
kind = "tree"
match = ["worktrees/*"]
ttl = "1h"
[[class]]
name = "brief"
kind = "tree"
match = ["brief/*"]
ttl = "1s"
[[class]]
name = "lock"
kind = "lock"
match = ["locks/**"]
)";

class UnseenChanges : public OnVolume {
 protected:
  void SetUp() override {
    mount({.policy = kBriefUnitsPolicy});
    if (IsSkipped()) return;
    run("mkdir -p worktrees/a worktrees/b worktrees/c brief locks plain && "
        "for u in a b c; do echo $u >worktrees/$u/file; done && echo x >plain/file");
  }
  void run(const std::string& command) {
    const Ran ran = shell(command, volume_->path());
    ASSERT_EQ(ran.exit_code, 0) << ran.out;
  }
  [[nodiscard]] std::set<std::string> unit_paths() const {
    std::set<std::string> paths;
    for (const auto& unit : volume_->units()) paths.insert(unit["path"].get<std::string>());
    return paths;
  }
  void under_the_mount(const std::string& command) {
    const Ran ran =
        shell("for f in /proc/" + std::to_string(volume_->daemon()) +
              "/fd/*; do [[ -d $f/.ebbfs/index ]] && break; done; cd $f && { " + command + "; }");
    ASSERT_EQ(ran.exit_code, 0) << ran.out;
  }
  // As after another boot, without a clean end.
  void lose_power() {
    const auto store = RocksStore::open(volume_->at(".ebbfs/index")).value();
    const std::string row = store->get(Table::meta, kVolumeKey).value().value();
    auto state = decode_versioned<VolumeState>(kVolumeStateVersion, row).value();
    state.clean = false;
    state.boot.bytes.fill(7);
    Batch batch;
    batch.put(Table::meta, std::string(kVolumeKey), encode_versioned(kVolumeStateVersion, state));
    ASSERT_TRUE(store->commit(batch, Durability::power_loss).has_value());
  }
};

TEST_F(UnseenChanges, WhileUnmountedAreFoundAtTheNextMount) {
  volume_->unmount();
  run("rm -rf worktrees/a && mv worktrees/b worktrees/moved && mkdir worktrees/new && "
      "head -c 50000 /dev/zero >worktrees/new/file && echo y >plain/another");
  volume_->mount();
  EXPECT_TRUE(volume_->counts_right());
  EXPECT_EQ(unit_paths(),
            (std::set<std::string>{"worktrees/c", "worktrees/moved", "worktrees/new"}));
}

TEST_F(UnseenChanges, OfFilesAloneAreFoundAtTheNextMountAsWell) {
  volume_->unmount();
  run("head -c 50000 /dev/zero >worktrees/a/more && mkdir -p plain/deep/er && rm plain/file");
  volume_->mount();
  EXPECT_TRUE(volume_->counts_right());
  EXPECT_EQ(unit_paths().size(), 3U);
}

TEST_F(UnseenChanges, ThatTakeAUnitOutOfItsClassSaveItFromExpiry) {
  run("mkdir brief/x && echo precious >brief/x/file && sleep 0.1");
  ASSERT_EQ(volume_->ebbctl("pin brief/x").exit_code, 0);
  volume_->unmount();
  run("mv brief/x plain/x");
  volume_->mount();
  ASSERT_EQ(::mkdir(at("brief/y").c_str(), 0755), 0);
  EXPECT_TRUE(eventually([&] { return !exists(at("brief/y")); }, 10s));
  EXPECT_EQ(get(at("plain/x/file")), "precious\n");
  EXPECT_TRUE(volume_->counts_right());
  run("rm -rf plain/x");
}

TEST_F(UnseenChanges, UnderTheMountAddAUnitThatIsCountedWhenItIsSeen) {
  under_the_mount("mkdir worktrees/behind && head -c 30000 /dev/zero >worktrees/behind/file");
  EXPECT_EQ(status_of(at("worktrees/behind/file")).st_size, 30000);
  EXPECT_TRUE(volume_->counts_right());
  run("rm -rf worktrees/behind");
}

TEST_F(UnseenChanges, UnderTheMountNeverCountBelowZeroAndAreHealedByTheNextMount) {
  under_the_mount("for i in 1 2 3 4 5 6; do head -c 90000 /dev/zero >worktrees/a/behind$i; done");
  run("rm -rf worktrees/a && echo z >plain/later");
  for (const auto& unit : volume_->units()) EXPECT_GE(unit["bytes"].get<std::int64_t>(), 0);
  for (const auto& user : volume_->json("status")["users"]) {
    EXPECT_GE(user["bytes"].get<std::int64_t>(), 0);
  }
  EXPECT_TRUE(eventually([&] { return !volume_->json("status")["degraded"].empty(); }, 10s));
  volume_->unmount();
  volume_->mount();
  EXPECT_TRUE(volume_->counts_right());
}

TEST_F(UnseenChanges, AfterPowerLossLeaveNothingLostDoubledOrRemoved) {
  run("mkdir worktrees/trashed && echo t >worktrees/trashed/file");
  ASSERT_EQ(volume_->ebbctl("pin worktrees/c").exit_code, 0);
  volume_->unmount();
  run("cp -a .ebbfs/index ../index-then");
  volume_->mount();

  run("mkdir worktrees/later && head -c 20000 /dev/zero >worktrees/later/file && "
      "rm -rf worktrees/a && mv worktrees/b worktrees/renamed && echo more >>plain/file");
  ASSERT_EQ(volume_->ebbctl("unpin worktrees/c").exit_code, 0);
  ASSERT_EQ(volume_->ebbctl("pin worktrees/later").exit_code, 0);
  ASSERT_EQ(volume_->ebbctl("expire worktrees/trashed").exit_code, 0);
  const std::string lock = at("locks/held.lock");
  const ChildProcess holder([&](const ChildProcess::Talk& talk) {
    put(lock, std::to_string(::getpid()) + "\n");
    talk.tell(1);
    talk.wait_for_ever();
    return 0;
  });
  holder.hear();
  volume_->kill_daemon();
  run("rm -rf .ebbfs/index && mv ../index-then .ebbfs/index");
  lose_power();

  volume_->mount();
  EXPECT_FALSE(volume_->json("status")["adoption"]["started"].is_null());
  EXPECT_TRUE(volume_->counts_right());
  EXPECT_EQ(unit_paths(),
            (std::set<std::string>{"worktrees/c", "worktrees/later", "worktrees/renamed"}));
  for (const auto& unit : volume_->units()) {
    // Unpinning was forgotten on the safe side, pinning was not.
    EXPECT_EQ(unit["pinned"], unit["path"] != "worktrees/renamed") << unit.dump(1);
  }
  EXPECT_TRUE(exists(lock));
  ASSERT_EQ(volume_->locks().size(), 1U);
  EXPECT_EQ(volume_->json("status")["trash"]["units"], 1);
  EXPECT_EQ(volume_->json("status")["trash"]["bytes"], 4096);
}

}  // namespace
}  // namespace ebbfs::test
