// SPDX-License-Identifier: Apache-2.0
#include "index/journal.h"

#include <gtest/gtest.h>

#include <thread>

#include "index/schema.h"
#include "index/unit_index.h"
#include "tests/index/outcome.h"
#include "tests/support/fault_store.h"
#include "tests/support/mem_store.h"

namespace ebbfs {
namespace {

using Sequences = std::vector<std::uint64_t>;

class JournalTest : public testing::Test {
 protected:
  static constexpr std::uint64_t kMax = 5;

  JournalTest() { reopen(); }

  void reopen() {
    journal_ = std::make_unique<Journal>(fault_, kMax);
    EXPECT_EQ(error_of(journal_->open()), 0);
  }
  void append(int count) {
    for (; count > 0; --count) EXPECT_EQ(error_of(journal_->append({}, {})), 0);
  }
  static Sequences sequences(const Result<std::vector<EventRecord>>& events) {
    EXPECT_EQ(error_of(events), 0);
    Sequences found;
    for (const EventRecord& event : events.value_or(std::vector<EventRecord>{})) {
      found.push_back(event.sequence);
    }
    return found;
  }

  MemStore memory_;
  FaultStore fault_{memory_};
  std::unique_ptr<Journal> journal_;
};

TEST_F(JournalTest, IsEmptyAtFirst) {
  EXPECT_EQ(sequences(journal_->after(0, 10)), Sequences{});
  EXPECT_EQ(sequences(journal_->newest(10)), Sequences{});
}

TEST_F(JournalTest, NumbersEventsFromOne) {
  EXPECT_EQ(journal_->append({}, {}), 1U);
  EXPECT_EQ(journal_->append({}, {}), 2U);
}

TEST_F(JournalTest, KeepsWhatAnEventSays) {
  EventRecord event;
  event.kind = EventRecord::Kind::expired;
  event.path = "worktrees/a";
  event.sequence = 99;  // not for the caller to say
  EXPECT_EQ(error_of(journal_->append(event, {})), 0);
  event.sequence = 1;
  EXPECT_EQ(journal_->newest(1), std::vector{event});
}

TEST_F(JournalTest, GivesEventsAfterASequenceOldestFirst) {
  append(4);
  EXPECT_EQ(sequences(journal_->after(0, 10)), (Sequences{1, 2, 3, 4}));
  EXPECT_EQ(sequences(journal_->after(2, 10)), (Sequences{3, 4}));
  EXPECT_EQ(sequences(journal_->after(1, 2)), (Sequences{2, 3}));
  EXPECT_EQ(sequences(journal_->after(4, 10)), Sequences{});
  EXPECT_EQ(sequences(journal_->after(~0ULL, 10)), Sequences{});
  EXPECT_EQ(sequences(journal_->after(0, 0)), Sequences{});
}

TEST_F(JournalTest, GivesTheNewestOldestFirst) {
  append(4);
  EXPECT_EQ(sequences(journal_->newest(2)), (Sequences{3, 4}));
  EXPECT_EQ(sequences(journal_->newest(10)), (Sequences{1, 2, 3, 4}));
  EXPECT_EQ(sequences(journal_->newest(0)), Sequences{});
}

TEST_F(JournalTest, KeepsOnlyTheNewest) {
  append(13);
  EXPECT_EQ(sequences(journal_->after(0, 100)), (Sequences{9, 10, 11, 12, 13}));
  EXPECT_EQ(sequences(journal_->newest(100)), (Sequences{9, 10, 11, 12, 13}));
  std::size_t rows = 0;
  EXPECT_EQ(error_of(memory_.scan(Table::journal, {}, [&](auto, auto) { return ++rows != 0; })), 0);
  EXPECT_EQ(rows, kMax);
}

TEST_F(JournalTest, GoesOnCountingWhenReopened) {
  append(7);
  reopen();
  append(1);
  EXPECT_EQ(sequences(journal_->newest(2)), (Sequences{7, 8}));
}

TEST_F(JournalTest, LeavesNoGapWhereACommitFailed) {
  append(1);
  fault_.fail_commits(1, EIO);
  EXPECT_EQ(error_of(journal_->append({}, {})), EIO);
  append(1);
  EXPECT_EQ(sequences(journal_->after(0, 10)), (Sequences{1, 2}));
}

TEST_F(JournalTest, CommitsTheBatchWithTheEvent) {
  Batch batch;
  batch.put(Table::trash, "k", "v");
  const std::uint64_t before = fault_.commits();
  EXPECT_EQ(error_of(journal_->append({}, batch)), 0);
  EXPECT_EQ(fault_.commits(), before + 1);
  EXPECT_EQ(memory_.get(Table::trash, "k").value(), "v");
}

TEST_F(JournalTest, CallsAGarbledEventCorrupt) {
  append(2);
  Batch batch;
  batch.put(Table::journal, number_key(2), "garbage");
  EXPECT_EQ(error_of(memory_.commit(batch, Durability::process_crash)), 0);
  EXPECT_EQ(error_of(journal_->after(0, 10)), EBADMSG);
}

TEST_F(JournalTest, ReportsAStoreThatCannotBeRead) {
  append(1);
  fault_.fail_reads(EIO);
  EXPECT_EQ(error_of(journal_->after(0, 10)), EIO);
  EXPECT_EQ(error_of(Journal(fault_, kMax).open()), EIO);
}

// A reader that follows with after() meets every event, whichever thread wrote it.
TEST_F(JournalTest, ShowsAFollowerEveryEventInOrder) {
  constexpr std::uint64_t kWriters = 3;
  constexpr std::uint64_t kEach = 300;
  MemStore store;
  Journal journal(store, kWriters * kEach);
  std::vector<std::jthread> writers;
  for (std::uint64_t i = 0; i < kWriters; ++i) {
    writers.emplace_back([&] {
      for (std::uint64_t n = 0; n < kEach; ++n) EXPECT_EQ(error_of(journal.append({}, {})), 0);
    });
  }
  std::uint64_t last = 0;
  while (last < kWriters * kEach) {
    for (const std::uint64_t sequence : sequences(journal.after(last, 7))) {
      ASSERT_EQ(sequence, last + 1);
      last = sequence;
    }
  }
}

// As if almost all that fits had been written before.
TEST(UnitIndexJournal, IsBounded) {
  MemStore store;
  Batch batch;
  batch.put(Table::meta, "next_event", number_key(UnitIndex::kJournalMax));
  batch.put(Table::journal, number_key(1), encode(EventRecord{}));
  batch.put(Table::journal, number_key(2), encode(EventRecord{}));
  EXPECT_EQ(error_of(UnitIndex::open(store)), 0);
  EXPECT_EQ(error_of(store.commit(batch, Durability::process_crash)), 0);
  const auto index = UnitIndex::open(store).value();
  for (int i = 0; i < 2; ++i) EXPECT_EQ(error_of(index->append_event({})), 0);
  EXPECT_EQ(store.get(Table::journal, number_key(1)).value(), std::nullopt);
  EXPECT_NE(store.get(Table::journal, number_key(2)).value(), std::nullopt);
}

}  // namespace
}  // namespace ebbfs
