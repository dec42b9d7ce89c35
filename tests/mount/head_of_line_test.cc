// SPDX-License-Identifier: Apache-2.0
//
// A request that takes long delays no other: it leaves the thread that read it. Here it takes as
// long as the test likes, as the backing filesystem is frozen under it; and all callers are on one
// CPU, so over io_uring they share one ring.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <iterator>
#include <thread>

#include "tests/support/each_filesystem.h"

namespace ebbfs::test {
namespace {

using namespace std::chrono_literals;

constexpr Ground kGrounds[] = {
    {.name = "Xfs", .filesystem = "xfs", .transport = ""},
    {.name = "XfsOverDevFuse", .filesystem = "xfs", .transport = "dev"},
};

void stay_on_one_cpu() {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(0, &one);
  ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
}

// Holds changes of a filesystem up until it goes, or for 20 s should the test be stuck.
class Freeze {
 public:
  // `fd`: any directory on it.
  explicit Freeze(UniqueFd fd) : fd_(std::move(fd)) {
    frozen_ = ::ioctl(fd_.get(), FIFREEZE, 0) == 0;
    watchdog_ = std::thread([this] {
      (void)eventually([this] { return ended_.load(); }, 20s);
      thaw();
    });
  }
  ~Freeze() {
    ended_ = true;
    watchdog_.join();
  }
  Freeze(const Freeze&) = delete;
  Freeze& operator=(const Freeze&) = delete;
  [[nodiscard]] bool frozen() const { return frozen_; }

 private:
  void thaw() {
    if (frozen_.exchange(false)) ::ioctl(fd_.get(), FITHAW, 0);
  }

  UniqueFd fd_;
  std::atomic<bool> frozen_{false};
  std::atomic<bool> ended_{false};
  std::thread watchdog_;
};

class HeadOfLine : public OnEachFilesystem {
 protected:
  // The volume is covered by the mount, but the daemon has it open.
  [[nodiscard]] UniqueFd backing_directory() const {
    const std::string all = "/proc/" + std::to_string(volume_->daemon()) + "/fd";
    for (const auto& entry : std::filesystem::directory_iterator(all)) {
      UniqueFd fd(::open(entry.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      struct statfs found{};
      if (fd.valid() && ::fstatfs(fd.get(), &found) == 0 && found.f_type == XFS_SUPER_MAGIC) {
        return fd;
      }
    }
    return UniqueFd();
  }
};
INSTANTIATE_TEST_SUITE_P(, HeadOfLine, testing::ValuesIn(kGrounds), ground_name);

TEST_P(HeadOfLine, LookupsAndReadsGoOnWhileOthersWaitForTheBackingFilesystem) {
  put(at("small"), "some text");
  const UniqueFd file = opened(at("file"), O_RDWR | O_CREAT);
  UniqueFd backing = backing_directory();
  ASSERT_TRUE(backing.valid());

  std::atomic<int> allocated{0};
  std::vector<std::thread> waiting;
  {
    const Freeze freeze(std::move(backing));
    ASSERT_TRUE(freeze.frozen());
    for (int i = 0; i < 4; ++i) {
      waiting.emplace_back([&] {
        stay_on_one_cpu();
        if (::fallocate(file.get(), 0, 0, 4096) == 0) ++allocated;
      });
    }
    std::thread looking([&] {
      stay_on_one_cpu();
      ::usleep(100'000);
      for (int i = 0; i < 200; ++i) {
        EXPECT_FALSE(exists(at("absent" + std::to_string(i))));
      }
      EXPECT_EQ(get(at("small")), "some text");
    });
    looking.join();
    EXPECT_TRUE(freeze.frozen()) << "the lookups waited for the thaw";
    EXPECT_EQ(allocated, 0);
  }
  for (std::thread& one : waiting) one.join();
  EXPECT_EQ(allocated, 4);
}

// A worker that answers a request owns that place of the ring from then on, so it must not go away.
class AnsweredByWorkers : public OnVolume {
 protected:
  // More callers at once than a sequence of requests needs places, each waiting for a worker.
  [[nodiscard]] int errors_of_syncs_at_once() const {
    std::atomic<int> errors{0};
    std::vector<std::thread> callers;
    for (int n = 0; n < 8; ++n) {
      callers.emplace_back([&, n] {
        stay_on_one_cpu();
        const UniqueFd file = opened(at("synced" + std::to_string(n)), O_RDWR | O_CREAT);
        for (int i = 0; i < 20; ++i) {
          if (::pwrite(file.get(), "x", 1, 0) != 1 || ::fsync(file.get()) != 0) ++errors;
        }
      });
    }
    for (std::thread& caller : callers) caller.join();
    return errors;
  }
  [[nodiscard]] std::ptrdiff_t daemon_threads() const {
    return std::distance(
        std::filesystem::directory_iterator("/proc/" + std::to_string(volume_->daemon()) + "/task"),
        std::filesystem::directory_iterator());
  }
};

TEST_F(AnsweredByWorkers, RequestsAfterALongSilenceAreServed) {
  ASSERT_EQ(errors_of_syncs_at_once(), 0);
  const std::ptrdiff_t threads = daemon_threads();
  // Longer than any thread of the daemon may be idle before it ends.
  std::this_thread::sleep_for(7s);
  EXPECT_EQ(daemon_threads(), threads);
  EXPECT_EQ(errors_of_syncs_at_once(), 0);
}

}  // namespace
}  // namespace ebbfs::test
