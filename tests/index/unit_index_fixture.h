// SPDX-License-Identifier: Apache-2.0
//
// A UnitIndex over a store in memory that can refuse, count and be looked into.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "index/unit_index.h"
#include "tests/index/outcome.h"
#include "tests/support/fault_store.h"
#include "tests/support/mem_store.h"

namespace ebbfs {

class UnitIndexTest : public testing::Test {
 protected:
  UnitIndexTest() { crash_and_reopen(); }

  // Nothing is said good-bye to: what is not in the store is lost.
  void crash_and_reopen() {
    auto opened = UnitIndex::open(fault_);
    ASSERT_EQ(error_of(opened), 0);
    index_ = *std::move(opened);
  }
  // Puts one row behind the index's back.
  void plant(Table table, std::string key, std::string value) {
    Batch batch;
    batch.put(table, std::move(key), std::move(value));
    EXPECT_EQ(error_of(memory_.commit(batch, Durability::process_crash)), 0);
  }
  std::size_t row_count(Table table) {
    std::size_t rows = 0;
    EXPECT_EQ(error_of(memory_.scan(table, {}, [&](auto, auto) { return ++rows != 0; })), 0);
    return rows;
  }
  std::vector<Deadline> queue() { return index_->due(WallTime::max(), 100).value(); }

  MemStore memory_;
  FaultStore fault_{memory_};
  std::unique_ptr<UnitIndex> index_;
};

}  // namespace ebbfs
