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
constexpr NodeId kNode = node_of(kNumber, 0);

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
NodeId lookup(InodeTable& table, InodeId id, const Inode::Place& place) {
  const InodeRef inode = table.intern(id, place);
  inode.add_lookup();
  return inode->node();
}

// With the log where a death test reads it.
void forget_aloud(InodeTable& table, NodeId node, std::uint64_t lookups) {
  spdlog::set_default_logger(spdlog::stderr_logger_st("stderr"));
  table.forget(node, lookups);
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
  InodeRef other;
  ASSERT_TRUE(table.intern(kNumber, child, at, other));

  const InodeRef known = table.intern(InodeId{43}, child);
  directory->move_to(after, kDeadState, false);
  known->move_to(after, kDeadState, false);
  EXPECT_FALSE(at.holds());
  EXPECT_FALSE(table.intern(InodeId{43}, child, at, other)) << "it has moved along";
  EXPECT_EQ(known->unit(), after);
  EXPECT_FALSE(table.intern(InodeId{44}, child, at, other));
  EXPECT_FALSE(table.find(InodeId{44}));

  at.look_again();
  child.unit = at.place().unit;
  EXPECT_EQ(child.unit, after);
  EXPECT_TRUE(table.intern(InodeId{44}, child, at, other));
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
  table.forget(kNode, 2);
  EXPECT_TRUE(table.find(kNumber));
  table.forget(kNode, 1);
  EXPECT_FALSE(table.find(kNumber));
  EXPECT_EQ(table.size(), 0U);
}

TEST(InodeTable, AnObjectInUseOutlivesItsNumber) {
  InodeTable table;
  InodeRef open = table.intern(kNumber, place_of(1));
  open.add_lookup();
  table.forget(kNode, 1);
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
  table.forget(kNode, 1);
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

TEST(InodeTable, ANumberThatIsUsedAgainGetsANodeOfItsOwn) {
  InodeTable table;
  lookup(table, kNumber, place_of(1));
  const InodeRef before = table.find(kNumber);
  const InodeRef after = table.intern(kNumber, place_of(2));
  EXPECT_NE(&*after, &*before) << "a request may be on its way to the old file";
  EXPECT_TRUE(before->retired());
  EXPECT_FALSE(after->retired());
  EXPECT_NE(after->node(), before->node());
  EXPECT_EQ(number_of(after->node()), kNumber);
  EXPECT_EQ(&*table.find(kNumber), &*after);
  EXPECT_EQ(&*table.find(before->node()), &*before);
  EXPECT_EQ(before->handle(), handle_of(1)) << "it stays stale";
  EXPECT_EQ(&*table.find(after->node()), &*after);
  EXPECT_EQ(table.size(), 2U);
}

TEST(InodeTable, EachUseOfANumberIsForgottenByItself) {
  InodeTable table;
  const NodeId first = lookup(table, kNumber, place_of(1));
  const NodeId second = lookup(table, kNumber, place_of(2));
  const NodeId third = lookup(table, kNumber, place_of(3));
  EXPECT_EQ(std::set({first, second, third}).size(), 3U);
  table.forget(second, 1);
  EXPECT_FALSE(table.find(second));
  table.forget(third, 1);
  EXPECT_FALSE(table.find(kNumber));
  EXPECT_TRUE(table.find(first));
  const NodeId fourth = lookup(table, kNumber, place_of(4));
  EXPECT_NE(fourth, first) << "which the kernel still knows";
  table.forget(fourth, 1);
  table.forget(first, 1);
  EXPECT_EQ(table.size(), 0U);
  EXPECT_EQ(lookup(table, kNumber, place_of(5)), kNode) << "nothing else is known";
}

TEST(InodeTable, WhoHasLookedBeforeTheNumberWasUsedAgainDoesNotTakeItBack) {
  InodeTable table;
  const InodeRef directory = table.intern(InodeId{7}, place_of(7));
  const Standpoint at(*directory);
  lookup(table, kNumber, place_of(1));
  const InodeRef first = table.find(kNumber);

  InodeRef other;
  EXPECT_FALSE(table.intern(kNumber, place_of(2), at, other))
      << "it may be older than what is known";
  EXPECT_EQ(&*other, &*first);
  EXPECT_FALSE(first->retired());
  // Now it was looked at again. Meanwhile somebody has made a third one.
  const InodeRef third = table.intern(kNumber, place_of(3));
  EXPECT_FALSE(table.intern(kNumber, place_of(2), at, other));
  EXPECT_EQ(&*other, &*third);
  EXPECT_FALSE(third->retired());
  const InodeRef fourth = table.intern(kNumber, place_of(4), at, other);
  ASSERT_TRUE(fourth) << "seen after the third one was known";
  EXPECT_EQ(fourth->handle(), handle_of(4));
  EXPECT_TRUE(third->retired());
}

TEST(InodeTable, ARetiredObjectGoesWithItsLastReference) {
  InodeTable table;
  InodeRef open = table.intern(kNumber, place_of(1));
  const NodeId after = lookup(table, kNumber, place_of(2));
  const NodeId before = open->node();
  EXPECT_TRUE(table.find(before));
  open = InodeRef{};
  EXPECT_FALSE(table.find(before));
  EXPECT_TRUE(table.find(after));
}

TEST(InodeTable, ANumberThatLeavesNoRoomForItsUsesIsBoundAnew) {
  InodeTable table;
  const InodeId large{(1ULL << 40) + 42};
  const NodeId node = lookup(table, large, place_of(1));
  EXPECT_EQ(raw(node), raw(large));
  const InodeRef ref = table.find(large);
  {
    const MutexLock size_lock(ref->size_mu);
    ref->extent.size = 4096;
    ref->extent.known = true;
  }
  const InodeRef reused = table.intern(large, place_of(2));
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
  EXPECT_DEATH(forget_aloud(table, kNode, 2), "op=forget node=0x2a lookups=2 known=1");
  EXPECT_DEATH(forget_aloud(table, NodeId{43}, 1), "op=forget node=0x2b lookups=1 known=0");
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
        // Half of them leave no room for uses.
        const std::uint64_t number = random() % kNumbers;
        const InodeId id{number + (number % 2 << 40)};
        switch (random() % 3) {
          case 0: {
            const auto use = static_cast<std::uint8_t>(random() % 3);
            const NodeId node = lookup(table, id, place_of(use));
            const InodeRef found = table.find(node);
            if (!found) wrong.fetch_add(1);
            if (found && uses_of(id) > 0 && found->handle() != handle_of(use)) wrong.fetch_add(1);
            table.forget(node, 1);
            break;
          }
          case 1: {
            const InodeRef ref = table.intern(id, place_of(1));
            ref.add_lookup();
            table.forget(ref->node(), 1);
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
