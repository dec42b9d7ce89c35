// SPDX-License-Identifier: Apache-2.0
//
// flock and fcntl locks between processes on a real mount. (Lock classes are another matter.)
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include "tests/support/child.h"
#include "tests/support/each_filesystem.h"

namespace ebbfs::test {
namespace {

using namespace std::chrono_literals;

class RecordLocks : public OnEachFilesystem {};
INSTANTIATE_TEST_SUITE_P(, RecordLocks, testing::ValuesIn(kFilesystemsAndTransports), ground_name);

struct flock range(short type, off_t start, off_t length) {
  struct flock lock{};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = start;
  lock.l_len = length;
  return lock;
}

// Opens the file, locks it by `take` (0 or an errno), says how that went, and holds it.
ChildProcess holder(const std::string& path, const std::function<int(int)>& take) {
  return ChildProcess([=](const ChildProcess::Talk& talk) -> int {
    const int fd = ::open(path.c_str(), O_RDWR);
    talk.tell(take(fd));
    talk.wait();
    ::close(fd);
    talk.tell(0);
    talk.wait_for_ever();
  });
}

TEST_P(RecordLocks, FlockExcludesUntilClosed) {
  put(at("file"), "x");
  const ChildProcess other =
      holder(at("file"), [](int fd) { return errno_of(::flock(fd, LOCK_EX)); });
  ASSERT_EQ(other.hear(), 0);
  const UniqueFd fd = opened(at("file"), O_RDWR);
  EXPECT_EQ(errno_of(::flock(fd.get(), LOCK_SH | LOCK_NB)), EWOULDBLOCK);
  other.go_on();
  other.hear();
  EXPECT_TRUE(eventually([&] { return ::flock(fd.get(), LOCK_SH | LOCK_NB) == 0; }, 10s));
}

TEST_P(RecordLocks, FlockSharesAmongReaders) {
  put(at("file"), "x");
  const ChildProcess other =
      holder(at("file"), [](int fd) { return errno_of(::flock(fd, LOCK_SH)); });
  ASSERT_EQ(other.hear(), 0);
  const UniqueFd fd = opened(at("file"), O_RDWR);
  EXPECT_EQ(::flock(fd.get(), LOCK_SH | LOCK_NB), 0);
  EXPECT_EQ(errno_of(::flock(fd.get(), LOCK_EX | LOCK_NB)), EWOULDBLOCK);
}

TEST_P(RecordLocks, AWaiterGetsTheFlockOfAKilledHolder) {
  put(at("file"), "x");
  const ChildProcess other =
      holder(at("file"), [](int fd) { return errno_of(::flock(fd, LOCK_EX)); });
  ASSERT_EQ(other.hear(), 0);
  const ChildProcess waiter =
      holder(at("file"), [](int fd) { return errno_of(::flock(fd, LOCK_EX)); });
  other.kill();
  EXPECT_EQ(waiter.hear(), 0);
}

TEST_P(RecordLocks, FcntlLocksExcludeByRangeAndNameTheirHolder) {
  put(at("file"), pattern(1000));
  const ChildProcess other = holder(at("file"), [](int fd) {
    struct flock lock = range(F_WRLCK, 100, 100);
    return errno_of(::fcntl(fd, F_SETLK, &lock));
  });
  ASSERT_EQ(other.hear(), 0);
  const UniqueFd fd = opened(at("file"), O_RDWR);
  struct flock clash = range(F_RDLCK, 150, 10);
  EXPECT_EQ(errno_of(::fcntl(fd.get(), F_SETLK, &clash)), EAGAIN);
  struct flock asked = range(F_WRLCK, 0, 0);
  ASSERT_EQ(::fcntl(fd.get(), F_GETLK, &asked), 0);
  EXPECT_EQ(asked.l_type, F_WRLCK);
  EXPECT_EQ(asked.l_start, 100);
  EXPECT_EQ(asked.l_len, 100);
  EXPECT_EQ(asked.l_pid, other.pid());
  struct flock beside = range(F_WRLCK, 200, 100);
  EXPECT_EQ(::fcntl(fd.get(), F_SETLK, &beside), 0);
  other.kill();
  EXPECT_TRUE(eventually([&] { return ::fcntl(fd.get(), F_SETLK, &clash) == 0; }, 10s));
}

TEST_P(RecordLocks, AWaiterGetsTheFcntlLockWhenItIsReleased) {
  put(at("file"), "x");
  const auto wait_for_it = [](int fd) {
    struct flock lock = range(F_WRLCK, 0, 0);
    return errno_of(::fcntl(fd, F_SETLKW, &lock));
  };
  const ChildProcess other = holder(at("file"), wait_for_it);
  ASSERT_EQ(other.hear(), 0);
  const ChildProcess waiter = holder(at("file"), wait_for_it);
  other.go_on();
  EXPECT_EQ(waiter.hear(), 0);
}

TEST_P(RecordLocks, LocksOfOpenFileDescriptionsExcludeEachOther) {
  put(at("file"), "x");
  const UniqueFd first = opened(at("file"), O_RDWR);
  const UniqueFd second = opened(at("file"), O_RDWR);
  struct flock lock = range(F_WRLCK, 0, 10);
  ASSERT_EQ(::fcntl(first.get(), F_OFD_SETLK, &lock), 0);
  EXPECT_EQ(errno_of(::fcntl(second.get(), F_OFD_SETLK, &lock)), EAGAIN);
  lock.l_type = F_UNLCK;
  ASSERT_EQ(::fcntl(first.get(), F_OFD_SETLK, &lock), 0);
  lock.l_type = F_WRLCK;
  EXPECT_EQ(::fcntl(second.get(), F_OFD_SETLK, &lock), 0);
}

}  // namespace
}  // namespace ebbfs::test
