// SPDX-License-Identifier: Apache-2.0
//
// Attributes on a real mount: modes, owners, times, extended attributes and ACLs.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <ctime>
#include <string>
#include <vector>

#include "tests/support/each_filesystem.h"

namespace ebbfs::test {
namespace {

using testing::HasSubstr;

class Attributes : public OnEachFilesystem {
 protected:
  // A file of Alice's that everybody may write, with suid and sgid.
  void make_suid() {
    ::unlink(at("suid").c_str());
    put(at("suid"), "content");
    ASSERT_EQ(::chown(at("suid").c_str(), kAlice, kAlice), 0);
    ASSERT_EQ(::chmod(at("suid").c_str(), 06777), 0);
    ASSERT_EQ(mode_of(at("suid")), 06777U);
  }
};
INSTANTIATE_TEST_SUITE_P(, Attributes, testing::ValuesIn(kFilesystems), ground_name);

TEST_P(Attributes, ModesAndOwnersAreSetByThoseWhoMay) {
  put(at("file"), "x");
  ASSERT_EQ(::chown(at("file").c_str(), kAlice, kAlice), 0);
  EXPECT_EQ(as(alice(), [&] { return errno_of(::chmod(at("file").c_str(), 0640)); }), 0);
  EXPECT_EQ(mode_of(at("file")), 0640U);
  EXPECT_EQ(as(bob(), [&] { return errno_of(::chmod(at("file").c_str(), 0777)); }), EPERM);
  EXPECT_EQ(as(alice(), [&] { return errno_of(::chown(at("file").c_str(), kBob, kAlice)); }),
            EPERM);
  const Identity member{.uid = kAlice, .gid = kAlice, .groups = {31000}};
  EXPECT_EQ(as(member, [&] { return errno_of(::chown(at("file").c_str(), kAlice, 31000)); }), 0);
  EXPECT_EQ(as(alice(), [&] { return errno_of(::chown(at("file").c_str(), kAlice, 31001)); }),
            EPERM);
  EXPECT_EQ(status_of(at("file")).st_gid, 31000U);
}

TEST_P(Attributes, PermissionsBindEverybodyButRoot) {
  put(at("secret"), "x");
  ASSERT_EQ(::chmod(at("secret").c_str(), 0600), 0);
  ASSERT_EQ(::mkdir(at("closed").c_str(), 0700), 0);
  put(at("closed/file"), "x");
  EXPECT_EQ(as(bob(), [&] { return errno_of(::open(at("secret").c_str(), O_RDONLY)); }), EACCES);
  EXPECT_EQ(as(bob(), [&] { return errno_of(::access(at("closed/file").c_str(), F_OK)); }), EACCES);
  EXPECT_EQ(as(bob(), [&] { return errno_of(::truncate(at("secret").c_str(), 0)); }), EACCES);
}

TEST_P(Attributes, TimesAreSetToTheNanosecondAndFollowChanges) {
  put(at("file"), "x");
  const timespec times[2] = {{.tv_sec = 1000, .tv_nsec = 123456789},
                             {.tv_sec = 2000, .tv_nsec = 987654321}};
  ASSERT_EQ(::utimensat(AT_FDCWD, at("file").c_str(), times, 0), 0);
  struct stat status = status_of(at("file"));
  EXPECT_EQ(status.st_atim.tv_sec, 1000);
  EXPECT_EQ(status.st_atim.tv_nsec, 123456789);
  EXPECT_EQ(status.st_mtim.tv_sec, 2000);
  EXPECT_EQ(status.st_mtim.tv_nsec, 987654321);
  const timespec keep[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT},
                            {.tv_sec = 0, .tv_nsec = UTIME_NOW}};
  ASSERT_EQ(::utimensat(AT_FDCWD, at("file").c_str(), keep, 0), 0);
  status = status_of(at("file"));
  EXPECT_EQ(status.st_atim.tv_sec, 1000);
  EXPECT_GT(status.st_mtim.tv_sec, 1'600'000'000);
  ASSERT_EQ(::utimensat(AT_FDCWD, at("file").c_str(), times, 0), 0);
  const UniqueFd fd = opened(at("file"), O_WRONLY);
  ASSERT_EQ(::write(fd.get(), "y", 1), 1);
  EXPECT_GT(status_of(at("file")).st_mtim.tv_sec, 1'600'000'000);
  ASSERT_EQ(::symlink("nowhere", at("link").c_str()), 0);
  ASSERT_EQ(::utimensat(AT_FDCWD, at("link").c_str(), times, AT_SYMLINK_NOFOLLOW), 0);
  EXPECT_EQ(status_of(at("link")).st_mtim.tv_sec, 2000);
}

class AccessTimesOfAMount : public OnVolume, public testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {}
  // Seconds of the access times of a small file, of one that is read past the daemon, and of a
  // directory, all of 1000, after they were read through a mount with `-o options`.
  [[nodiscard]] std::vector<time_t> after_reading(const std::string& options) {
    mount({.filesystem = GetParam(), .arguments = {"-o", options}});
    if (IsSkipped()) return {};
    const std::vector<std::string> names{"small", "large", "directory"};
    put(at("small"), "x");
    put(at("large"), std::string(1 << 20, 'x'));
    EXPECT_EQ(::mkdir(at("directory").c_str(), 0755), 0);
    std::vector<time_t> seen;
    for (const std::string& name : names) {
      const timespec times[2] = {{.tv_sec = 1000, .tv_nsec = 0}, {.tv_sec = 2000, .tv_nsec = 0}};
      EXPECT_EQ(::utimensat(AT_FDCWD, at(name).c_str(), times, 0), 0);
    }
    EXPECT_EQ(get(at("small")).size(), 1U);
    EXPECT_EQ(get(at("large")).size(), 1U << 20U);
    EXPECT_TRUE(names_in(at("directory")).empty());
    volume_->unmount();
    volume_->mount();
    for (const std::string& name : names) seen.push_back(status_of(at(name)).st_atim.tv_sec);
    return seen;
  }
};
INSTANTIATE_TEST_SUITE_P(, AccessTimesOfAMount, testing::Values("tmpfs", "ext4", "xfs"),
                         [](const auto& one) { return std::string(one.param); });

TEST_P(AccessTimesOfAMount, AreThoseOfTheReadingByDefault) {
  for (const char* options : {"nodev", "relatime"}) {
    for (const time_t seconds : after_reading(options)) EXPECT_GT(seconds, 1'600'000'000);
  }
}

TEST_P(AccessTimesOfAMount, StayAsTheyAreWithNoatime) {
  for (const time_t seconds : after_reading("noatime")) EXPECT_EQ(seconds, 1000);
}

// Each by another opening: within one the kernel reads from its cache.
TEST_P(AccessTimesOfAMount, AreThoseOfTheLastReadingWithStrictatime) {
  mount({.filesystem = GetParam(), .arguments = {"-o", "strictatime"}});
  if (IsSkipped()) return;
  put(at("file"), "x");
  EXPECT_EQ(get(at("file")), "x");
  const timespec times[2] = {{.tv_sec = 2000, .tv_nsec = 0}, {.tv_sec = 1000, .tv_nsec = 0}};
  EXPECT_EQ(::utimensat(AT_FDCWD, at("file").c_str(), times, 0), 0);
  EXPECT_EQ(get(at("file")), "x");
  EXPECT_GT(status_of(at("file")).st_atim.tv_sec, 1'600'000'000);
}

TEST_P(AccessTimesOfAMount, OfDirectoriesStayAsTheyAreWithNodiratime) {
  const auto seen = after_reading("nodiratime");
  if (IsSkipped()) return;
  EXPECT_GT(seen.at(0), 1'600'000'000);
  EXPECT_EQ(seen.at(2), 1000);
}

// ext4 ends in 2446, XFS in 2486.
TEST_P(Attributes, TimesMayLieBefore1970AndAfter2106) {
  put(at("file"), "x");
  constexpr time_t kTimes[] = {-2'000'000'000, -1, 0, 2'147'483'648, 4'294'967'295, 4'294'967'296,
                               15'000'000'000};
  for (const time_t seconds : kTimes) {
    const timespec times[2] = {{.tv_sec = seconds, .tv_nsec = 1},
                               {.tv_sec = seconds, .tv_nsec = 2}};
    ASSERT_EQ(::utimensat(AT_FDCWD, at("file").c_str(), times, 0), 0);
    const struct stat status = status_of(at("file"));
    EXPECT_EQ(status.st_atim.tv_sec, seconds);
    EXPECT_EQ(status.st_mtim.tv_sec, seconds);
    EXPECT_EQ(status.st_mtim.tv_nsec, 2);
  }
  volume_->unmount();
  volume_->mount();
  EXPECT_EQ(status_of(at("file")).st_mtim.tv_sec, 15'000'000'000);
}

TEST_P(Attributes, OfAFileShowItsBirth) {
  const std::time_t before = std::time(nullptr) - 1;
  put(at("file"), "x");
  struct statx status{};
  ASSERT_EQ(::statx(AT_FDCWD, at("file").c_str(), 0, STATX_BTIME | STATX_BASIC_STATS, &status), 0);
  ASSERT_TRUE((status.stx_mask & STATX_BTIME) != 0);
  EXPECT_GE(status.stx_btime.tv_sec, before);
  EXPECT_LE(status.stx_btime.tv_sec, std::time(nullptr) + 1);
}

TEST_P(Attributes, SuidAndSgidGoWhenSomebodyElseWrites) {
  make_suid();
  ASSERT_EQ(as(bob(),
               [&] {
                 const int fd = ::open(at("suid").c_str(), O_WRONLY);
                 return ::write(fd, "x", 1) == 1 ? 0 : errno;
               }),
            0);
  EXPECT_EQ(mode_of(at("suid")), 0777U);
}

// Not only in what stat(2) shows: the kernel runs a file by what it remembers of its mode.
TEST_P(Attributes, AProgramThatSomebodyElseWroteToRunsAsWhoeverRunsIt) {
  const auto runs_as = [&] { return std::stoi("0" + shell(at("program") + " -u").out); };
  ASSERT_EQ(shell("cp /usr/bin/id " + at("program")).exit_code, 0);
  ASSERT_EQ(::chown(at("program").c_str(), kAlice, kAlice), 0);
  ASSERT_EQ(::chmod(at("program").c_str(), 06777), 0);
  EXPECT_EQ(as(bob(), [&] { return runs_as() == static_cast<int>(kAlice) ? 0 : 1; }), 0);
  EXPECT_EQ(as(bob(),
               [&] {
                 const int fd = ::open(at("program").c_str(), O_WRONLY | O_APPEND);
                 if (::write(fd, "x", 1) != 1) return errno;
                 ::close(fd);
                 return runs_as() == static_cast<int>(kBob) ? 0 : 1;
               }),
            0);
}

TEST_P(Attributes, SuidAndSgidGoWhenSomebodyElseTruncates) {
  make_suid();
  ASSERT_EQ(as(bob(), [&] { return errno_of(::truncate(at("suid").c_str(), 1)); }), 0);
  EXPECT_EQ(mode_of(at("suid")), 0777U);
  make_suid();
  ASSERT_EQ(as(bob(), [&] { return errno_of(::open(at("suid").c_str(), O_WRONLY | O_TRUNC)); }), 0);
  EXPECT_EQ(mode_of(at("suid")), 0777U);
}

TEST_P(Attributes, SuidAndSgidGoWhenSomebodyElseAllocatesOrCopies) {
  make_suid();
  ASSERT_EQ(as(bob(),
               [&] {
                 const int fd = ::open(at("suid").c_str(), O_WRONLY);
                 return errno_of(::fallocate(fd, 0, 0, 100000));
               }),
            0);
  EXPECT_EQ(mode_of(at("suid")), 0777U);
  make_suid();
  put(at("from"), "content");
  ASSERT_EQ(as(bob(),
               [&] {
                 const int from = ::open(at("from").c_str(), O_RDONLY);
                 const int to = ::open(at("suid").c_str(), O_WRONLY);
                 return errno_of(::copy_file_range(from, nullptr, to, nullptr, 7, 0));
               }),
            0);
  EXPECT_EQ(mode_of(at("suid")), 0777U);
}

TEST_P(Attributes, SuidAndSgidStayWhenRootWrites) {
  make_suid();
  const UniqueFd fd = opened(at("suid"), O_WRONLY);
  ASSERT_EQ(::write(fd.get(), "x", 1), 1);
  ASSERT_EQ(::fallocate(fd.get(), 0, 0, 100000), 0);
  EXPECT_EQ(mode_of(at("suid")), 06777U);
}

TEST_P(Attributes, SuidAndSgidGoWithTheOwner) {
  make_suid();
  const Identity member{.uid = kAlice, .gid = kAlice, .groups = {31000}};
  ASSERT_EQ(as(member, [&] { return errno_of(::chown(at("suid").c_str(), kAlice, 31000)); }), 0);
  EXPECT_EQ(mode_of(at("suid")), 0777U);
}

TEST_P(Attributes, SgidIsNotGivenToWhoIsNotInTheGroup) {
  put(at("file"), "x");
  ASSERT_EQ(::chown(at("file").c_str(), kAlice, 31000), 0);
  ASSERT_EQ(as(alice(), [&] { return errno_of(::chmod(at("file").c_str(), 02755)); }), 0);
  EXPECT_EQ(mode_of(at("file")), 0755U);
}

TEST_P(Attributes, ExtendedAttributesAreKeptListedAndRemoved) {
  put(at("file"), "x");
  const std::string path = at("file");
  const std::string value = pattern(200);
  ASSERT_EQ(::setxattr(path.c_str(), "user.a", value.data(), value.size(), 0), 0) << errno;
  EXPECT_EQ(errno_of(::setxattr(path.c_str(), "user.a", "x", 1, XATTR_CREATE)), EEXIST);
  EXPECT_EQ(errno_of(::setxattr(path.c_str(), "user.b", "x", 1, XATTR_REPLACE)), ENODATA);
  char read[300] = {};
  ASSERT_EQ(::getxattr(path.c_str(), "user.a", read, sizeof read), 200);
  EXPECT_TRUE(std::string(read, 200) == value);
  EXPECT_EQ(::getxattr(path.c_str(), "user.a", nullptr, 0), 200);
  EXPECT_EQ(errno_of(::getxattr(path.c_str(), "user.a", read, 10)), ERANGE);
  ASSERT_EQ(::setxattr(path.c_str(), "trusted.t", "t", 1, 0), 0);
  const ssize_t size = ::listxattr(path.c_str(), read, sizeof read);
  ASSERT_GT(size, 0);
  EXPECT_THAT(std::string(read, static_cast<std::size_t>(size)),
              HasSubstr(std::string("user.a\0", 7)));
  ASSERT_EQ(::removexattr(path.c_str(), "user.a"), 0);
  EXPECT_EQ(errno_of(::getxattr(path.c_str(), "user.a", read, sizeof read)), ENODATA);
  EXPECT_EQ(as(bob(), [&] { return errno_of(::setxattr(path.c_str(), "user.c", "c", 1, 0)); }),
            EACCES);
  ASSERT_EQ(::mkdir(at("dir").c_str(), 0755), 0);
  EXPECT_EQ(::setxattr(at("dir").c_str(), "user.d", "d", 1, 0), 0);
}

// xfstests generic/035 asks for this.
TEST_P(Attributes, OfARemovedDirectoryThatIsOpenShowNoLinks) {
  for (const char* dir : {"removed", "replaced", "other"}) {
    ASSERT_EQ(::mkdir(at(dir).c_str(), 0750), 0);
  }
  const UniqueFd removed(::open(at("removed").c_str(), O_RDONLY | O_DIRECTORY));
  const UniqueFd replaced(::open(at("replaced").c_str(), O_RDONLY | O_DIRECTORY));
  struct stat before{};
  ASSERT_EQ(::fstat(removed.get(), &before), 0);
  ASSERT_EQ(::rmdir(at("removed").c_str()), 0);
  ASSERT_EQ(::rename(at("other").c_str(), at("replaced").c_str()), 0);
  for (const int fd : {removed.get(), replaced.get()}) {
    struct stat after{};
    ASSERT_EQ(errno_of(::fstat(fd, &after)), 0);
    EXPECT_EQ(after.st_nlink, 0U);
    EXPECT_EQ(after.st_mode, S_IFDIR | 0750U);
  }
  struct stat after{};
  ASSERT_EQ(::fstat(removed.get(), &after), 0);
  EXPECT_EQ(after.st_ino, before.st_ino);
}

TEST_P(Attributes, OfADirectoryInThePlaceOfARemovedOneThatIsOpenAreItsOwn) {
  ASSERT_EQ(::mkdir(at("dir").c_str(), 0750), 0);
  const UniqueFd removed(::open(at("dir").c_str(), O_RDONLY | O_DIRECTORY));
  ASSERT_EQ(::rmdir(at("dir").c_str()), 0);
  for (int i = 0; i < 20; ++i) {
    const std::string anew = at("dir" + std::to_string(i));
    ASSERT_EQ(::mkdir(anew.c_str(), 0701), 0);
    EXPECT_EQ(mode_of(anew), 0701U);
    EXPECT_EQ(status_of(anew).st_nlink, 2U);
  }
}

class Acls : public OnEachFilesystem {
 protected:
  void SetUp() override {
    OnEachFilesystem::SetUp();
    if (IsSkipped()) return;
    if (shell("command -v setfacl getfacl").exit_code != 0) GTEST_SKIP() << "needs setfacl";
  }
  std::string run(const std::string& command) {
    const Ran ran = shell(command, volume_->path());
    EXPECT_EQ(ran.exit_code, 0) << command << "\n" << ran.out;
    return ran.out;
  }
};
INSTANTIATE_TEST_SUITE_P(, Acls, testing::ValuesIn(kFilesystems), ground_name);

TEST_P(Acls, GrantToOneUserWhatTheModeDoesNot) {
  put(at("file"), "x");
  run("chmod 600 file && setfacl -m u:21001:rw file");
  EXPECT_THAT(run("getfacl -n file"), HasSubstr("user:21001:rw-"));
  EXPECT_EQ(mode_of(at("file")), 0660U);
  const auto open_errno = [&] { return errno_of(::open(at("file").c_str(), O_RDWR)); };
  EXPECT_EQ(as(alice(), open_errno), 0);
  EXPECT_EQ(as(bob(), open_errno), EACCES);
  run("chmod g-w file");  // the mask
  EXPECT_EQ(as(alice(), open_errno), EACCES);
  run("setfacl -b file");
  EXPECT_EQ(as(alice(), [&] { return errno_of(::open(at("file").c_str(), O_RDONLY)); }), EACCES);
}

TEST_P(Acls, OfADirectoryAreInheritedInPlaceOfTheUmask) {
  run("mkdir dir && chmod 777 dir && setfacl -d -m u::rwx,g::rwx,o::---,u:21002:rwx dir");
  EXPECT_EQ(as(alice(),
               [&] {
                 ::umask(077);
                 if (::mkdir(at("dir/below").c_str(), 0777) != 0) return errno;
                 const int fd = ::open(at("dir/file").c_str(), O_CREAT | O_WRONLY, 0666);
                 return errno_of(fd);
               }),
            0);
  EXPECT_EQ(mode_of(at("dir/file")), 0660U);
  EXPECT_EQ(mode_of(at("dir/below")), 0770U);
  EXPECT_THAT(run("getfacl -n dir/file"), HasSubstr("user:21002:rwx"));
  EXPECT_THAT(run("getfacl -n dir/below"), HasSubstr("default:user:21002:rwx"));
  EXPECT_EQ(as(bob(), [&] { return errno_of(::open(at("dir/file").c_str(), O_RDWR)); }), 0);
}

TEST_P(Acls, SurviveARemount) {
  run("touch file && chmod 600 file && setfacl -m u:21001:r file");
  volume_->unmount();
  volume_->mount();
  EXPECT_EQ(as(alice(), [&] { return errno_of(::open(at("file").c_str(), O_RDONLY)); }), 0);
}

TEST_P(Acls, SettingOneClearsSgidForWhoIsNotInTheGroup) {
  run("touch file && chown 21001:31000 file && chmod 2755 file");
  const int result =
      as(alice(), [&] { return shell("setfacl -m u:21002:r file", volume_->path()).exit_code; });
  ASSERT_EQ(result, 0);
  EXPECT_EQ(mode_of(at("file")) & 02000U, 0U);
}

}  // namespace
}  // namespace ebbfs::test
