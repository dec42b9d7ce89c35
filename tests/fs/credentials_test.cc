// SPDX-License-Identifier: Apache-2.0
//
// Files made under other credentials, on a real filesystem.
#include "fs/credentials.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/securebits.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <barrier>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "fs/unique_fd.h"
#include "tests/support/temp_tree.h"

namespace ebbfs {
namespace {

uid_t fsuid() { return static_cast<uid_t>(::setfsuid(static_cast<uid_t>(-1))); }
gid_t fsgid() { return static_cast<gid_t>(::setfsgid(static_cast<gid_t>(-1))); }

// The calling thread's umask; asking sets it for a moment, so not beside others that share it.
mode_t current_umask() {
  const mode_t mask = ::umask(0);
  ::umask(mask);
  return mask;
}

class Credentials : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    bits_ = ::prctl(PR_GET_SECUREBITS);
    umask_ = current_umask();
    if (!prepare_credentials()) GTEST_SKIP() << "needs CAP_SETPCAP";
    tree_.make_dir("dir");  // root's, mode 0755: nobody else may write there
    ASSERT_EQ(::chmod(tree_.at("dir").c_str(), 0755), 0);
  }
  void TearDown() override {
    if (::geteuid() != 0) return;
    ::umask(umask_);
    ::prctl(PR_SET_SECUREBITS, bits_);
  }

  // Makes a file of `mode` before the umask, and says what came of it.
  [[nodiscard]] struct stat make(const std::string& name, mode_t mode = 0666) const {
    const auto path = tree_.at("dir/" + name);
    const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    EXPECT_TRUE(fd.valid()) << name;
    struct stat status{};
    EXPECT_EQ(::stat(path.c_str(), &status), 0) << name;
    return status;
  }

  TempTree tree_;
  int bits_ = 0;
  mode_t umask_ = 0;
};

TEST_F(Credentials, MakeFilesBelongToTheCallerWhereItMayNotWriteItself) {
  struct stat status{};
  {
    const auto scope = CredentialScope::enter(1000, 1001, 0);
    ASSERT_TRUE(scope.has_value());
    EXPECT_EQ(fsuid(), 1000U);
    EXPECT_EQ(fsgid(), 1001U);
    status = make("file");
  }
  EXPECT_EQ(status.st_uid, 1000U);
  EXPECT_EQ(status.st_gid, 1001U);
  EXPECT_EQ(status.st_mode & 07777U, 0666U);
}

TEST_F(Credentials, ArePutBackAtTheEndOfTheScope) {
  {
    const auto scope = CredentialScope::enter(1000, 1000, 027);
    ASSERT_TRUE(scope.has_value());
    EXPECT_EQ(current_umask(), 027U);
  }
  EXPECT_EQ(fsuid(), 0U);
  EXPECT_EQ(fsgid(), 0U);
  EXPECT_EQ(current_umask(), 0U);
  const auto status = make("file");
  EXPECT_EQ(status.st_uid, 0U);
  EXPECT_EQ(status.st_gid, 0U);
  EXPECT_EQ(status.st_mode & 07777U, 0666U);
}

TEST_F(Credentials, OfRootChangeNothing) {
  const auto scope = CredentialScope::enter(0, 0, 0);
  ASSERT_TRUE(scope.has_value());
  EXPECT_EQ(fsuid(), 0U);
  EXPECT_EQ(make("file").st_uid, 0U);
}

TEST_F(Credentials, ApplyTheUmask) {
  const auto scope = CredentialScope::enter(1000, 1000, 077);
  ASSERT_TRUE(scope.has_value());
  EXPECT_EQ(make("file").st_mode & 07777U, 0600U);
}

TEST_F(Credentials, NestAndUnwindInOrder) {
  const auto outer = CredentialScope::enter(1000, 1000, 022);
  ASSERT_TRUE(outer.has_value());
  {
    const auto inner = CredentialScope::enter(0, 0, 0);
    ASSERT_TRUE(inner.has_value());
    EXPECT_EQ(make("inner").st_uid, 0U);
  }
  const auto status = make("outer");
  EXPECT_EQ(status.st_uid, 1000U);
  EXPECT_EQ(status.st_mode & 07777U, 0644U);
}

TEST_F(Credentials, EndWithTheScopeThatTheyWereMovedTo) {
  {
    auto first = CredentialScope::enter(1000, 1000, 0);
    ASSERT_TRUE(first.has_value());
    const CredentialScope second(*std::move(first));
    first = fail(EINVAL);  // ends the empty scope
    EXPECT_EQ(fsuid(), 1000U);
  }
  EXPECT_EQ(fsuid(), 0U);
}

TEST_F(Credentials, ThatCannotBeWornAreRefused) {
  const auto no_user = CredentialScope::enter(static_cast<uid_t>(-1), 1000, 022);
  ASSERT_FALSE(no_user.has_value());
  EXPECT_EQ(code(no_user.error()), EPERM);
  EXPECT_EQ(fsuid(), 0U);
  EXPECT_EQ(fsgid(), 0U);
  EXPECT_EQ(current_umask(), 0U);
}

TEST_F(Credentials, OfUnprivilegedDaemonAreItsOwnOrNone) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::prctl(PR_SET_SECUREBITS, 0);  // or the capabilities would stay
    if (::setresgid(1000, 1000, 1000) != 0 || ::setresuid(1000, 1000, 1000) != 0) std::_Exit(1);
    // A thread of its own: what the first one wears was noted when it was root.
    int result = 2;
    std::thread([&] {
      if (!CredentialScope::enter(1000, 1000, 0)) return;
      if (CredentialScope::enter(1001, 1000, 0) || CredentialScope::enter(1000, 1001, 0)) return;
      if (CredentialScope::enter(0, 0, 0)) return;
      result = 0;
    }).join();
    std::_Exit(result);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(Credentials, OfOneThreadDoNotDisturbAnother) {
  constexpr int kRounds = 50;
  std::barrier<> both(2);
  const auto work = [&](uid_t uid, mode_t umask, mode_t want) {
    for (int round = 0; round < kRounds; ++round) {
      const auto scope = CredentialScope::enter(uid, uid, umask);
      EXPECT_TRUE(scope.has_value());
      both.arrive_and_wait();  // both scopes stand
      const auto status = make(std::to_string(uid) + "-" + std::to_string(round));
      EXPECT_EQ(status.st_uid, uid);
      EXPECT_EQ(status.st_gid, uid);
      EXPECT_EQ(status.st_mode & 07777U, want);
      both.arrive_and_wait();
    }
  };
  {
    const std::jthread one([&] { work(1000, 077, 0600); });
    const std::jthread other([&] { work(2000, 022, 0644); });
  }
  EXPECT_EQ(fsuid(), 0U);
  EXPECT_EQ(current_umask(), 0U);
}

}  // namespace
}  // namespace ebbfs
