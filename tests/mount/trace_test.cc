// SPDX-License-Identifier: Apache-2.0
//
// `ebbctl trace` on a real mount.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <sstream>

#include "tests/support/each_filesystem.h"
#include "tests/support/plain_files.h"

namespace ebbfs::test {
namespace {

class TraceTest : public OnVolume {
 protected:
  void SetUp() override {
    mount({});
    if (IsSkipped()) return;
    ASSERT_EQ(::chmod(volume_->path().c_str(), 0777), 0);
  }
  // What a trace with `options` shows while `command` runs.
  std::vector<nlohmann::json> traced(const std::string& options, const std::string& command,
                                     const std::string& as = "") {
    // Set by the mounted volume where it was not.
    const std::string ebbctl = std::string(std::getenv("EBBFS_BIN_DIR")) + "/ebbctl";
    const Ran ran =
        shell("(sleep 1; " + command + ") & " + as +
                  " timeout --preserve-status -s INT 3 /proc/self/fd/9 trace --json "
                  "--mount '" +
                  volume_->path() + "' " + options + " 9<'" + ebbctl + "'; echo ended=$?; wait",
              volume_->path());
    EXPECT_NE(ran.out.find("ended=0"), std::string::npos) << ran.out;
    std::vector<nlohmann::json> requests;
    std::istringstream lines(ran.out);
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("{")) requests.push_back(nlohmann::json::parse(line));
    }
    return requests;
  }
  static std::string ops_on(const std::vector<nlohmann::json>& requests, const std::string& path) {
    std::string ops;
    for (const auto& request : requests) {
      if (request["path"] == path) ops += request["op"].get<std::string>() + " ";
    }
    return ops;
  }
};

TEST_F(TraceTest, ShowsWhatAProgramAsksOfTheDaemon) {
  const auto requests = traced("", "mkdir d; echo hello >d/f; rm d/f; rmdir d");
  // Between the two it may be asked for its attributes, as what is in it changes.
  const std::string on_directory = ops_on(requests, "d");
  EXPECT_TRUE(on_directory.starts_with("lookup mkdir ")) << on_directory;
  EXPECT_TRUE(on_directory.ends_with("rmdir ")) << on_directory;
  const std::string on_file = ops_on(requests, "d/f");
  EXPECT_NE(on_file.find("create "), std::string::npos) << on_file;
  EXPECT_NE(on_file.find("write "), std::string::npos) << on_file;
  EXPECT_NE(on_file.find("unlink "), std::string::npos) << on_file;
  for (const auto& request : requests) {
    EXPECT_EQ(request["user"], "root");
    EXPECT_GT(request["took_seconds"], 0);
    EXPECT_LT(request["took_seconds"], 2);
  }
}

TEST_F(TraceTest, SaysWhatWasRefused) {
  const auto requests = traced("--op rmdir", "mkdir -p d/e; rmdir d");
  ASSERT_EQ(requests.size(), 1U);
  EXPECT_EQ(requests[0]["path"], "d");
  EXPECT_EQ(requests[0]["error"], "ENOTEMPTY");
}

TEST_F(TraceTest, ShowsWhatIsAtOrBelowAPathOnly) {
  const auto requests = traced("here", "mkdir here there; touch here/f there/f");
  EXPECT_EQ(ops_on(requests, "there/f") + ops_on(requests, "there"), "");
  EXPECT_NE(ops_on(requests, "here/f"), "");
}

TEST_F(TraceTest, ShowsUsersTheirOwnRequestsOnly) {
  if (shell("command -v setpriv").exit_code != 0) GTEST_SKIP() << "needs setpriv";
  const std::string as_alice = "setpriv --reuid 21001 --regid 21001 --clear-groups";
  const auto requests =
      traced("--op mkdir", "mkdir of-root; " + as_alice + " mkdir of-alice", as_alice);
  ASSERT_EQ(requests.size(), 1U);
  EXPECT_EQ(requests[0]["path"], "of-alice");
  EXPECT_EQ(requests[0]["uid"], 21001);
}

}  // namespace
}  // namespace ebbfs::test
