// SPDX-License-Identifier: Apache-2.0
//
// Names on a real mount: of every kind of object, renamed, linked, long, strange and many.
#include <dirent.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <set>

#include "tests/support/each_filesystem.h"

namespace ebbfs::test {
namespace {

using testing::AnyOf;
using testing::ElementsAre;
using testing::IsEmpty;

class Names : public OnEachFilesystem {};
INSTANTIATE_TEST_SUITE_P(, Names, testing::ValuesIn(kFilesystemsAndTransports), ground_name);

int rename_errno(const std::string& from, const std::string& to, unsigned flags = 0) {
  return errno_of(::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags));
}

TEST_P(Names, DirectoriesAreMadeListedAndRemoved) {
  ASSERT_EQ(::mkdir(at("dir").c_str(), 0750), 0);
  EXPECT_EQ(errno_of(::mkdir(at("dir").c_str(), 0750)), EEXIST);
  EXPECT_EQ(mode_of(at("dir")), 0750U);
  EXPECT_EQ(status_of(at("dir")).st_nlink, 2U);
  ASSERT_EQ(::mkdir(at("dir/below").c_str(), 0755), 0);
  EXPECT_EQ(status_of(at("dir")).st_nlink, 3U);
  put(at("dir/file"), "x");
  EXPECT_THAT(names_in(at("dir")), ElementsAre("below", "file"));
  EXPECT_EQ(errno_of(::rmdir(at("dir").c_str())), ENOTEMPTY);
  EXPECT_EQ(errno_of(::rmdir(at("dir/file").c_str())), ENOTDIR);
  EXPECT_EQ(errno_of(::unlink(at("dir/below").c_str())), EISDIR);
  ASSERT_EQ(::rmdir(at("dir/below").c_str()), 0);
  ASSERT_EQ(::unlink(at("dir/file").c_str()), 0);
  EXPECT_THAT(names_in(at("dir")), IsEmpty());
  ASSERT_EQ(::rmdir(at("dir").c_str()), 0);
  EXPECT_EQ(errno_of(::rmdir(at("dir").c_str())), ENOENT);
}

TEST_P(Names, ARemovedWorkingDirectoryIsEmptyAndTakesNothingNew) {
  ASSERT_EQ(::mkdir(at("dir").c_str(), 0755), 0);
  const UniqueFd dir = opened(at("dir"), O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(::rmdir(at("dir").c_str()), 0);
  EXPECT_EQ(errno_of(::openat(dir.get(), "file", O_CREAT | O_WRONLY, 0644)), ENOENT);
  EXPECT_EQ(errno_of(::mkdirat(dir.get(), "below", 0755)), ENOENT);
}

TEST_P(Names, SymbolicLinksLeadWhereTheySay) {
  put(at("file"), "content");
  ASSERT_EQ(::symlink("file", at("link").c_str()), 0);
  EXPECT_EQ(get(at("link")), "content");
  char target[16] = {};
  ASSERT_EQ(::readlink(at("link").c_str(), target, sizeof target), 4);
  EXPECT_STREQ(target, "file");
  EXPECT_TRUE(S_ISLNK(status_of(at("link")).st_mode));
  const std::string longest(4095, 'x');
  ASSERT_EQ(::symlink(longest.c_str(), at("long").c_str()),
            GetParam().filesystem[0] == 'x' ? -1 : 0);
  EXPECT_EQ(errno_of(::readlink(at("file").c_str(), target, sizeof target)), EINVAL);
  ASSERT_EQ(::symlink("loop", at("loop").c_str()), 0);
  EXPECT_EQ(errno_of(::open(at("loop").c_str(), O_RDONLY)), ELOOP);
}

TEST_P(Names, HardLinksShareOneFile) {
  put(at("file"), "content");
  ASSERT_EQ(::link(at("file").c_str(), at("link").c_str()), 0);
  EXPECT_EQ(status_of(at("file")).st_nlink, 2U);
  EXPECT_EQ(status_of(at("file")).st_ino, status_of(at("link")).st_ino);
  put(at("link"), "changed");
  EXPECT_EQ(get(at("file")), "changed");
  EXPECT_EQ(rename_errno(at("file"), at("link")), 0);  // does nothing: the same file
  EXPECT_TRUE(exists(at("file")));
  ASSERT_EQ(::unlink(at("file").c_str()), 0);
  EXPECT_EQ(status_of(at("link")).st_nlink, 1U);
  EXPECT_EQ(get(at("link")), "changed");
  ASSERT_EQ(::mkdir(at("dir").c_str(), 0755), 0);
  EXPECT_EQ(errno_of(::link(at("dir").c_str(), at("dirlink").c_str())), EPERM);
  EXPECT_EQ(errno_of(::link(at("link").c_str(), at("dir").c_str())), EEXIST);
}

TEST_P(Names, SpecialFilesAreWhatTheyWereMade) {
  ASSERT_EQ(::mkfifo(at("fifo").c_str(), 0644), 0);
  ASSERT_EQ(::mknod(at("char").c_str(), S_IFCHR | 0600, makedev(1, 3)), 0);
  ASSERT_EQ(::mknod(at("block").c_str(), S_IFBLK | 0600, makedev(7, 200)), 0);
  ASSERT_EQ(::mknod(at("plain").c_str(), S_IFREG | 0640, 0), 0);
  EXPECT_TRUE(S_ISFIFO(status_of(at("fifo")).st_mode));
  EXPECT_TRUE(S_ISCHR(status_of(at("char")).st_mode));
  EXPECT_EQ(status_of(at("char")).st_rdev, makedev(1, 3));
  EXPECT_TRUE(S_ISBLK(status_of(at("block")).st_mode));
  EXPECT_EQ(status_of(at("block")).st_rdev, makedev(7, 200));
  EXPECT_TRUE(S_ISREG(status_of(at("plain")).st_mode));
  const UniqueFd fifo = opened(at("fifo"), O_RDWR);
  ASSERT_EQ(::write(fifo.get(), "x", 1), 1);
  char byte = 0;
  EXPECT_EQ(::read(fifo.get(), &byte, 1), 1);
}

TEST_P(Names, SocketsAreBoundAndConnectedTo) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "%s", at("socket").c_str());
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  const UniqueFd server(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::bind(server.get(), generic, sizeof address), 0);
  ASSERT_EQ(::listen(server.get(), 1), 0);
  EXPECT_TRUE(S_ISSOCK(status_of(at("socket")).st_mode));
  const UniqueFd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::connect(client.get(), generic, sizeof address), 0);
}

TEST_P(Names, RenameReplacesAndMoves) {
  put(at("a"), "a");
  put(at("b"), "b");
  ASSERT_EQ(::mkdir(at("dir").c_str(), 0755), 0);
  ASSERT_EQ(::mkdir(at("empty").c_str(), 0755), 0);
  EXPECT_EQ(rename_errno(at("a"), at("b")), 0);
  EXPECT_EQ(get(at("b")), "a");
  EXPECT_FALSE(exists(at("a")));
  EXPECT_EQ(rename_errno(at("b"), at("dir/b")), 0);
  EXPECT_EQ(get(at("dir/b")), "a");
  // POSIX allows both; XFS has the first.
  EXPECT_THAT(rename_errno(at("empty"), at("dir")), AnyOf(EEXIST, ENOTEMPTY));
  EXPECT_EQ(rename_errno(at("dir"), at("empty")), 0);
  EXPECT_EQ(get(at("empty/b")), "a");
  EXPECT_EQ(rename_errno(at("empty"), at("empty/b")), EINVAL);
  EXPECT_THAT(rename_errno(at("empty/b"), at("empty")), AnyOf(EEXIST, ENOTEMPTY));
  put(at("file"), "x");
  EXPECT_EQ(rename_errno(at("empty"), at("file")), ENOTDIR);
  EXPECT_EQ(rename_errno(at("file"), at("empty")), EISDIR);
  EXPECT_EQ(rename_errno(at("missing"), at("file")), ENOENT);
}

TEST_P(Names, RenameHonoursNoreplaceAndExchange) {
  put(at("a"), "a");
  ASSERT_EQ(::mkdir(at("dir").c_str(), 0755), 0);
  put(at("dir/inside"), "inside");
  EXPECT_EQ(rename_errno(at("a"), at("dir"), RENAME_NOREPLACE), EEXIST);
  EXPECT_EQ(rename_errno(at("a"), at("b"), RENAME_NOREPLACE), 0);
  EXPECT_EQ(rename_errno(at("b"), at("missing"), RENAME_EXCHANGE), ENOENT);
  EXPECT_EQ(rename_errno(at("b"), at("dir"), RENAME_EXCHANGE), 0);
  EXPECT_EQ(get(at("dir")), "a");
  EXPECT_EQ(get(at("b/inside")), "inside");
}

TEST_P(Names, ATemporaryFileGetsANameByLinkOrGoesWithoutOne) {
  {
    const UniqueFd nameless(::open(volume_->path().c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0640));
    ASSERT_TRUE(nameless.valid()) << errno;
    ASSERT_EQ(::write(nameless.get(), "content", 7), 7);
    EXPECT_THAT(names_in(volume_->path()), IsEmpty());
    const std::string self = "/proc/self/fd/" + std::to_string(nameless.get());
    ASSERT_EQ(::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, at("named").c_str(), AT_SYMLINK_FOLLOW),
              0);
    EXPECT_EQ(get(at("named")), "content");
    EXPECT_EQ(mode_of(at("named")), 0640U);
    const UniqueFd dropped(::open(volume_->path().c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    ASSERT_TRUE(dropped.valid());
    ASSERT_EQ(::ftruncate(dropped.get(), 100000), 0);
  }
  EXPECT_THAT(names_in(volume_->path()), ElementsAre("named"));
}

TEST_P(Names, OfAnyBytesAndOf255Work) {
  std::vector<std::string> names;
  for (int byte = 1; byte < 256; ++byte) {
    if (byte == '/') continue;
    names.push_back("n" + std::string(1, static_cast<char>(byte)));
  }
  names.push_back(std::string(255, 'x'));
  names.push_back("\xff\xfe\n\t\\\"' ");
  for (const std::string& name : names) put(at(name), name);
  for (const std::string& name : names) EXPECT_EQ(get(at(name)), name);
  std::ranges::sort(names);
  EXPECT_EQ(names_in(volume_->path()), names);
  EXPECT_EQ(errno_of(::mkdir(at(std::string(256, 'x')).c_str(), 0755)), ENAMETOOLONG);
}

TEST_P(Names, PathsNearPathMaxWork) {
  constexpr std::size_t kPathMax = 4095;
  const std::string part(200, 'd');
  std::string path = volume_->path();
  while (kPathMax - path.size() - 1 > 255) {
    path += "/" + part;
    ASSERT_EQ(::mkdir(path.c_str(), 0755), 0) << path.size();
  }
  const std::string file = path + "/" + std::string(kPathMax - path.size() - 1, 'f');
  put(file, "deep");
  EXPECT_EQ(get(file), "deep");
  EXPECT_EQ(rename_errno(file, path + "/g"), 0);
  // Deeper than any path can name.
  UniqueFd deepest = opened(path, O_RDONLY | O_DIRECTORY);
  for (int level = 0; level < 10; ++level) {
    ASSERT_EQ(::mkdirat(deepest.get(), part.c_str(), 0755), 0);
    deepest.reset(::openat(deepest.get(), part.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ASSERT_TRUE(deepest.valid());
  }
  UniqueFd below(::openat(deepest.get(), "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
  ASSERT_TRUE(below.valid());
  ASSERT_EQ(::write(below.get(), "x", 1), 1);
  below.reset();
  deepest.reset();
  EXPECT_EQ(shell("rm -r '" + part + "'", volume_->path()).exit_code, 0);
}

TEST_P(Names, TimesOfADirectoryChangeWithItsNames) {
  ASSERT_EQ(::mkdir(at("dir").c_str(), 0755), 0);
  const timespec long_ago[2] = {{.tv_sec = 1000, .tv_nsec = 0}, {.tv_sec = 1000, .tv_nsec = 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, at("dir").c_str(), long_ago, 0), 0);
  EXPECT_EQ(status_of(at("dir")).st_mtim.tv_sec, 1000);
  put(at("dir/file"), "x");
  EXPECT_GT(status_of(at("dir")).st_mtim.tv_sec, 1000);
  ASSERT_EQ(::utimensat(AT_FDCWD, at("dir").c_str(), long_ago, 0), 0);
  ASSERT_EQ(::unlink(at("dir/file").c_str()), 0);
  EXPECT_GT(status_of(at("dir")).st_mtim.tv_sec, 1000);
}

// 20,000 on tmpfs. How the others go on with a listing shows with fewer.
class ManyNames : public OnEachFilesystem {};
INSTANTIATE_TEST_SUITE_P(, ManyNames, testing::ValuesIn(kFilesystems), ground_name);

TEST_P(ManyNames, AreListedOnceEachAndRemovedWhileListing) {
  const int files = std::string(GetParam().filesystem) == "tmpfs" ? 20000 : 3000;
  ASSERT_EQ(::mkdir(at("many").c_str(), 0755), 0);
  const UniqueFd dir = opened(at("many"), O_RDONLY | O_DIRECTORY);
  for (int i = 0; i < files; ++i) {
    ASSERT_EQ(::mknodat(dir.get(), std::to_string(i).c_str(), S_IFREG | 0644, 0), 0);
  }
  std::set<std::string> seen;
  for (const std::string& name : names_in(at("many"))) EXPECT_TRUE(seen.insert(name).second);
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(files));
  DIR* const listing = ::opendir(at("many").c_str());
  ASSERT_NE(listing, nullptr);
  int removed = 0;
  while (const dirent* entry = ::readdir(listing)) {
    if (entry->d_name[0] == '.') continue;
    ASSERT_EQ(::unlinkat(::dirfd(listing), entry->d_name, 0), 0) << entry->d_name;
    ++removed;
  }
  ::closedir(listing);
  EXPECT_EQ(removed, files);
  EXPECT_THAT(names_in(at("many")), IsEmpty());
}

TEST_P(ManyNames, ListingGoesOnWhereSeekdirSays) {
  ASSERT_EQ(::mkdir(at("many").c_str(), 0755), 0);
  for (int i = 0; i < 1000; ++i) put(at("many/" + std::to_string(i)), "");
  DIR* const listing = ::opendir(at("many").c_str());
  ASSERT_NE(listing, nullptr);
  for (int i = 0; i < 500; ++i) ASSERT_NE(::readdir(listing), nullptr);
  const long middle = ::telldir(listing);
  std::vector<std::string> first;
  while (const dirent* entry = ::readdir(listing)) first.emplace_back(entry->d_name);
  ::seekdir(listing, middle);
  std::vector<std::string> second;
  while (const dirent* entry = ::readdir(listing)) second.emplace_back(entry->d_name);
  EXPECT_EQ(first.size(), 502U);
  EXPECT_EQ(first, second);
  ::rewinddir(listing);
  int all = 0;
  while (::readdir(listing) != nullptr) ++all;
  EXPECT_EQ(all, 1002);
  ::closedir(listing);
}

}  // namespace
}  // namespace ebbfs::test
