// SPDX-License-Identifier: Apache-2.0
//
// A disk that fails, shortens or delays single calls, under the real daemon: the caller gets the
// errno that the disk gave, nobody else notices, and afterwards everything is as it was.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "tests/crash/ground.h"
#include "tests/crash/kill_board.h"
#include "tests/crash/observed.h"
#include "tests/support/plain_files.h"

namespace ebbfs::test {
namespace {

using namespace std::chrono_literals;

class Faults : public Crashing {
 protected:
  void SetUp() override {
    Crashing::SetUp();
    if (IsSkipped()) return;
    volume_.emplace(killable(disk_));
    furnish(*volume_);
    run(*volume_, "ln -s f units/a/s; setfattr -n user.test -v x units/b/f; mkdir units/a/empty");
  }
  [[nodiscard]] std::string at(const std::string& path) const { return volume_->at(path); }
  [[nodiscard]] std::ptrdiff_t descriptors() const {
    const std::string all = "/proc/" + std::to_string(volume_->daemon()) + "/fd";
    return std::distance(std::filesystem::directory_iterator(all), {});
  }

  KillSwitch disk_{"/tmp/ebbfs-fault-board." + std::to_string(::getpid())};
  std::optional<MountedVolume> volume_;
};

using Call = std::function<int(const std::string& root)>;  // 0, or -1 with errno

int open_and(const std::string& path, int flags, const std::function<ssize_t(int)>& then) {
  const UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, 0644));
  if (!fd.valid()) return -1;
  return then(fd.get()) < 0 ? -1 : 0;
}

struct Row {
  const char* call;  // of the backing tree
  Call act;
};

char g_buffer[8192];

const Row kRows[] = {
    {"create",
     [](const std::string& root) {
       return open_and(root + "/units/a/new", O_CREAT | O_EXCL | O_WRONLY, [](int) { return 0; });
     }},
    {"mkdir", [](const std::string& root) { return ::mkdir((root + "/units/a/d").c_str(), 0755); }},
    {"mknod",
     [](const std::string& root) { return ::mkfifo((root + "/units/a/p").c_str(), 0644); }},
    {"symlink",
     [](const std::string& root) { return ::symlink("f", (root + "/units/a/t").c_str()); }},
    {"link",
     [](const std::string& root) {
       return ::link((root + "/units/b/f").c_str(), (root + "/units/b/l").c_str());
     }},
    {"unlink", [](const std::string& root) { return ::unlink((root + "/units/a/sub/f").c_str()); }},
    {"rmdir", [](const std::string& root) { return ::rmdir((root + "/units/a/empty").c_str()); }},
    {"rename",
     [](const std::string& root) {
       return ::rename((root + "/plain/d/f").c_str(), (root + "/plain/d/g").c_str());
     }},
    {"rename",
     [](const std::string& root) {
       return ::rename((root + "/jobs/one/tasks/w").c_str(), (root + "/jobs/two/tasks/w").c_str());
     }},
    {"write",
     [](const std::string& root) {
       return open_and(root + "/units/b/f", O_WRONLY | O_APPEND,
                       [](int fd) { return ::write(fd, g_buffer, sizeof g_buffer); });
     }},
    {"truncate",
     [](const std::string& root) { return ::truncate((root + "/units/b/f").c_str(), 9000); }},
    {"fallocate",
     [](const std::string& root) {
       return open_and(root + "/units/b/f", O_WRONLY,
                       [](int fd) { return ::fallocate(fd, 0, 0, 20000); });
     }},
    {"copy",
     [](const std::string& root) {
       const UniqueFd from(::open((root + "/plain/f").c_str(), O_RDONLY | O_CLOEXEC));
       return open_and(root + "/units/b/f", O_WRONLY, [&](int fd) {
         return ::copy_file_range(from.get(), nullptr, fd, nullptr, 5000, 0);
       });
     }},
    {"chmod", [](const std::string& root) { return ::chmod((root + "/units/b/f").c_str(), 0600); }},
    {"chown",
     [](const std::string& root) { return ::chown((root + "/units/b/f").c_str(), 21001, 21001); }},
    {"utimens",
     [](const std::string& root) {
       const timespec times[2] = {{.tv_sec = 1, .tv_nsec = 0}, {.tv_sec = 1, .tv_nsec = 0}};
       return ::utimensat(AT_FDCWD, (root + "/units/b/f").c_str(), times, 0);
     }},
    {"setxattr",
     [](const std::string& root) {
       return ::setxattr((root + "/units/b/f").c_str(), "user.more", "y", 1, 0);
     }},
    {"getxattr",
     [](const std::string& root) {
       char value[8];
       const auto length =
           ::getxattr((root + "/units/b/f").c_str(), "user.test", value, sizeof value);
       return length < 0 ? -1 : 0;
     }},
    {"removexattr",
     [](const std::string& root) {
       return ::removexattr((root + "/units/b/f").c_str(), "user.test");
     }},
    {"read",
     [](const std::string& root) {
       return open_and(root + "/deep/x/tasks/w/f", O_RDONLY,
                       [](int fd) { return ::read(fd, g_buffer, sizeof g_buffer); });
     }},
    {"readlink",
     [](const std::string& root) {
       return ::readlink((root + "/units/a/s").c_str(), g_buffer, 100) < 0 ? -1 : 0;
     }},
    {"stat",
     [](const std::string& root) {
       struct stat found{};
       return ::lstat((root + "/other/o/f").c_str(), &found);
     }},
    {"sync",
     [](const std::string& root) {
       return open_and(root + "/units/b/f", O_WRONLY, [](int fd) { return ::fsync(fd); });
     }},
};

// Each call in turn, on one volume: refused first, with nothing changed by it, and then made.
TEST_F(Faults, ReachTheCallerAsTheyAreAndChangeNothing) {
  const std::ptrdiff_t before = descriptors();
  for (const Row& row : kRows) {
    for (const int error : {EIO, EROFS, ENOSPC}) {
      // ENOSPC of a call that needs no space is no answer of a filesystem.
      const std::string call = row.call;
      const bool grows = call == "create" || call == "mkdir" || call == "write" ||
                         call == "truncate" || call == "fallocate" || call == "copy";
      if (error == ENOSPC && !grows) continue;
      SCOPED_TRACE(call + ", errno " + std::to_string(error));
      // As it is for somebody who has not looked yet.
      volume_->unmount();
      volume_->mount();
      EXPECT_TRUE(exact_soon(*volume_));
      disk_.fail(row.call, error);
      errno = 0;
      const int done = row.act(volume_->path());
      const int got = errno;
      disk_.mend();
      EXPECT_EQ(done, -1);
      EXPECT_EQ(got, error);
      EXPECT_GE(disk_.faults(), 1U);
      EXPECT_EQ(wrong_charges(*volume_), "");
    }
    SCOPED_TRACE(std::string(row.call) + ", mended");
    EXPECT_EQ(row.act(volume_->path()), 0) << std::strerror(errno);
    EXPECT_EQ(wrong_charges(*volume_), "");
  }
  EXPECT_LE(descriptors(), before + 40) << "the cache of directories may hold a few more";
}

TEST_F(Faults, AShortWriteIsShortAndChargedAsShort) {
  const UniqueFd fd(::open(at("units/b/short").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
  ASSERT_TRUE(fd.valid());
  disk_.shorten("write", 1000);
  const std::string data(100'000, 'x');
  EXPECT_EQ(::write(fd.get(), data.data(), data.size()), 1000);
  disk_.mend();
  struct stat found{};
  ASSERT_EQ(::fstat(fd.get(), &found), 0);
  EXPECT_EQ(found.st_size, 1000);
  EXPECT_EQ(wrong_charges(*volume_), "");
}

// What callers do not ask for, on one processor, so that they share a ring.
TEST_F(Faults, ASlowSyncDelaysNobodyElse) {
  put(at("units/b/slow"), "x");
  disk_.slow("sync", 3000);
  std::thread syncing([&] {
    const UniqueFd fd(::open(at("units/b/slow").c_str(), O_WRONLY | O_CLOEXEC));
    EXPECT_EQ(::fsync(fd.get()), 0);
  });
  ASSERT_TRUE(eventually([&] { return disk_.faults() > 0; }, 5s));
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 100; ++i) {
    const std::string path = at("units/a/while-" + std::to_string(i));
    put(path, "x");
    EXPECT_EQ(get(path), "x");
    EXPECT_EQ(::unlink(path.c_str()), 0);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, 2s);
  syncing.join();
  disk_.mend();
}

// An index whose disk fails: requests go on, in memory, said in status; nothing is removed
// meanwhile, nothing is lost when it is mended.
TEST_F(Faults, AnIndexThatCannotBeWrittenIsSaidAndCaughtUpWith) {
  disk_.fail("commit", EIO);
  run(*volume_, "mkdir units/during; echo x >units/during/f; echo $$ >locks/during");
  EXPECT_TRUE(eventually([&] { return !volume_->json("status")["degraded"].empty(); }, 10s))
      << volume_->json("status").dump(1);
  EXPECT_NE(volume_->ebbctl("expire units/a").exit_code, 0);
  EXPECT_TRUE(exists(at("units/a/sub/f")));
  disk_.mend();
  EXPECT_TRUE(eventually([&] { return volume_->json("status")["degraded"].empty(); }, 20s))
      << volume_->json("status").dump(1);
  volume_->kill_daemon();
  volume_->mount();
  EXPECT_TRUE(exact_soon(*volume_));
  EXPECT_EQ(wrong_charges(*volume_), "");
  const auto units = volume_->units();
  EXPECT_TRUE(
      std::ranges::any_of(units, [](const auto& unit) { return unit["path"] == "units/during"; }));
}

}  // namespace
}  // namespace ebbfs::test
