// SPDX-License-Identifier: Apache-2.0
//
// `ebbctl explain` and `ebbctl events --follow` on a real mount.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <sstream>

#include "tests/support/child.h"
#include "tests/support/each_filesystem.h"
#include "tests/support/plain_files.h"

namespace ebbfs::test {
namespace {

using namespace std::chrono_literals;

constexpr const char* kNothingKeptPolicy = R"(
[volume]
adopt_grace = "0s"
[[class]]
name = "tree"
kind = "tree"
match = ["units/*"]
ttl = "24h"
keep = "0s"
)";

class ExplainTest : public OnVolume {
 protected:
  void SetUp() override {
    mount({.policy = kNothingKeptPolicy});
    if (IsSkipped()) return;
    ASSERT_EQ(::mkdir(at("units").c_str(), 0777), 0);
    ASSERT_EQ(::chmod(at("units").c_str(), 0777), 0);
  }
  // With the ebbctl under test found first.
  Ran run(const std::string& command) {
    // Set by the mounted volume where it was not.
    const std::string binaries = std::getenv("EBBFS_BIN_DIR");
    return shell("PATH='" + binaries + "':$PATH; " + command, volume_->path());
  }
  nlohmann::json explain(const std::string& arguments = "") {
    return volume_->json("explain " + arguments);
  }
  static nlohmann::json find(const nlohmann::json& list, const char* key, const char* value) {
    for (const auto& one : list) {
      if (one[key] == value) return one;
    }
    return {};
  }
};

TEST_F(ExplainTest, NamesWhoHoldsWhatAndWhyItCannotGo) {
  ASSERT_EQ(run("mkdir units/a units/b && head -c 3M /dev/zero >units/a/f &&"
                "head -c 1M /dev/zero >units/b/f")
                .exit_code,
            0);
  ASSERT_EQ(volume_->ebbctl("pin units/a").exit_code, 0);
  const ChildProcess sits_inside([&](const ChildProcess::Talk& talk) -> int {
    talk.tell(::chdir(at("units/b").c_str()));
    talk.wait_for_ever();
  });
  ASSERT_EQ(sits_inside.hear(), 0);
  const auto view = explain();
  EXPECT_EQ(view["verdict"].size(), 2U);
  EXPECT_EQ(find(view["users"], "name", "root")["bytes"], 4 << 20);
  EXPECT_EQ(find(view["units"], "name", "units/a")["bytes"], 3 << 20);
  EXPECT_EQ(find(view["held"], "reason", "pinned")["bytes"], 3 << 20) << view["held"].dump(1);
  EXPECT_EQ(find(view["held"], "reason", "process_inside")["largest"], "units/b")
      << view["held"].dump(1);
  EXPECT_EQ(view["cleanup"]["state"], "running");
  const std::string unpin = "ebbctl unpin " + at("units/a");
  const Ran text = volume_->ebbctl("explain");
  EXPECT_EQ(text.exit_code, 0);
  EXPECT_NE(text.out.find("\n" + unpin + "\n"), std::string::npos) << text.out;
}

TEST_F(ExplainTest, TellsWhatWasRemovedAlsoAfterARestart) {
  ASSERT_EQ(run("mkdir units/a && head -c 1M /dev/zero >units/a/f").exit_code, 0);
  ASSERT_EQ(volume_->ebbctl("expire units/a").exit_code, 0);
  const auto removed = [&] { return explain()["removed"]; };
  ASSERT_EQ(removed().size(), 1U);
  EXPECT_EQ(removed()[0]["reason"], "request");
  EXPECT_EQ(removed()[0]["bytes"], 1 << 20);
  volume_->kill_daemon();
  volume_->mount();
  ASSERT_TRUE(eventually([&] { return removed().size() == 1; }, 5s));
  EXPECT_EQ(removed()[0]["count"], 1) << "once";
  volume_->unmount();
  volume_->mount();
  EXPECT_EQ(removed()[0]["count"], 1);
}

TEST_F(ExplainTest, HasAHistoryFromTheStart) {
  ASSERT_TRUE(eventually([&] { return !explain()["from"].is_null(); }, 5s));
  const std::string from = explain()["from"];
  volume_->kill_daemon();
  volume_->mount();
  EXPECT_EQ(explain()["from"], from) << "it survives";
  EXPECT_TRUE(explain("--since 1h")["usage"][1]["time_to_full_seconds"].is_null())
      << "a moment is no trend";
}

TEST_F(ExplainTest, ShowsUsersWhatIsTheirs) {
  ASSERT_EQ(run("mkdir units/a && head -c 1M /dev/zero >units/a/f").exit_code, 0);
  const auto of_nobody = [&] {
    return as({.uid = 65534, .gid = 65534, .groups = {}}, [&] {
      const auto view = explain();
      return view["units"].empty() && view["jobs"].empty() && view["only_own"] == true &&
                     view["bytes_total"] > 0
                 ? 0
                 : 1;
    });
  };
  EXPECT_EQ(of_nobody(), 0);
}

TEST_F(ExplainTest, SaysHowItIsUsed) {
  EXPECT_EQ(volume_->ebbctl("explain --since tomorrow").exit_code, 2);
  EXPECT_EQ(volume_->ebbctl("explain --since 0s").exit_code, 2);
}

TEST_F(ExplainTest, EventsAreFollowedUntilInterrupted) {
  const Ran ran = run(
      "(sleep 1; mkdir units/late; ebbctl expire units/late >/dev/null) & "
      "timeout --preserve-status -s INT 4 ebbctl events --follow --json --limit 1; echo ended=$?");
  EXPECT_NE(ran.out.find("\"path\":\"units/late\""), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("ended=0"), std::string::npos) << ran.out;
  std::istringstream lines(ran.out.substr(0, ran.out.find("ended=")));
  for (std::string line; std::getline(lines, line);) {
    EXPECT_TRUE(nlohmann::json::accept(line)) << line;
  }
}

TEST_F(ExplainTest, EventsEndWhenNobodyReadsThem) {
  const Ran ran = run("time timeout 20 ebbctl events --follow | head -n 1");
  EXPECT_EQ(ran.exit_code, 0) << ran.out;
  EXPECT_NE(ran.out.find("real\t0m0"), std::string::npos) << ran.out;
}

}  // namespace
}  // namespace ebbfs::test
