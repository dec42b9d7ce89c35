// SPDX-License-Identifier: Apache-2.0
//
// Every operation that takes more than one step, killed between any two of them.
#include "tests/crash/walk.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/support/child.h"
#include "tests/support/git.h"
#include "tests/support/plain_files.h"

namespace ebbfs::test {
namespace {

Act creates(const std::string& path) {
  return [path](MountedVolume& volume) {
    return UniqueFd(::open(volume.at(path).c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644))
        .valid();
  };
}
Act makes_directory(const std::string& path) {
  return [path](MountedVolume& volume) { return ::mkdir(volume.at(path).c_str(), 0755) == 0; };
}
Act links_symbolically(const std::string& path) {
  return [path](MountedVolume& volume) { return ::symlink("to", volume.at(path).c_str()) == 0; };
}
Act links(const std::string& from, const std::string& to) {
  return [from, to](MountedVolume& volume) {
    return ::link(volume.at(from).c_str(), volume.at(to).c_str()) == 0;
  };
}
Act removes(const std::string& path) {
  return [path](MountedVolume& volume) { return ::remove(volume.at(path).c_str()) == 0; };
}
Act renames(const std::string& from, const std::string& to, unsigned flags = 0) {
  return [from, to, flags](MountedVolume& volume) {
    return ::renameat2(AT_FDCWD, volume.at(from).c_str(), AT_FDCWD, volume.at(to).c_str(), flags) ==
           0;
  };
}
// `change` of the open file `path`.
Act changes(const std::string& path, const std::function<bool(int)>& change, int flags = O_RDWR) {
  return [path, change, flags](MountedVolume& volume) {
    const UniqueFd fd(::open(volume.at(path).c_str(), flags | O_CLOEXEC));
    return fd.valid() && change(fd.get());
  };
}
// Locks of the test itself, which lives on.
Prepare holding(const std::string& path) {
  return [path](MountedVolume& volume) {
    furnish(volume);
    ASSERT_TRUE(creates(path)(volume));
  };
}

class KilledIn : public Crashing, public testing::WithParamInterface<Operation> {};

TEST_P(KilledIn, AnyGapIsDoneOrUndone) { EXPECT_GT(walk(GetParam()), 0U); }

const Operation kMaking[] = {
    {.name = "CreateInUnit", .prepare = furnish, .act = creates("units/a/new")},
    {.name = "CreateOutside", .prepare = furnish, .act = creates("plain/new")},
    {.name = "CreateFileUnit", .prepare = furnish, .act = creates("units/new")},
    {.name = "CreateLock", .prepare = furnish, .act = creates("locks/l"), .lock = "locks/l"},
    {.name = "CreateLockInUnit",
     .prepare = furnish,
     .act = creates("units/a/l.lk"),
     .lock = "units/a/l.lk"},
    {.name = "MkdirInUnit", .prepare = furnish, .act = makes_directory("units/a/new")},
    {.name = "MkdirUnit", .prepare = furnish, .act = makes_directory("units/new")},
    {.name = "MkdirUnitOfJob", .prepare = furnish, .act = makes_directory("jobs/one/tasks/new")},
    {.name = "MkdirLock", .prepare = furnish, .act = makes_directory("locks/l"), .lock = "locks/l"},
    {.name = "Symlink", .prepare = furnish, .act = links_symbolically("units/a/new")},
    {.name = "SymlinkLock",
     .prepare = furnish,
     .act = links_symbolically("locks/l"),
     .lock = "locks/l"},
    {.name = "Mknod",
     .prepare = furnish,
     .act =
         [](MountedVolume& volume) {
           return ::mknod(volume.at("units/a/new").c_str(), S_IFIFO | 0644, 0) == 0;
         }},
    {.name = "Link", .prepare = furnish, .act = links("units/a/sub/f", "units/a/new")},
    {.name = "LinkLock", .prepare = furnish, .act = links("plain/f", "locks/l"), .lock = "locks/l"},
    {.name = "LinkNameless",
     .prepare = furnish,
     .act =
         [](MountedVolume& volume) {
           const UniqueFd fd(::open(volume.at("units/a").c_str(), O_TMPFILE | O_RDWR, 0644));
           if (!fd.valid() || ::pwrite(fd.get(), "nameless", 8, 5000) != 8) return false;
           const std::string self = "/proc/self/fd/" + std::to_string(fd.get());
           return ::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, volume.at("units/a/new").c_str(),
                           AT_SYMLINK_FOLLOW) == 0;
         }},
};
INSTANTIATE_TEST_SUITE_P(Making, KilledIn, testing::ValuesIn(kMaking), operation_name);

const Operation kRemoving[] = {
    {.name = "Unlink", .prepare = furnish, .act = removes("units/a/sub/f")},
    {.name = "UnlinkOutside", .prepare = furnish, .act = removes("plain/f")},
    {.name = "UnlinkOfTwoNames",
     .prepare = with("ln units/a/sub/f units/a/g"),
     .act = removes("units/a/g")},
    {.name = "UnlinkOpenFile",
     .prepare = furnish,
     .act = changes("plain/f",
                    [](int fd) {
                      const std::string self = "/proc/self/fd/" + std::to_string(fd);
                      char path[PATH_MAX] = {};
                      return ::readlink(self.c_str(), path, sizeof path - 1) > 0 &&
                             ::unlink(path) == 0 && ::pwrite(fd, "x", 1, 100000) == 1;
                    })},
    {.name = "UnlinkFileUnit", .prepare = with("echo u >units/u"), .act = removes("units/u")},
    {.name = "UnlinkLock", .prepare = holding("locks/l"), .act = removes("locks/l")},
    {.name = "RmdirInUnit", .prepare = with("mkdir units/a/e"), .act = removes("units/a/e")},
    {.name = "RmdirUnit", .prepare = with("mkdir units/e"), .act = removes("units/e")},
    {.name = "RmdirLock",
     .prepare =
         [](MountedVolume& volume) {
           furnish(volume);
           ASSERT_TRUE(makes_directory("locks/l")(volume));
         },
     .act = removes("locks/l")},
};
INSTANTIATE_TEST_SUITE_P(Removing, KilledIn, testing::ValuesIn(kRemoving), operation_name);

const Operation kRenaming[] = {
    {.name = "RenameInUnit", .prepare = furnish, .act = renames("units/a/sub", "units/a/moved")},
    {.name = "RenameOnto",
     .prepare = with("echo g >units/a/g"),
     .act = renames("units/a/g", "units/a/sub/f")},
    {.name = "RenameUnit",
     .prepare =
         [](MountedVolume& volume) {
           furnish(volume);
           ASSERT_TRUE(asks("pin units/a")(volume));
         },
     .act = renames("units/a", "units/c")},
    {.name = "RenameUnitOntoUnit",
     .prepare = with("mkdir units/e"),
     .act = renames("units/a", "units/e")},
    {.name = "RenameFileUnit",
     .prepare =
         [](MountedVolume& volume) {
           with("echo u >units/u")(volume);
           ASSERT_TRUE(asks("pin units/u")(volume));
         },
     .act = renames("units/u", "units/v")},
    {.name = "RenameAroundUnits", .prepare = furnish, .act = renames("deep/x", "deep/z")},
    {.name = "RenameToAnotherJob", .prepare = furnish, .act = renames("jobs/one", "jobs/three")},
    {.name = "RenameFileAcross",
     .prepare = furnish,
     .act = renames("units/a/sub/f", "units/b/moved")},
    {.name = "RenameFileOnto", .prepare = furnish, .act = renames("units/a/sub/f", "units/b/f")},
    {.name = "RenameFileOut", .prepare = furnish, .act = renames("units/a/sub/f", "plain/moved")},
    {.name = "RenameFileToUnit", .prepare = furnish, .act = renames("plain/f", "units/f")},
    {.name = "RenameUnitToFile",
     .prepare = with("echo u >units/u"),
     .act = renames("units/u", "plain/u")},
    {.name = "RenameTreeAcross", .prepare = furnish, .act = renames("units/a/sub", "units/b/sub")},
    {.name = "RenameTreeIn", .prepare = furnish, .act = renames("plain/d", "units/b/d")},
    {.name = "RenameTreeToUnit", .prepare = furnish, .act = renames("plain/d", "units/d")},
    {.name = "RenameUnitOut", .prepare = furnish, .act = renames("units/a", "plain/a")},
    {.name = "RenameUnitIntoUnit", .prepare = furnish, .act = renames("units/a", "units/b/a")},
    {.name = "RenameToOtherClass", .prepare = furnish, .act = renames("units/a", "other/a")},
    {.name = "RenameOntoEmptyUnit",
     .prepare = with("mkdir other/e"),
     .act = renames("units/a", "other/e")},
    {.name = "ExchangeInUnit",
     .prepare = with("echo g >units/a/g"),
     .act = renames("units/a/g", "units/a/sub", RENAME_EXCHANGE)},
    {.name = "ExchangeUnits",
     .prepare = furnish,
     .act = renames("units/a", "units/b", RENAME_EXCHANGE)},
    {.name = "RenameToLock",
     .prepare = furnish,
     .act = renames("plain/f", "locks/l"),
     .lock = "locks/l"},
    {.name = "RenameLock", .prepare = holding("locks/k"), .act = renames("locks/k", "locks/l")},
    {.name = "RenameOntoLock",
     .prepare = holding("locks/l"),
     .act = renames("plain/f", "locks/l"),
     .lock = "locks/l"},
    {.name = "RenameLockAway", .prepare = holding("locks/l"), .act = renames("locks/l", "plain/l")},
};
INSTANTIATE_TEST_SUITE_P(Renaming, KilledIn, testing::ValuesIn(kRenaming), operation_name);

const Operation kChanging[] = {
    {.name = "WriteGrowing",
     .prepare = furnish,
     .act = changes("units/a/sub/f", [](int fd) { return ::pwrite(fd, "grown", 5, 50000) == 5; })},
    {.name = "WriteOver",
     .prepare = furnish,
     .act = changes("plain/f", [](int fd) { return ::pwrite(fd, "over", 4, 100) == 4; })},
    {.name = "TruncateDown",
     .prepare = furnish,
     .act = changes("units/a/sub/f", [](int fd) { return ::ftruncate(fd, 10) == 0; })},
    {.name = "TruncateUp",
     .prepare = furnish,
     .act = changes("plain/f", [](int fd) { return ::ftruncate(fd, 100000) == 0; })},
    {.name = "OpenTruncating",
     .prepare = furnish,
     .act = changes(
         "plain/f", [](int) { return true; }, O_RDWR | O_TRUNC)},
    {.name = "Fallocate",
     .prepare = furnish,
     .act = changes("units/a/sub/f", [](int fd) { return ::fallocate(fd, 0, 0, 90000) == 0; })},
    {.name = "CopyFileRange",
     .prepare = furnish,
     .act =
         [](MountedVolume& volume) {
           const UniqueFd from(::open(volume.at("plain/f").c_str(), O_RDONLY));
           const UniqueFd to(::open(volume.at("units/b/f").c_str(), O_RDWR));
           return from.valid() && to.valid() &&
                  ::copy_file_range(from.get(), nullptr, to.get(), nullptr, 5000, 0) == 5000;
         }},
    {.name = "ChownFile",
     .prepare = furnish,
     .act =
         [](MountedVolume& volume) {
           return ::chown(volume.at("plain/f").c_str(), kBob, kAlice) == 0;
         }},
    {.name = "ChownUnitTop",
     .prepare = furnish,
     .act =
         [](MountedVolume& volume) {
           return ::chown(volume.at("units/a").c_str(), kBob, kBob) == 0;
         },
     // The unit's owner is its maker, whoever its files belong to.
     .forgive = {}},
    {.name = "Chmod",
     .prepare = furnish,
     .act = changes("plain/f", [](int fd) { return ::fchmod(fd, 0600) == 0; })},
    {.name = "SetXattr",
     .prepare = furnish,
     .act =
         changes("plain/f", [](int fd) { return ::fsetxattr(fd, "user.test", "v", 1, 0) == 0; })},
};
INSTANTIATE_TEST_SUITE_P(Changing, KilledIn, testing::ValuesIn(kChanging), operation_name);

}  // namespace
}  // namespace ebbfs::test
