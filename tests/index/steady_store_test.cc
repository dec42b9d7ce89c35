// SPDX-License-Identifier: Apache-2.0
#include "index/steady_store.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/index/outcome.h"
#include "tests/support/fault_store.h"
#include "tests/support/mem_store.h"

namespace ebbfs {
namespace {

using Rows = std::vector<std::pair<std::string, std::string>>;
constexpr auto kForEver = std::numeric_limits<std::uint32_t>::max();

class Steady : public testing::Test {
 protected:
  static Batch put(const std::string& key, const std::string& value) {
    Batch batch;
    batch.put(Table::units, key, value);
    return batch;
  }
  static Batch erase(const std::string& key) {
    Batch batch;
    batch.erase(Table::units, key);
    return batch;
  }
  int commit(const Batch& batch) {
    return error_of(steady_.commit(batch, Durability::process_crash));
  }
  static Rows rows(Store& store) {
    Rows all;
    EXPECT_EQ(error_of(store.scan(Table::units, {},
                                  [&](std::string_view key, std::string_view value) {
                                    all.emplace_back(key, value);
                                    return true;
                                  })),
              0);
    return all;
  }
  void refuse(int error = ENOSPC) { fault_.fail_commits(1, error, kForEver); }
  void accept() { fault_.fail_commits(1, 0, 0); }

  MemStore memory_;
  FaultStore fault_{memory_};
  SteadyStore steady_{fault_, 8};
};

TEST_F(Steady, KeepsWhatIsRefusedAndShowsItInItsPlace) {
  EXPECT_EQ(commit(put("b", "1")), 0);
  EXPECT_EQ(commit(put("d", "1")), 0);
  refuse();
  EXPECT_EQ(commit(put("a", "2")), 0);
  EXPECT_EQ(commit(put("d", "2")), 0);
  EXPECT_EQ(commit(put("e", "2")), 0);
  EXPECT_EQ(commit(erase("b")), 0);
  const Rows want{{"a", "2"}, {"d", "2"}, {"e", "2"}};
  EXPECT_EQ(rows(steady_), want);
  EXPECT_EQ(steady_.get(Table::units, "d").value(), "2");
  EXPECT_EQ(steady_.get(Table::units, "b").value(), std::nullopt);
  const Rows below{{"b", "1"}, {"d", "1"}};
  EXPECT_EQ(rows(memory_), below);
  EXPECT_EQ(steady_.trouble(), Errno{ENOSPC});
}

TEST_F(Steady, PutsBelowWhatItKeptOnceThatIsTaken) {
  refuse(EIO);
  EXPECT_EQ(commit(put("a", "1")), 0);
  EXPECT_FALSE(steady_.retry());
  EXPECT_EQ(steady_.trouble(), Errno{EIO});
  accept();
  EXPECT_TRUE(steady_.retry());
  EXPECT_EQ(steady_.trouble(), std::nullopt);
  EXPECT_EQ(rows(memory_), (Rows{{"a", "1"}}));
  EXPECT_EQ(fault_.synced_commits(), 2U);
  EXPECT_EQ(commit(put("b", "1")), 0);
  EXPECT_EQ(rows(memory_).size(), 2U);
}

TEST_F(Steady, DoesNotAskBelowForEachChangeMeanwhile) {
  refuse();
  EXPECT_EQ(commit(put("a", "1")), 0);
  const auto asked = fault_.commits();
  EXPECT_EQ(commit(put("b", "1")), 0);
  EXPECT_EQ(fault_.commits(), asked);
}

TEST_F(Steady, TellsOfTroubleOnceBeforeTheFirstChangeIsAcknowledged) {
  int told = 0;
  steady_.on_trouble([&](Errno why) {
    EXPECT_EQ(why, Errno{ENOSPC});
    ++told;
  });
  EXPECT_EQ(commit(put("a", "1")), 0);
  EXPECT_EQ(told, 0);
  refuse();
  EXPECT_EQ(commit(put("b", "1")), 0);
  EXPECT_EQ(commit(put("c", "1")), 0);
  EXPECT_EQ(told, 1);
  accept();
  EXPECT_TRUE(steady_.retry());
  refuse();
  EXPECT_EQ(commit(put("d", "1")), 0);
  EXPECT_EQ(told, 2);
}

TEST_F(Steady, StopsAScanWhereItsVisitorSaysSo) {
  EXPECT_EQ(commit(put("b", "1")), 0);
  refuse();
  EXPECT_EQ(commit(put("a", "1")), 0);
  EXPECT_EQ(commit(put("c", "1")), 0);
  for (const std::size_t most : {1U, 2U, 3U}) {
    std::size_t seen = 0;
    EXPECT_EQ(error_of(steady_.scan(Table::units, {}, [&](auto, auto) { return ++seen < most; })),
              0);
    EXPECT_EQ(seen, most);
  }
}

TEST_F(Steady, GivesUpBeyondItsBoundAndSaysSo) {
  refuse();
  for (char key = 'a'; key <= 'h'; ++key) EXPECT_EQ(commit(put({key}, "1")), 0);
  EXPECT_FALSE(steady_.lost());
  EXPECT_EQ(commit(put("i", "1")), 0);
  EXPECT_TRUE(steady_.lost());
  accept();
  EXPECT_FALSE(steady_.retry());
  EXPECT_TRUE(rows(memory_).empty());
}

TEST_F(Steady, RemembersThatAReadFailed) {
  EXPECT_EQ(steady_.read_trouble(), std::nullopt);
  fault_.fail_reads(EBADMSG);
  EXPECT_EQ(error_of(steady_.get(Table::units, "a")), EBADMSG);
  fault_.fail_reads(0);
  EXPECT_EQ(steady_.read_trouble(), Errno{EBADMSG});
}

}  // namespace
}  // namespace ebbfs
