// SPDX-License-Identifier: Apache-2.0
#include "fs/dir_cache.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>
#include <vector>

namespace ebbfs {
namespace {

UniqueFd open_directory() { return UniqueFd(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)); }

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

// `count` numbers that a cache keeps in one shard, where each pushes the others out.
std::vector<InodeId> numbers_of_one_shard(std::size_t count) {
  DirCache one_each(0);
  std::vector<InodeId> found{InodeId{1}};
  for (std::uint64_t number = 2; found.size() < count; ++number) {
    one_each.put(found.front(), open_directory());
    one_each.put(InodeId{number}, open_directory());
    if (one_each.get(found.front()) == nullptr) found.push_back(InodeId{number});
  }
  return found;
}

TEST(DirCache, GivesBackWhatWasPut) {
  DirCache cache(100);
  EXPECT_EQ(cache.get(InodeId{7}), nullptr);
  const SharedFd put = cache.put(InodeId{7}, open_directory());
  EXPECT_TRUE(is_open(put->get()));
  EXPECT_EQ(cache.get(InodeId{7}), put);
  EXPECT_EQ(cache.get(InodeId{8}), nullptr);
  EXPECT_EQ(cache.size(), 1U);
}

TEST(DirCache, KeepsNoMoreThanItsCapacity) {
  constexpr std::size_t kCapacity = 64;
  constexpr std::size_t kShards = 16;
  DirCache cache(kCapacity);
  for (std::uint64_t number = 1; number <= 1000; ++number) {
    cache.put(InodeId{number}, open_directory());
  }
  EXPECT_LE(cache.size(), kCapacity + kShards);
  EXPECT_GE(cache.size(), kCapacity / 2);
}

TEST(DirCache, PushesOutTheLeastRecentlyUsed) {
  const auto numbers = numbers_of_one_shard(3);
  DirCache cache(16);  // two to a shard
  cache.put(numbers[0], open_directory());
  cache.put(numbers[1], open_directory());
  (void)cache.get(numbers[0]);
  cache.put(numbers[2], open_directory());
  EXPECT_NE(cache.get(numbers[0]), nullptr);
  EXPECT_EQ(cache.get(numbers[1]), nullptr);
  EXPECT_NE(cache.get(numbers[2]), nullptr);
}

TEST(DirCache, DescriptorStaysOpenUntilItsLastHolderLetsGo) {
  DirCache cache(0);
  SharedFd held = cache.put(InodeId{1}, open_directory());
  const int fd = held->get();
  cache.erase(InodeId{1});
  EXPECT_EQ(cache.get(InodeId{1}), nullptr);
  EXPECT_TRUE(is_open(fd));
  held.reset();
  EXPECT_FALSE(is_open(fd));
}

TEST(DirCache, PutTakesThePlaceOfAnOlderUseOfTheNumber) {
  DirCache cache(100);
  const int old = cache.put(InodeId{1}, open_directory())->get();
  const SharedFd present = cache.put(InodeId{1}, open_directory());
  EXPECT_FALSE(is_open(old));
  EXPECT_EQ(cache.get(InodeId{1}), present);
  EXPECT_EQ(cache.size(), 1U);
}

TEST(DirCache, ShrinkClosesTheLessRecentHalf) {
  const auto numbers = numbers_of_one_shard(4);
  DirCache cache(1000);
  for (const InodeId number : numbers) cache.put(number, open_directory());
  cache.shrink();
  EXPECT_EQ(cache.size(), 2U);
  EXPECT_EQ(cache.get(numbers[1]), nullptr);
  EXPECT_NE(cache.get(numbers[2]), nullptr);
}

TEST(DirCache, ShrinkFreesTheLastOneOfAShard) {
  DirCache cache(1000);
  cache.put(InodeId{1}, open_directory());
  cache.shrink();
  EXPECT_EQ(cache.size(), 0U);
}

TEST(DirCache, ClearClosesAll) {
  DirCache cache(1000);
  std::vector<int> fds;
  for (std::uint64_t number = 1; number <= 50; ++number) {
    fds.push_back(cache.put(InodeId{number}, open_directory())->get());
  }
  cache.clear();
  EXPECT_EQ(cache.size(), 0U);
  for (const int fd : fds) EXPECT_FALSE(is_open(fd));
}

TEST(DirCache, NeverHandsOutAClosedDescriptorToAnyThread) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  DirCache cache(16);
  std::atomic<int> closed{0};
  std::vector<std::jthread> threads;
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::minstd_rand random(seed + t);
      for (int i = 0; i < 5000; ++i) {
        const InodeId number{random() % 40};
        SharedFd fd = cache.get(number);
        if (fd == nullptr) fd = cache.put(number, open_directory());
        if (random() % 16 == 0) cache.erase(number);
        if (random() % 512 == 0) cache.shrink();
        if (!is_open(fd->get())) closed.fetch_add(1);
      }
    });
  }
  threads.clear();
  EXPECT_EQ(closed, 0);
  EXPECT_LE(cache.size(), 32U);
}

}  // namespace
}  // namespace ebbfs
