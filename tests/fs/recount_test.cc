// SPDX-License-Identifier: Apache-2.0
#include "fs/recount.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace ebbfs {
namespace {

constexpr UnitId kCounted{7};
constexpr UnitId kOther{8};
constexpr InodeId kFile{100};
constexpr Usage kPage{.bytes = {4096}, .inodes = 1};
constexpr Usage kTwoPages{.bytes = {8192}, .inodes = 1};

UsageCell of(uid_t uid, const Usage& usage) { return {uid, uid, usage}; }

using Cells = std::vector<UsageCell>;

TEST(Recount, CountsAnInodeOnceWithWhatItHeldFirst) {
  Recount recount;
  recount.begin(kCounted);
  recount.count(kCounted, kFile, 1, 1, kPage);
  recount.count(kCounted, kFile, 1, 1, kTwoPages);
  recount.count(kCounted, kFile, 2, 2, kPage);
  EXPECT_EQ(recount.cells(), Cells{of(1, kPage)});
}

TEST(Recount, DoesNotCountWhatWasBornSince) {
  Recount recount;
  recount.begin(kCounted);
  recount.born(kCounted, kFile);
  recount.count(kCounted, kFile, 1, 1, kPage);
  EXPECT_EQ(recount.cells(), Cells{});
}

TEST(Recount, KeepsCountedWhatIsBornAgainUnderItsNumber) {
  Recount recount;
  recount.begin(kCounted);
  recount.count(kCounted, kFile, 1, 1, kPage);
  recount.born(kCounted, kFile);
  EXPECT_EQ(recount.cells(), Cells{of(1, kPage)});
}

TEST(Recount, PassesOverRequestsThatAreLateForAnotherUnit) {
  Recount recount;
  recount.begin(kOther);
  recount.count(kOther, kFile, 1, 1, kPage);
  recount.begin(kCounted);
  recount.count(kOther, InodeId{101}, 1, 1, kPage);
  recount.born(kOther, kFile);
  recount.count(kCounted, kFile, 1, 1, kTwoPages);
  EXPECT_EQ(recount.cells(), Cells{of(1, kTwoPages)});
}

TEST(Recount, SumsByOwnerInOrder) {
  Recount recount;
  recount.begin(kCounted);
  for (std::uint64_t i = 1; i <= 200; ++i) {
    recount.count(kCounted, InodeId{i}, i % 2 == 0 ? 5 : 3, i % 2 == 0 ? 5 : 3, kPage);
  }
  const Usage half{.bytes = {100 * 4096}, .inodes = 100};
  EXPECT_EQ(recount.cells(), (Cells{of(3, half), of(5, half)}));
}

TEST(Recount, CountsOnceWhateverTheThreads) {
  constexpr std::uint64_t kInodes = 5000;
  Recount recount;
  recount.begin(kCounted);
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&recount] {
      for (std::uint64_t i = 1; i <= kInodes; ++i) recount.count(kCounted, InodeId{i}, 1, 1, kPage);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(recount.cells(), Cells{of(1, {{4096 * kInodes}, kInodes})});
}

TEST(RecountDifference, IsEmptyWhereBothAgreeInWhateverOrder) {
  EXPECT_EQ(
      difference(Cells{of(1, kPage), of(2, kTwoPages)}, Cells{of(2, kTwoPages), of(1, kPage)}),
      Cells{});
}

TEST(RecountDifference, IsWhatWasCountedLessWhatIsHeldEachWay) {
  EXPECT_EQ(difference(Cells{of(1, kTwoPages)}, Cells{of(1, kPage), of(2, kPage)}),
            (Cells{of(1, {{4096}, 0}), of(2, {{-4096}, -1})}));
  EXPECT_EQ(difference({}, Cells{of(2, kPage)}), (Cells{of(2, {{-4096}, -1})}));
}

}  // namespace
}  // namespace ebbfs
