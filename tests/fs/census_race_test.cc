// SPDX-License-Identifier: Apache-2.0
//
// Counting while the tree changes: random operations between the steps of the walk, and on threads
// beside it. Whatever happened, the counters are exact in the end.
#include <fcntl.h>
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/fs/six_directories.h"
#include "tests/support/volume_rig.h"

namespace ebbfs {
namespace {

constexpr int kFiles = 8;

class Chaos {
 public:
  Chaos(VolumeRig& rig, unsigned seed) : rig_(rig), random_(seed) {}

  void operator()() {
    switch (pick(8)) {
      case 0:
        (void)rig_.write_file(file(), std::string(static_cast<std::size_t>(pick(9000)), 'x'));
        return;
      case 1:
        (void)rig_.remove(file());
        return;
      case 2:
        (void)rig_.rename(file(), file());
        return;
      case 3:
        (void)rig_.link(file(), file());
        return;
      case 4:
        (void)rig_.change_owner(file(), static_cast<uid_t>(1000 + pick(2)), 1000);
        return;
      case 5:
        (void)rig_.rename(directory(pick(kDirectories)) + "/d",
                          directory(pick(kDirectories)) + "/d");
        return;
      case 6:
        (void)rig_.make_dir(directory(pick(kDirectories)) + "/d");
        return;
      default: {
        const std::string path = file();
        if (rig_.at(path) == kNoNode) return;
        OpenFile* const open = rig_.open(path, O_RDWR);
        if (open == nullptr) return;
        (void)rig_.append(open, std::string(static_cast<std::size_t>(pick(9000)), 'x'));
        if (pick(2) == 0) (void)rig_.remove(path);
        rig_.close(open);
        return;
      }
    }
  }

 private:
  int pick(int below) { return static_cast<int>(random_() % static_cast<unsigned>(below)); }
  std::string file() {
    const std::string inner = pick(4) == 0 ? "/d/" : "/";
    return directory(pick(kDirectories)) + inner + std::to_string(pick(kFiles));
  }

  VolumeRig& rig_;
  std::mt19937 random_;
};

void fill(VolumeRig& rig) {
  for (int i = 0; i < kDirectories; ++i) {
    for (int j = 0; j < kFiles; j += 2) {
      rig.tree.write_file(directory(i) + "/" + std::to_string(j), std::string(6000, 'x'));
    }
    rig.tree.write_file(directory(i) + "/d/1", "x");
  }
}

class CensusRace : public testing::TestWithParam<unsigned> {};

TEST_P(CensusRace, IsExactWhateverChangesBetweenItsSteps) {
  const unsigned seed = GetParam();
  SCOPED_TRACE("seed " + std::to_string(seed));
  VolumeRig rig;
  fill(rig);
  rig.mount(false);
  Chaos chaos(rig, seed);
  std::mt19937 random(seed + 1);
  while (rig.census().step() != Census::Step::done) {
    for (auto i = random() % 6; i > 0; --i) chaos();
  }
  EXPECT_TRUE(rig.exact());
  for (int i = 0; i < 50; ++i) chaos();
  EXPECT_TRUE(rig.exact());
  // A crash in use, and the same again.
  rig.crash();
  rig.mount(false);
  Chaos more(rig, seed + 2);
  while (rig.census().step() != Census::Step::done) {
    for (auto i = random() % 6; i > 0; --i) more();
  }
  EXPECT_TRUE(rig.exact());
}

INSTANTIATE_TEST_SUITE_P(Seeds, CensusRace, testing::Range(1U, 41U));

TEST(CensusThreads, IsExactWhileRequestsRunBesideIt) {
  constexpr int kWriters = 3;
  constexpr int kRounds = 300;
  VolumeRig rig;
  fill(rig);
  rig.mount(false);
  rig.census().start();
  // The kernel serialises changes of one directory; so each writer has one of its own.
  std::vector<std::thread> writers;
  for (int writer = 0; writer < kWriters; ++writer) {
    writers.emplace_back([&rig, writer] {
      const std::string top = directory(writer + 1);
      for (int i = 0; i < kRounds; ++i) {
        const std::string path = top + "/" + std::to_string(i % kFiles);
        if (!rig.remove(path)) (void)rig.write_file(path, std::string(5000, 'x'));
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (rig.census().progress().running && std::chrono::steady_clock::now() < limit) {
    std::this_thread::yield();
  }
  rig.census().stop();
  EXPECT_FALSE(rig.census().progress().running);
  EXPECT_TRUE(rig.exact());
}

// A file is charged before it is made and marked after it: the walk may see it in between.
TEST(CensusThreads, IsExactWhileFilesAreMadeJustAheadOfIt) {
  constexpr int kDirectoriesAhead = 1000;
  VolumeRig rig;
  for (int i = 0; i < kDirectoriesAhead; ++i) {
    rig.tree.write_file("plain/" + std::to_string(i) + "/old", "x");
  }
  rig.mount(false);
  rig.census().start();
  for (int i = 0; rig.census().progress().running; i = (i + 1) % kDirectoriesAhead) {
    const std::string path = "plain/" + std::to_string(i) + "/new";
    if (!rig.remove(path)) (void)rig.write_file(path, "x");
  }
  rig.census().stop();
  EXPECT_TRUE(rig.exact());
}

}  // namespace
}  // namespace ebbfs
