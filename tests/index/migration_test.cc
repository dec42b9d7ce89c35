// SPDX-License-Identifier: Apache-2.0
//
// An index that a program of format 1 wrote (fixtures/index_format_1: a volume with two units, one
// of them pinned, two held locks, a unit in the trash, two quotas; its daemon was killed), opened
// by this one.
#include "index/migration.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "index/rocks_store.h"
#include "index/schema.h"
#include "index/unit_index.h"
#include "tests/index/outcome.h"
#include "tests/support/fault_store.h"
#include "tests/support/temp_tree.h"

namespace ebbfs {
namespace {

class FormatOne : public testing::Test {
 protected:
  void SetUp() override {
    const char* binaries = std::getenv("EBBFS_BIN_DIR");
    ASSERT_NE(binaries, nullptr);
    std::filesystem::copy(std::string(binaries) + "/fixtures/index_format_1", directory_);
    reopen();
  }
  void reopen() {
    store_.reset();
    store_ = RocksStore::open(directory_).value();
  }
  std::uint32_t version() {
    return big_endian<std::uint32_t>(store_->get(Table::meta, kFormatKey).value().value());
  }

  TempTree tree_;
  const std::string directory_ = tree_.at("index");
  std::unique_ptr<RocksStore> store_;
};

TEST_F(FormatOne, IsMigratedWithAllThatIsInIt) {
  ASSERT_EQ(version(), 1U);
  {
    const auto index = UnitIndex::open(*store_).value();
    EXPECT_EQ(version(), kFormatVersion);
    const VolumeState state = index->volume_state();
    EXPECT_FALSE(state.fresh);
    EXPECT_FALSE(state.clean);
    EXPECT_TRUE(state.adopted);
    EXPECT_FALSE(state.rebuilt());
    EXPECT_NE(state.boot, BootId{});
    EXPECT_GT(state.first_mounted, WallTime{});

    const auto units = index->load_units().value();
    ASSERT_EQ(units.size(), 3U);  // with the root unit
    EXPECT_EQ(units[1].path, "worktrees/w1");
    EXPECT_TRUE(units[1].pinned);
    EXPECT_EQ(units[2].path, "worktrees/w2");
    EXPECT_FALSE(units[2].pinned);
    const auto locks = index->load_locks().value();
    ASSERT_EQ(locks.size(), 2U);
    EXPECT_EQ(locks[1].path, "locks/deploy.lock");
    const auto trash = index->load_trash().value();
    ASSERT_EQ(trash.size(), 1U);
    EXPECT_EQ(trash[0].unit.path, "worktrees/w3");
    const auto quotas = index->load_quotas().value();
    ASSERT_EQ(quotas.size(), 2U);
    EXPECT_EQ(quotas[0].scope, "unit:worktrees/w2");
    EXPECT_EQ(quotas[0].limits.inodes, 100);
    EXPECT_EQ(quotas[1].limits.bytes, 1 << 30);
    EXPECT_FALSE(index->newest_events(100).value().empty());
  }
  reopen();
  EXPECT_EQ(UnitIndex::open(*store_).value()->load_units().value().size(), 3U);
}

TEST_F(FormatOne, StaysWhatItIsWhenMigrationFails) {
  FaultStore fault(*store_);
  fault.fail_commits(1, ENOSPC);
  EXPECT_EQ(error_of(UnitIndex::open(fault)), ENOSPC);
  EXPECT_EQ(version(), 1U);
  EXPECT_EQ(error_of(UnitIndex::open(fault)), 0);
  EXPECT_EQ(version(), kFormatVersion);
}

TEST_F(FormatOne, IsSyncedBeforeAnythingElseIsWritten) {
  FaultStore fault(*store_);
  EXPECT_EQ(error_of(migrate(fault, 1)), 0);
  EXPECT_EQ(fault.commits(), 1U);
  EXPECT_EQ(fault.synced_commits(), 1U);
}

TEST_F(FormatOne, IsRefusedWhenItsVolumeStateIsBroken) {
  Batch batch;
  batch.put(Table::meta, std::string(kVolumeKey), "\1garbage");
  ASSERT_EQ(error_of(store_->commit(batch, Durability::process_crash)), 0);
  EXPECT_EQ(error_of(UnitIndex::open(*store_)), EBADMSG);
  EXPECT_EQ(version(), 1U);
}

}  // namespace
}  // namespace ebbfs
