// SPDX-License-Identifier: Apache-2.0
#include "tools/control_client.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "fs/unique_fd.h"
#include "tests/support/temp_tree.h"

namespace ebbfs {
namespace {

ControlRequest status_request() {
  ControlRequest request;
  request.command = command::kStatus;
  return request;
}

TEST(ProbeDirectory, FindsNothingWhereNothingIs) {
  const TempTree tree;
  tree.write_file("file", "");
  EXPECT_EQ(probe_directory(tree.path()), Probe::none);
  EXPECT_EQ(probe_directory(tree.at("file")), Probe::none);
  EXPECT_EQ(probe_directory(tree.at("missing")), Probe::none);
  EXPECT_EQ(probe_directory(""), Probe::none);
}

TEST(ProbeDirectory, KnowsAVolumeThatIsNotMountedByItsIndex) {
  const TempTree tree;
  tree.make_dir(".ebbfs/index");
  EXPECT_EQ(probe_directory(tree.path()), Probe::not_mounted);
}

TEST(ProbeDirectory, TakesNoOrdinaryFileForAControlFile) {
  const TempTree tree;
  tree.write_file(".ebbfs/control", "");
  EXPECT_EQ(probe_directory(tree.path()), Probe::none);
}

TEST(ProbeDirectory, FollowsNoSymbolicLink) {
  const TempTree tree;
  tree.make_dir("volume/.ebbfs/index");
  tree.make_dir("other");
  std::filesystem::create_symlink("volume", tree.at("link"));
  std::filesystem::create_symlink("../volume/.ebbfs", tree.at("other/.ebbfs"));
  EXPECT_EQ(probe_directory(tree.at("volume")), Probe::not_mounted);
  EXPECT_EQ(probe_directory(tree.at("link")), Probe::none);
  EXPECT_EQ(probe_directory(tree.at("other")), Probe::none);
}

TEST(Ask, WritesIntoNoFileThatIsNotOnFuse) {
  const TempTree tree;
  tree.write_file("precious", "as it was");
  tree.make_dir("trap/.ebbfs");
  std::filesystem::create_symlink(tree.at("precious"), tree.at("trap/.ebbfs/control"));
  tree.write_file("plain/.ebbfs/control", "as it was");
  for (const char* mount : {"trap", "plain"}) {
    const ControlReply reply = ask(tree.at(mount), status_request());
    EXPECT_EQ(reply.exit_code, kExitNoMount) << mount;
    EXPECT_EQ(reply.error, tree.at(mount).string() + " is not the root of an ebbfs mount");
  }
  EXPECT_EQ(tree.read_file("precious"), "as it was");
  EXPECT_EQ(tree.read_file("plain/.ebbfs/control"), "as it was");
}

TEST(Ask, RefusesAPathThatMakesTheRequestTooLong) {
  ControlRequest request = status_request();
  for (std::size_t size = 0; size <= kRequestMax; size += 256) {
    request.path += (size > 0 ? "/" : "") + std::string(255, 'n');
  }
  EXPECT_EQ(ask("/", request).exit_code, kExitUsage);
}

TEST(ReadWhole, StartsAtTheBeginningWhereverTheFileStands) {
  const TempTree tree;
  const std::string content(300'000, 'x');
  tree.write_file("file", "begin" + content);
  const UniqueFd fd(::open(tree.at("file").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(::lseek(fd.get(), 7, SEEK_SET), 7);
  EXPECT_EQ(read_whole(fd.get()), "begin" + content);
}

TEST(ReadWhole, SaysWhatFailed) {
  const auto text = read_whole(-1);
  ASSERT_FALSE(text);
  EXPECT_EQ(code(text.error()), EBADF);
}

TEST(ReadFile, ReadsInSequenceOrSaysWhy) {
  const TempTree tree;
  tree.write_file("file", "text");
  EXPECT_EQ(read_file(tree.at("file")), "text");
  EXPECT_EQ(code(read_file(tree.at("missing")).error()), ENOENT);
  EXPECT_EQ(code(read_file(tree.path()).error()), EISDIR);
}

TEST(ThisHost, KnowsItsMountsAndWhereItIs) {
  const Host host = this_host();
  EXPECT_EQ(host.working_directory, std::filesystem::current_path().string());
  EXPECT_NE(host.mountinfo.find(" / "), std::string::npos);
  EXPECT_TRUE(host.mountinfo.ends_with("\n"));
}

}  // namespace
}  // namespace ebbfs
