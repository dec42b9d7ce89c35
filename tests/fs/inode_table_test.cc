// SPDX-License-Identifier: Apache-2.0
#include "fs/inode_table.h"

#include <gtest/gtest.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <memory>
#include <random>
#include <set>
#include <thread>
#include <utility>
#include <vector>

namespace ebbfs {
namespace {

constexpr InodeId kNumber{42};

FileHandle handle_of(std::uint8_t generation) {
  FileHandle handle;
  handle.type = 1;
  handle.size = 8;
  handle.data[0] = 42;
  handle.data[4] = generation;
  return handle;
}

Inode::Place place_of(std::uint8_t generation) {
  Inode::Place place;
  place.handle = handle_of(generation);
  return place;
}

UnitRef make_unit() {
  UsageLedger ledger;
  return std::make_shared<Unit>(UnitRecord{}, ledger.open_unit(kRootUnit, "", ""), kNever);
}

// As a reply to LOOKUP does.
void lookup(InodeTable& table, InodeId id, const Inode::Place& place) {
  table.intern(id, place).add_lookup();
}

// With the log where a death test reads it.
void forget_aloud(InodeTable& table, InodeId id, std::uint64_t lookups) {
  spdlog::set_default_logger(spdlog::stderr_logger_st("stderr"));
  table.forget(id, lookups);
}

TEST(Standpoint, DoesNotBindWhatIsInADirectoryThatWasMovedMeanwhile) {
  InodeTable table;
  const UnitRef before = make_unit();
  const UnitRef after = make_unit();
  Inode::Place place = place_of(7);
  place.unit = before;
  const InodeRef directory = table.intern(InodeId{7}, place);
  Standpoint at(*directory);
  Inode::Place child = place_of(1);
  child.unit = at.place().unit;
  ASSERT_TRUE(table.intern(kNumber, child, at));

  const InodeRef known = table.intern(InodeId{43}, child);
  directory->move_to(after, kDeadState, false);
  known->move_to(after, kDeadState, false);
  EXPECT_FALSE(at.holds());
  EXPECT_FALSE(table.intern(InodeId{43}, child, at)) << "it has moved along";
  EXPECT_EQ(known->unit(), after);
  EXPECT_FALSE(table.intern(InodeId{44}, child, at));
  EXPECT_FALSE(table.find(InodeId{44}));

  at.look_again();
  child.unit = at.place().unit;
  EXPECT_EQ(child.unit, after);
  EXPECT_TRUE(table.intern(InodeId{44}, child, at));
}

TEST(InodeTable, FindsOnlyWhatIsKnown) {
  InodeTable table;
  EXPECT_FALSE(table.find(kNumber));
  lookup(table, kNumber, place_of(1));
  const InodeRef found = table.find(kNumber);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->id, kNumber);
  EXPECT_EQ(found->handle(), handle_of(1));
  EXPECT_FALSE(table.find(InodeId{43}));
}

TEST(InodeTable, AnObjectThatTheKernelWasNotToldGoesWithItsReference) {
  InodeTable table;
  {
    const InodeRef ref = table.intern(kNumber, place_of(1));
    EXPECT_EQ(table.size(), 1U);
  }
  EXPECT_EQ(table.size(), 0U);
  EXPECT_FALSE(table.find(kNumber));
}

TEST(InodeTable, ForgetDropsTheObjectWithTheLastLookup) {
  InodeTable table;
  lookup(table, kNumber, place_of(1));
  lookup(table, kNumber, place_of(1));
  lookup(table, kNumber, place_of(1));
  table.forget(kNumber, 2);
  EXPECT_TRUE(table.find(kNumber));
  table.forget(kNumber, 1);
  EXPECT_FALSE(table.find(kNumber));
  EXPECT_EQ(table.size(), 0U);
}

TEST(InodeTable, AnObjectInUseOutlivesItsNumber) {
  InodeTable table;
  InodeRef open = table.intern(kNumber, place_of(1));
  open.add_lookup();
  table.forget(kNumber, 1);
  EXPECT_EQ(open->handle(), handle_of(1));
  EXPECT_TRUE(table.find(kNumber)) << "it is found again and not made twice";
  open = InodeRef{};
  EXPECT_EQ(table.size(), 0U);
}

TEST(InodeTable, AReferenceMovesWithoutBeingCountedTwice) {
  InodeTable table;
  InodeRef first = table.intern(kNumber, place_of(1));
  InodeRef second = std::move(first);
  EXPECT_TRUE(second);
  first = std::move(second);
  EXPECT_EQ(table.size(), 1U);
  first = table.intern(InodeId{43}, place_of(2));
  EXPECT_EQ(table.size(), 1U) << "what it held before is let go";
}

TEST(InodeTable, LetsGoOfTheUnitWithTheObject) {
  InodeTable table;
  UnitRef unit = make_unit();
  const std::weak_ptr<Unit> watched = unit;
  Inode::Place place = place_of(1);
  place.unit = std::move(unit);
  lookup(table, kNumber, place);
  place.unit.reset();
  EXPECT_FALSE(watched.expired());
  table.forget(kNumber, 1);
  EXPECT_TRUE(watched.expired());
}

TEST(InodeTable, InternOfTheSameFileRenewsItsPlaceAndKeepsItsExtent) {
  InodeTable table;
  const InodeRef before = table.intern(kNumber, place_of(1));
  // Held, as over a slow backing call: looking the file up again does not wait for that.
  const MutexLock size_lock(before->size_mu);
  before->extent.size = 4096;
  Inode::Place place = place_of(1);
  place.state = MatchState{7};
  place.unit = make_unit();
  const InodeRef after = table.intern(kNumber, place);
  EXPECT_EQ(&*after, &*before);
  EXPECT_EQ(after->place(), place);
  EXPECT_EQ(before->extent.size, 4096);
}

TEST(InodeTable, InternOfANumberUsedAgainForgetsTheOldFile) {
  InodeTable table;
  lookup(table, kNumber, place_of(1));
  const InodeRef ref = table.find(kNumber);
  {
    const MutexLock size_lock(ref->size_mu);
    ref->extent.size = 4096;
    ref->extent.known = true;
  }
  const InodeRef reused = table.intern(kNumber, place_of(2));
  EXPECT_EQ(&*reused, &*ref) << "the kernel still holds lookups of the number";
  EXPECT_EQ(reused->handle(), handle_of(2));
  const MutexLock size_lock(reused->size_mu);
  EXPECT_EQ(reused->extent.size, 0);
  EXPECT_FALSE(reused->extent.known);
}

TEST(InodeTable, ClearDropsAllLookupsButNotWhatIsReferenced) {
  InodeTable table;
  for (std::uint64_t number = 1; number <= 1000; ++number) {
    lookup(table, InodeId{number}, place_of(1));
    lookup(table, InodeId{number}, place_of(1));
  }
  InodeRef held = table.find(InodeId{500});
  table.clear_lookups();
  EXPECT_EQ(table.size(), 1U);
  held = InodeRef{};
  EXPECT_EQ(table.size(), 0U);
}

TEST(InodeTableDeathTest, AbortsWhenMoreIsForgottenThanWasGivenOut) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  InodeTable table;
  const InodeRef reference = table.intern(kNumber, place_of(1));
  reference.add_lookup();
  EXPECT_DEATH(forget_aloud(table, kNumber, 2), "op=forget inode=42 lookups=2 known=1");
  EXPECT_DEATH(forget_aloud(table, InodeId{43}, 1), "op=forget inode=43 lookups=1 known=0");
}

TEST(InodeTable, ThreadsThatLookUpAndForgetAgreeOnWhatIsKnown) {
  constexpr std::uint64_t kNumbers = 8;  // few, so that last references meet new ones
  const auto seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  InodeTable table;
  std::atomic<int> wrong{0};
  std::vector<std::jthread> threads;
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::minstd_rand random(seed + t);
      for (int i = 0; i < 20'000; ++i) {
        const InodeId id{random() % kNumbers};
        switch (random() % 3) {
          case 0:
            lookup(table, id, place_of(static_cast<std::uint8_t>(random() % 2)));
            if (!table.find(id)) wrong.fetch_add(1);
            table.forget(id, 1);
            break;
          case 1: {
            const InodeRef ref = table.intern(id, place_of(1));
            ref.add_lookup();
            table.forget(id, 1);
            if (ref->id != id) wrong.fetch_add(1);
            break;
          }
          default:
            if (const InodeRef ref = table.find(id); ref && ref->handle().empty()) {
              wrong.fetch_add(1);
            }
        }
      }
    });
  }
  threads.clear();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(table.size(), 0U);
}

TEST(GenerationOf, IsTheSameForTheSameFileAndAnotherForTheNext) {
  EXPECT_EQ(generation_of(handle_of(1)), generation_of(handle_of(1)));
  std::set<std::uint32_t> low_bits;  // all that the kernel keeps
  for (int generation = 0; generation < 256; ++generation) {
    const auto kept =
        static_cast<std::uint32_t>(generation_of(handle_of(static_cast<std::uint8_t>(generation))));
    EXPECT_NE(kept, 0U);
    low_bits.insert(kept);
  }
  EXPECT_EQ(low_bits.size(), 256U);
}

TEST(GenerationOf, DependsOnTypeAndSizeOfTheHandle) {
  FileHandle other_type = handle_of(1);
  other_type.type = 2;
  EXPECT_NE(generation_of(other_type), generation_of(handle_of(1)));
  FileHandle shorter = handle_of(1);
  shorter.size = 7;
  EXPECT_NE(generation_of(shorter), generation_of(handle_of(1)));
}

}  // namespace
}  // namespace ebbfs
