// SPDX-License-Identifier: Apache-2.0
//
// `ebbctl report` on a real mount, and its page in a real browser (Debian's chromium; without it
// those tests are skipped). Pictures of the page stay beside the test programs, under report/.
#include "tools/report.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "fs/explainer.h"
#include "fs/sampler.h"
#include "tests/support/each_filesystem.h"
#include "tests/support/plain_files.h"
#include "tests/support/volume_rig.h"

namespace ebbfs::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using std::chrono::days;

constexpr const char* kWorktreesAndCachesPolicy = R"(
[volume]
adopt_grace = "0s"
[[class]]
name = "worktree"
kind = "tree"
match = ["worktrees/*"]
ttl = "2h"
keep = "0s"
[[class]]
name = "cache"
kind = "tree"
match = ["agents/{job}/*"]
ttl = "12h"
keep = "0s"
[[quota]]
scope = "user:*"
bytes = "256MiB"
)";

std::string read(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

void write(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path) << text;
}

// A directory for one page, with what looks at it.
class Browser {
 public:
  explicit Browser(const std::string& name)
      : binaries_(std::getenv("EBBFS_BIN_DIR")), directory_(binaries_ / "report" / name) {
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
  }
  [[nodiscard]] static bool is_here() { return shell("type -P chromium").exit_code == 0; }
  [[nodiscard]] std::string page() const { return directory_ / "page.html"; }

  // What is wrong with the page, as wide as that, and a picture of it as it is drawn.
  [[nodiscard]] std::string look(const json& report, int width, bool dark) const {
    const std::string name = std::to_string(width) + (dark ? "-dark" : "-light");
    std::string figures = report.dump(-1, ' ', true);
    for (std::size_t at = 0; (at = figures.find('<', at)) != std::string::npos;) {
      figures.replace(at, 1, "\\u003c");
    }
    const std::string frame =
        "<iframe style='border:0' src=page.html width=" + std::to_string(width) +
        " height=2600></iframe>";
    write(directory_ / (name + ".html"),
          "<!doctype html><meta charset=utf-8><body style='margin:0'>" + frame +
              "<pre id=verdict>nothing was looked at</pre><script>const report=" + figures +
              "</script><script>" + read(EBBFS_SOURCE_DIR "/tests/mount/report_check.js") +
              "</script>");
    const Ran ran = run(name, "--dump-dom", dark);
    (void)run(
        name,
        "--window-size=" + std::to_string(std::max(width, 500)) +
            ",2600 --hide-scrollbars --screenshot=" + std::string(directory_ / (name + ".png")),
        dark);
    const std::string mark = "<pre id=\"verdict\">";
    const std::size_t begin = ran.out.find(mark);
    if (begin == std::string::npos) return "chromium says: " + ran.out;
    const std::size_t text = begin + mark.size();
    return ran.out.substr(text, ran.out.find("</pre>", text) - text);
  }
  [[nodiscard]] bool has_picture(const std::string& name) const {
    return std::filesystem::exists(directory_ / (name + ".png"));
  }

 private:
  [[nodiscard]] Ran run(const std::string& name, const std::string& what, bool dark) const {
    return shell(
        "profile=$(mktemp -d) && chromium --headless --no-sandbox --disable-gpu "
        "--disable-quic --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync --allow-file-access-from-files "
        "--user-data-dir=\"$profile\" --blink-settings=preferredColorScheme=" +
        std::string(dark ? "0 " : "1 ") + what + " 'file://" +
        std::string(directory_ / (name + ".html")) + "' 2>\"$profile/log\"; rm -rf \"$profile\"");
  }

  const std::filesystem::path binaries_;
  const std::filesystem::path directory_;
};

const std::string kRight = "all is as it should be";

class ReportTest : public OnVolume {
 protected:
  void SetUp() override {
    mount({.policy = kWorktreesAndCachesPolicy});
    if (IsSkipped()) return;
    const Ran made = shell(
        "mkdir -p worktrees/a worktrees/b agents/ci-1/x && chmod -R 777 . &&"
        "head -c 30M /dev/zero >worktrees/a/f && head -c 20M /dev/zero >worktrees/b/f &&"
        "head -c 45M /dev/zero >agents/ci-1/x/f && head -c 10M /dev/zero >outside",
        volume_->path());
    ASSERT_EQ(made.exit_code, 0) << made.out;
  }
};

TEST_F(ReportTest, PageOfARealVolumeShowsItsFiguresInABrowser) {
  if (!Browser::is_here()) GTEST_SKIP() << "needs chromium";
  ASSERT_EQ(volume_->ebbctl("expire worktrees/b").exit_code, 0);
  const Browser browser("mounted");
  const json report = volume_->json("report --html " + browser.page());
  EXPECT_EQ(browser.look(report, 1000, false), kRight);
}

TEST_F(ReportTest, FiguresAreThoseOfTheOtherCommands) {
  const json report = volume_->json("report");
  const json last = report["history"]["points"].back();
  EXPECT_EQ(last["bytes_outside"], 10 << 20);
  EXPECT_EQ(last["classes"][0]["name"], "cache");
  EXPECT_EQ(last["classes"][0]["bytes"], 45 << 20);
  EXPECT_EQ(last["classes"][1]["bytes"], 50 << 20);
  ASSERT_EQ(report["history"]["forecast"].size(), 24U);
  EXPECT_EQ(report["history"]["forecast"][1]["units"], 2) << "due in a little less than two hours";
  EXPECT_EQ(report["history"]["forecast"][11]["classes"][0]["bytes"], 45 << 20);
  ASSERT_EQ(report["quotas"].size(), 1U) << "what has a limit";
  EXPECT_EQ(report["quotas"][0], volume_->json("quota show user:root")["quotas"][0]);
  EXPECT_EQ(report["explain"]["users"][0]["bytes"], 105 << 20);
}

TEST_F(ReportTest, PageIsThereWholeOrNotAtAll) {
  const TempTree tree("/tmp");
  const std::string page = std::string(tree.path()) + "/p.html";
  EXPECT_EQ(volume_->ebbctl("report --html " + page).exit_code, 0);
  EXPECT_TRUE(read(page).ends_with("</html>\n"));
  EXPECT_EQ(volume_->ebbctl("report --html " + std::string(tree.path()) + "/no/p.html").exit_code,
            1);
  EXPECT_EQ(tree.list("").size(), 1U) << "nothing is left beside it";
  EXPECT_NE(volume_->ebbctl("report --html -").out.find("</html>\n"), std::string::npos);
  EXPECT_EQ(volume_->ebbctl("report --html /dev/full").exit_code, 1);
  EXPECT_EQ(volume_->ebbctl("report").exit_code, 2) << "neither --html nor --json";
}

TEST_F(ReportTest, TellsUsersWhatIsTheirs) {
  const auto of_nobody = [&] {
    return as({.uid = 65534, .gid = 65534, .groups = {}}, [&] {
      const json report = volume_->json("report");
      std::int64_t due = 0;
      for (const json& hour : report["history"]["forecast"]) due += hour["units"].get<int>();
      return due == 0 && report["explain"]["only_own"] == true &&
                     report["history"]["points"].size() >= 1
                 ? 0
                 : 1;
    });
  };
  EXPECT_EQ(of_nobody(), 0);
}

// A volume that has been used for three days, by a clock that the test moves.
class LongHistoryTest : public testing::Test {
 protected:
  LongHistoryTest() : rig_(kWorktreesAndCachesPolicy) {
    rig_.mount();
    auto sampler = Sampler::open(rig_.volume(), rig_.trash(), rig_.reaper(), rig_.faults);
    EXPECT_TRUE(sampler);
    sampler_ = std::move(*sampler);
    explainer_.emplace(rig_.volume(), rig_.reaper(), *sampler_);
    explainer_->set_mounted(77, "/mnt/<rig> & co");
    for (const char* dir : {"worktrees", "agents", "agents/ci-1", "agents/ci-2"}) {
      EXPECT_TRUE(rig_.make_dir(dir));
    }
    EXPECT_TRUE(rig_.write_file("outside", std::string(900'000, 'x')));
  }
  void work(int hour) {
    const std::string name = std::to_string(hour);
    ASSERT_TRUE(rig_.make_dir("worktrees/" + name));
    ASSERT_TRUE(
        rig_.write_file("worktrees/" + name + "/f",
                        std::string(static_cast<std::size_t>(100 + hour % 17 * 40) * 4096, 'x')));
    const std::string job = hour % 2 == 0 ? "agents/ci-1/" : "agents/ci-2/";
    ASSERT_TRUE(rig_.make_dir(job + name));
    ASSERT_TRUE(rig_.write_file(
        job + name + "/f", std::string(static_cast<std::size_t>(20 + hour % 11 * 5) * 4096, 'x')));
  }
  void live(int hours) {
    for (int hour = 0; hour < hours; ++hour) {
      work(hour);
      for (int minute = 0; minute < 60; minute += 20) {
        rig_.advance(20min);
        rig_.reaper().run_once();
        // The daemon was away for some hours.
        const bool away = hour >= 30 && hour <= 36;
        ASSERT_TRUE(away || sampler_->sample());
      }
    }
  }
  VolumeReport report() {
    VolumeReport made;
    const Caller root;
    made.explained = explainer_->explain(root, "", days(7));
    made.history = explainer_->history(root, days(7));
    // What the rig lies on is none of the page's business.
    for (PointView& point : made.history.points) {
      point.bytes_total = {24 << 20};
      point.bytes_used = {5 << 20};
      for (const SliceView& one : point.classes) point.bytes_used += one.bytes;
    }
    made.history.bytes_high = Bytes{20 << 20};
    made.explained.bytes_total = {24 << 20};
    made.status.mount = "/mnt/<rig> & co";
    made.status.enforcing = true;
    made.status.version = "0.1.0";
    const auto limited = [&](const char* scope, std::int64_t percent) {
      QuotaView& quota = made.quotas.quotas.emplace_back();
      quota.scope = scope;
      quota.bytes.used = percent * 100'000;
      quota.bytes.hard = 10'000'000;
      quota.percent = percent;
    };
    limited("job:ci-1", 12);
    limited("user:root", 93);
    return made;
  }

  VolumeRig rig_;
  std::unique_ptr<Sampler> sampler_;
  std::optional<Explainer> explainer_;
};

TEST_F(LongHistoryTest, IsDrawnAsItWasOnAnyScreen) {
  if (!Browser::is_here()) GTEST_SKIP() << "needs chromium";
  ASSERT_NO_FATAL_FAILURE(live(72));
  const Browser browser("long");
  const VolumeReport made = report();
  ASSERT_GT(made.history.points.size(), 60U);
  write(browser.page(), html_page(made));
  const json figures = report_json(made);
  // Colours do not depend on the width, so each way of both is enough.
  EXPECT_EQ(browser.look(figures, 1000, false), kRight);
  EXPECT_EQ(browser.look(figures, 390, true), kRight);
  EXPECT_TRUE(browser.has_picture("390-dark"));
}

TEST_F(LongHistoryTest, CheckOfThePageSeesWhatIsWrong) {
  if (!Browser::is_here()) GTEST_SKIP() << "needs chromium";
  ASSERT_NO_FATAL_FAILURE(live(24));
  const Browser browser("wrong");
  const VolumeReport made = report();
  write(browser.page(), html_page(made));
  json figures = report_json(made);
  for (json& point : figures["history"]["points"]) {
    for (json& one : point["classes"]) one["bytes"] = one["bytes"].get<std::int64_t>() * 2;
  }
  EXPECT_NE(browser.look(figures, 1000, false), kRight);
}

}  // namespace
}  // namespace ebbfs::test
