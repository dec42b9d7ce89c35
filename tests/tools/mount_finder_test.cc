// SPDX-License-Identifier: Apache-2.0
#include "tools/mount_finder.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/support/temp_tree.h"

namespace ebbfs {
namespace {

namespace filesystem = std::filesystem;

// A tree in which some directories play mounts.
class MountFinderTest : public testing::Test {
 protected:
  MountFinderTest() : top_(filesystem::canonical(tree_.path()).string()) {
    tree_.make_dir("ebs/worktrees/a/src");
    tree_.make_dir("ebs/locks");
    tree_.make_dir("elsewhere/inner");
    play("ebs", Probe::control);
    host_.working_directory = top_;
    host_.probe = [this](const std::string& directory) {
      const auto at = probes_.find(directory);
      return at == probes_.end() ? Probe::none : at->second;
    };
  }

  void play(std::string_view directory, Probe probe) { probes_[in_tree(directory)] = probe; }
  // As a line of mountinfo about an ebbfs.
  void list(std::string_view device, std::string_view root, std::string_view directory) {
    host_.mountinfo += "30 22 " + std::string(device) + " " + std::string(root) + " " +
                       in_tree(directory) + " rw - fuse.ebbfs ebbfs rw\n";
  }
  void enter(std::string_view directory) { host_.working_directory = in_tree(directory); }
  [[nodiscard]] std::string in_tree(std::string_view relative) const {
    return top_ + "/" + std::string(relative);
  }
  // "MOUNT:PATH" without the tree's own path, or "CODE ERROR".
  [[nodiscard]] std::string find(std::optional<std::string> path, std::string mount = "") const {
    const auto target = find_target({.mount = std::move(mount), .path = std::move(path)}, host_);
    std::string text = target
                           ? target->mount + ":" + target->path
                           : std::to_string(target.error().exit_code) + " " + target.error().error;
    for (std::size_t at = 0; (at = text.find(top_ + "/")) != std::string::npos;) {
      text.erase(at, top_.size() + 1);
    }
    return text;
  }

  TempTree tree_;
  const std::string top_;
  std::map<std::string, Probe> probes_;
  Host host_;
};

TEST_F(MountFinderTest, PathsBecomeRelativeToTheMount) {
  filesystem::create_symlink(in_tree("ebs/worktrees"), in_tree("elsewhere/link"));
  filesystem::create_symlink("link/a", in_tree("elsewhere/twice"));
  filesystem::create_symlink(in_tree("ebs/worktrees/expired"), in_tree("elsewhere/dangling"));
  filesystem::create_symlink("host:4242", in_tree("ebs/locks/sym.lock"));
  filesystem::create_symlink("../worktrees/a", in_tree("ebs/locks/to_a"));
  struct Case {
    const char* name;
    const char* directory;  // to be in
    const char* path;       // "@" is the tree
    const char* want;
  };
  constexpr Case kCases[] = {
      {.name = "absolute", .directory = "", .path = "@/ebs/worktrees/a", .want = "worktrees/a"},
      {.name = "the root", .directory = "", .path = "@/ebs", .want = ""},
      {.name = "the root with a slash", .directory = "", .path = "@/ebs/", .want = ""},
      {.name = "relative",
       .directory = "ebs/worktrees",
       .path = "a/src",
       .want = "worktrees/a/src"},
      {.name = "here", .directory = "ebs/worktrees/a", .path = ".", .want = "worktrees/a"},
      {.name = "above", .directory = "ebs/worktrees/a", .path = "..", .want = "worktrees"},
      {.name = "beside",
       .directory = "ebs/worktrees/a",
       .path = "../../locks/x",
       .want = "locks/x"},
      {.name = "slashes",
       .directory = "",
       .path = "@//ebs///worktrees//a//",
       .want = "worktrees/a"},
      {.name = "gone", .directory = "", .path = "@/ebs/worktrees/b", .want = "worktrees/b"},
      {.name = "gone, below", .directory = "", .path = "@/ebs/gone/b/c/", .want = "gone/b/c"},
      {.name = "gone, dot", .directory = "", .path = "@/ebs/gone/.", .want = "gone"},
      {.name = "below a file's name",
       .directory = "",
       .path = "@/ebs/locks/sym.lock/x",
       .want = "locks/sym.lock/x"},
      {.name = "through a link",
       .directory = "",
       .path = "elsewhere/link/a",
       .want = "worktrees/a"},
      {.name = "a link outside", .directory = "", .path = "elsewhere/link", .want = "worktrees"},
      {.name = "a link to a link",
       .directory = "",
       .path = "elsewhere/twice",
       .want = "worktrees/a"},
      {.name = "a link to what is gone",
       .directory = "",
       .path = "elsewhere/dangling",
       .want = "worktrees/expired"},
      {.name = "a link that is a lock",
       .directory = "",
       .path = "@/ebs/locks/sym.lock",
       .want = "locks/sym.lock"},
      {.name = "a link on the mount",
       .directory = "",
       .path = "ebs/locks/to_a",
       .want = "locks/to_a"},
      {.name = "through a link on it",
       .directory = "",
       .path = "ebs/locks/to_a/",
       .want = "worktrees/a"},
  };
  for (const Case& row : kCases) {
    enter(row.directory);
    std::string path = row.path;
    if (path.starts_with('@')) path.replace(0, 1, top_);
    EXPECT_EQ(find(path), std::string("ebs:") + row.want) << row.name;
  }
}

TEST_F(MountFinderTest, TheNearestMountAboveCounts) {
  play("ebs/worktrees", Probe::control);
  EXPECT_EQ(find("ebs/worktrees/a"), "ebs/worktrees:a");
  EXPECT_EQ(find("ebs/locks/a"), "ebs:locks/a");
}

TEST_F(MountFinderTest, WithoutAPathTheWorkingDirectoryCounts) {
  list("0:9", "/", "other");
  enter("ebs/worktrees/a");
  EXPECT_EQ(find(std::nullopt), "ebs:");
}

TEST_F(MountFinderTest, AWorkingDirectoryThatExpiredStillCounts) {
  enter("ebs/worktrees/expired/src");
  EXPECT_EQ(find(std::nullopt), "ebs:");
  EXPECT_EQ(find("."), "ebs:worktrees/expired/src");
}

TEST_F(MountFinderTest, ElseTheOnlyMountCounts) {
  list("0:1", "/", "ebs");
  enter("elsewhere");
  EXPECT_EQ(find(std::nullopt), "ebs:");
}

TEST_F(MountFinderTest, MountsOfOneVolumeAreOne) {
  list("0:1", "/", "ebs");
  list("0:1", "/", "elsewhere/bound");
  list("0:1", "/worktrees", "elsewhere/part");
  EXPECT_EQ(find(std::nullopt), "ebs:");
}

TEST_F(MountFinderTest, OfSeveralOneMustBeNamed) {
  list("0:1", "/", "ebs");
  list("0:2", "/", "other");
  EXPECT_EQ(find(std::nullopt),
            "2 several ebbfs are mounted here: name one with --mount: ebs, other");
  EXPECT_EQ(find(std::nullopt, "ebs"), "ebs:");
}

TEST_F(MountFinderTest, ARelativePathToNothingIsOnTheVolume) {
  list("0:1", "/", "ebs");
  enter("elsewhere");
  EXPECT_EQ(find("worktrees/a/"), "ebs:worktrees/a");
  EXPECT_EQ(find("worktrees/a", in_tree("ebs")), "ebs:worktrees/a");
  EXPECT_EQ(find("inner"), "3 inner is on no ebbfs; mounted here: ebs");
  EXPECT_EQ(find("../nothing"), "3 ../nothing is on no ebbfs; mounted here: ebs");
}

TEST_F(MountFinderTest, ANamedMountMustBeTheRootOfOne) {
  EXPECT_EQ(find(std::nullopt, in_tree("ebs/")), "ebs:");
  EXPECT_EQ(find(std::nullopt, in_tree("ebs/worktrees")),
            "3 ebs/worktrees is not the root of an ebbfs mount");
  EXPECT_EQ(find("ebs/worktrees/a", "ebs"), "ebs:worktrees/a");
  EXPECT_EQ(find(in_tree("elsewhere"), "ebs"),
            "2 " + in_tree("elsewhere").substr(top_.size() + 1) + " is not on the ebbfs at ebs");
}

TEST_F(MountFinderTest, ANamedMountMayBeASymbolicLink) {
  filesystem::create_symlink("../ebs", in_tree("elsewhere/link"));
  EXPECT_EQ(find("elsewhere/link/locks", "elsewhere/link"), "ebs:locks");
}

TEST_F(MountFinderTest, ADeadMountIsNamedWithTheCure) {
  play("ebs", Probe::dead);
  play("ebs/worktrees/a", Probe::dead);
  const std::string want =
      "3 the daemon of the ebbfs at ebs has gone (Transport endpoint is not connected): bring it "
      "back as it was started (its service, its line in fstab), or with: ebbfs ebs and the options "
      "it had";
  EXPECT_EQ(find("ebs/worktrees/a"), want);
  EXPECT_EQ(find(std::nullopt, "ebs"), want);
  list("0:1", "/", "ebs");
  EXPECT_EQ(find(std::nullopt), want);
}

TEST_F(MountFinderTest, ADeadMountIsNotAnsweredForByTheOneAroundIt) {
  play("ebs/worktrees/a", Probe::dead);
  EXPECT_EQ(find("ebs/worktrees/a/src").substr(0, 48),
            "3 the daemon of the ebbfs at ebs/worktrees/a has");
  EXPECT_EQ(find("ebs/worktrees"), "ebs:worktrees");
}

TEST_F(MountFinderTest, APartOfAVolumeIsNotEnough) {
  list("0:1", "/worktrees", "elsewhere");
  const std::string want =
      "3 elsewhere shows only /worktrees of an ebbfs, without its .ebbfs/control: run ebbctl where "
      "the whole volume is mounted, or bind-mount all of it here";
  EXPECT_EQ(find("elsewhere/inner"), want);
  EXPECT_EQ(find(std::nullopt), want);
}

TEST_F(MountFinderTest, AVolumeNotMountedIsNamedWithTheCure) {
  play("ebs", Probe::not_mounted);
  const std::string want = "3 ebs is an ebbfs volume that is not mounted: mount it with: ebbfs ebs";
  EXPECT_EQ(find("ebs/worktrees/a"), want);
  enter("ebs/worktrees");
  EXPECT_EQ(find(std::nullopt), want);
}

TEST_F(MountFinderTest, WithoutAnyMountTheCureIsNamed) {
  EXPECT_EQ(find(std::nullopt), "3 no ebbfs is mounted here: mount one with: ebbfs DIRECTORY");
  EXPECT_EQ(
      find(in_tree("elsewhere")),
      "3 elsewhere is on no ebbfs, and none is mounted here: mount one with: ebbfs DIRECTORY");
}

TEST_F(MountFinderTest, AMountThatIsCoveredIsSaidSo) {
  list("0:1", "/", "elsewhere");
  EXPECT_EQ(find(std::nullopt).substr(0, 40), "3 elsewhere is mounted but does not answ");
}

TEST_F(MountFinderTest, ADirectoryThatMayNotBeEnteredHidesNoMountAboveIt) {
  play("ebs/worktrees/a", Probe::denied);
  EXPECT_EQ(find("ebs/worktrees/a/src"), "ebs:worktrees/a/src");
  play("elsewhere", Probe::denied);
  EXPECT_EQ(find("elsewhere/inner"), "1 elsewhere: no permission to look for an ebbfs there");
}

TEST_F(MountFinderTest, AnEmptyPathIsMisuse) { EXPECT_EQ(find(""), "2 PATH is empty"); }

}  // namespace
}  // namespace ebbfs
