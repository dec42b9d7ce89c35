// SPDX-License-Identifier: Apache-2.0
//
// Who owns what is made on a real mount, and who may make and remove it.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/support/each_filesystem.h"

namespace ebbfs::test {
namespace {

constexpr gid_t kTeam = 31000;

class Callers : public OnEachFilesystem {
 protected:
  // One object of every kind, below `dir`. Returns an errno.
  int make_everything(const std::string& dir) {
    const std::string base = at(dir) + "/";
    const int fd = ::open((base + "file").c_str(), O_CREAT | O_WRONLY, 0666);
    if (fd < 0 || ::write(fd, "x", 1) != 1) return errno;
    if (::mkdir((base + "dir").c_str(), 0777) != 0) return errno;
    if (::symlink("file", (base + "symlink").c_str()) != 0) return errno;
    if (::mkfifo((base + "fifo").c_str(), 0666) != 0) return errno;
    if (::mknod((base + "plain").c_str(), S_IFREG | 0666, 0) != 0) return errno;
    if (::mknod((base + "socket").c_str(), S_IFSOCK | 0666, 0) != 0) return errno;
    const int temporary = ::open(base.c_str(), O_TMPFILE | O_RDWR, 0666);
    if (temporary < 0) return errno;
    const std::string self = "/proc/self/fd/" + std::to_string(temporary);
    return errno_of(::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, (base + "temporary").c_str(),
                             AT_SYMLINK_FOLLOW));
  }
};
INSTANTIATE_TEST_SUITE_P(, Callers, testing::ValuesIn(kFilesystems), ground_name);

constexpr const char* kEverything[] = {"file",  "dir",    "symlink",  "fifo",
                                       "plain", "socket", "temporary"};

TEST_P(Callers, OwnWhatTheyMakeWithTheirUmask) {
  ASSERT_EQ(as(alice(),
               [&] {
                 ::umask(027);
                 return make_everything("");
               }),
            0);
  for (const char* name : kEverything) {
    const struct stat status = status_of(at(name));
    EXPECT_EQ(status.st_uid, kAlice) << name;
    EXPECT_EQ(status.st_gid, kAlice) << name;
    if (S_ISLNK(status.st_mode)) continue;
    EXPECT_EQ(status.st_mode & 07777U, S_ISDIR(status.st_mode) ? 0750U : 0640U) << name;
  }
  EXPECT_EQ(volume_->charged(kAlice), (MountedVolume::Counted{.bytes = 4096, .inodes = 7}));
}

TEST_P(Callers, InASetgidDirectoryMakeThingsOfItsGroup) {
  ASSERT_EQ(::mkdir(at("team").c_str(), 0755), 0);
  ASSERT_EQ(::chown(at("team").c_str(), 0, kTeam), 0);
  ASSERT_EQ(::chmod(at("team").c_str(), 02777), 0);
  ASSERT_EQ(as(alice(),
               [&] {
                 ::umask(022);
                 return make_everything("team");
               }),
            0);
  for (const char* name : kEverything) {
    const struct stat status = status_of(at("team/" + std::string(name)));
    EXPECT_EQ(status.st_uid, kAlice) << name;
    EXPECT_EQ(status.st_gid, kTeam) << name;
  }
  EXPECT_EQ(mode_of(at("team/dir")), 02755U);
  EXPECT_EQ(mode_of(at("team/file")), 0644U);
}

TEST_P(Callers, WithOnlyASupplementaryGroupMayCreateWhereItMay) {
  ASSERT_EQ(::mkdir(at("team").c_str(), 0755), 0);
  ASSERT_EQ(::chown(at("team").c_str(), 0, kTeam), 0);
  ASSERT_EQ(::chmod(at("team").c_str(), 0770), 0);
  const Identity member{.uid = kAlice, .gid = kAlice, .groups = {kTeam}};
  EXPECT_EQ(as(member, [&] { return make_everything("team"); }), 0);
  EXPECT_EQ(status_of(at("team/file")).st_gid, kAlice);
  EXPECT_EQ(as(bob(), [&] { return make_everything("team"); }), EACCES);
}

TEST_P(Callers, WithManySupplementaryGroupsMayCreateWhereOneOfThemMay) {
  ASSERT_EQ(::mkdir(at("team").c_str(), 0755), 0);
  ASSERT_EQ(::chown(at("team").c_str(), 0, 40099), 0);
  ASSERT_EQ(::chmod(at("team").c_str(), 02770), 0);
  Identity member{.uid = kAlice, .gid = kAlice, .groups = {}};
  for (gid_t group = 40000; group < 40100; ++group) member.groups.push_back(group);
  EXPECT_EQ(as(member, [&] { return make_everything("team"); }), 0);
  EXPECT_EQ(status_of(at("team/file")).st_gid, 40099U);
}

TEST_P(Callers, MayNotRemoveOthersFilesFromAStickyDirectory) {
  ASSERT_EQ(::mkdir(at("shared").c_str(), 0755), 0);
  ASSERT_EQ(::chmod(at("shared").c_str(), 01777), 0);
  ASSERT_EQ(as(alice(), [&] { return make_everything("shared"); }), 0);
  const std::string file = at("shared/file");
  const std::string other = at("shared/other");
  EXPECT_EQ(as(bob(), [&] { return errno_of(::unlink(file.c_str())); }), EPERM);
  EXPECT_EQ(as(bob(), [&] { return errno_of(::rename(file.c_str(), other.c_str())); }), EPERM);
  EXPECT_EQ(as(bob(), [&] { return errno_of(::rmdir(at("shared/dir").c_str())); }), EPERM);
  EXPECT_EQ(as(alice(), [&] { return errno_of(::unlink(file.c_str())); }), 0);
}

TEST_P(Callers, ThatAreNotRootMayNotMakeDevices) {
  const auto make = [&] { return errno_of(::mknod(at("null").c_str(), S_IFCHR | 0666, 0x103)); };
  EXPECT_EQ(as(alice(), make), EPERM);
  EXPECT_FALSE(exists(at("null")));
}

TEST_P(Callers, MoveTheChargeWithTheOwner) {
  put(at("file"), pattern(10000));
  ASSERT_EQ(::chown(at("file").c_str(), kAlice, kTeam), 0);
  EXPECT_EQ(volume_->charged(kAlice), (MountedVolume::Counted{.bytes = 12288, .inodes = 1}));
  EXPECT_EQ(volume_->charged(0), MountedVolume::Counted{});
}

}  // namespace
}  // namespace ebbfs::test
