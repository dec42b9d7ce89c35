// SPDX-License-Identifier: Apache-2.0
//
// Sixteen writers and room for one mebibyte: it is filled, and never passed.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "index/types.h"
#include "tests/mount/quota_fixture.h"
#include "tests/support/plain_files.h"

namespace ebbfs::test {
namespace {

constexpr std::int64_t kRoom = 1 << 20;
constexpr std::int64_t kRequest = 8192;
constexpr int kWriters = 16;

// Grows a file by kRequest from `size`: 0 or an errno.
using Grow = int (*)(int fd, std::int64_t size, int source);
const std::string kBytes(kRequest, 'x');

constexpr Grow kGrow[] = {
    [](int fd, std::int64_t, int) { return result_of(::write(fd, kBytes.data(), kRequest) > 0); },
    [](int fd, std::int64_t size, int) {
      return result_of(::pwrite(fd, kBytes.data(), kRequest, size) > 0);
    },
    [](int fd, std::int64_t size, int) { return result_of(::ftruncate(fd, size + kRequest) == 0); },
    [](int fd, std::int64_t size, int) {
      return result_of(::fallocate(fd, 0, size, kRequest) == 0);
    },
    [](int fd, std::int64_t size, int source) {
      off_t from = 0;
      off_t to = size;
      return result_of(::copy_file_range(source, &from, fd, &to, kRequest, 0) > 0);
    },
};
constexpr int kKinds = std::size(kGrow);

class QuotaRace : public QuotaTest, public testing::WithParamInterface<Ground> {
 protected:
  void SetUp() override { start({.filesystem = GetParam().filesystem, .policy = kQuotaPolicy}); }
  // One file each, but for appenders: they share the first, with a descriptor each.
  [[nodiscard]] std::string file(int writer) const {
    return at("units/u/" + std::to_string(writer % kKinds == 0 ? 0 : writer));
  }
  void fill(int writer) const {
    const bool appends = writer % kKinds == 0;
    const UniqueFd fd = opened(file(writer), O_WRONLY | O_CREAT | (appends ? O_APPEND : 0));
    const UniqueFd source = opened(at("plain/source"), O_RDONLY);
    int error = 0;
    for (std::int64_t size = 0; error == 0; size += kRequest) {
      error = kGrow[writer % kKinds](fd.get(), size, source.get());
      std::this_thread::yield();
    }
    EXPECT_EQ(error, EDQUOT) << "writer " << writer;
  }
  // What has landed, by the sizes of the files.
  [[nodiscard]] std::int64_t landed() const {
    std::int64_t sum = 0;
    for (int writer = 0; writer < kWriters; ++writer) {
      struct stat status;
      if (writer != 0 && writer % kKinds == 0) continue;
      if (::stat(file(writer).c_str(), &status) == 0) sum += charge_for_size(status.st_size).n;
    }
    return sum;
  }
};
INSTANTIATE_TEST_SUITE_P(, QuotaRace, testing::ValuesIn(kFilesystems), ground_name);

TEST_P(QuotaRace, OfSixteenWritersFillsTheRoomAndNeverPassesIt) {
  ASSERT_EQ(::mkdir(at("units/u").c_str(), 0755), 0);
  put(at("plain/source"), kBytes);
  set("unit:units/u --bytes " + std::to_string(kRoom));
  std::atomic<int> at_work = kWriters;
  std::vector<std::jthread> writers;
  for (int writer = 0; writer < kWriters; ++writer) {
    writers.emplace_back([&, writer] {
      fill(writer);
      --at_work;
    });
  }
  int samples = 0;
  while (at_work > 0) {
    EXPECT_LE(landed(), kRoom);
    EXPECT_LE(held("unit:units/u").bytes, kRoom);
    ++samples;
  }
  writers.clear();
  EXPECT_GT(samples, 0);
  EXPECT_LE(landed(), kRoom);
  EXPECT_GT(landed(), kRoom - kRequest) << "less than one request may be left";
  EXPECT_EQ(volume_->count("units/u").bytes, landed());
  EXPECT_EQ(held("unit:units/u").bytes, landed());
}

}  // namespace
}  // namespace ebbfs::test
