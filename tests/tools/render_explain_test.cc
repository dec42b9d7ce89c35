// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <clocale>
#include <cstdlib>
#include <ctime>
#include <sstream>

#include "tests/tools/sample_values.h"
#include "tools/render_views.h"

namespace ebbfs {
namespace {

using namespace std::chrono_literals;
using std::chrono::days;

ExplainView sample() {
  ExplainView view;
  view.mount = "/mnt/ebs";
  view.time = kNow;
  view.since = days(7);
  view.from = kNow - days(7);
  view.verdict = {
      "93 % full, 40.0 GiB of 43.0 GiB: 12.0 GiB more than 7d ago, full in 1d 18h at that rate.",
      "30.0 GiB cannot go now: 231 units, used within the keep of its class."};
  view.bytes_total = {43 * kGiB};
  view.bytes_free = {3 * kGiB};
  UsageThenView now;
  now.time = kNow;
  now.bytes_used = {40 * kGiB};
  now.inodes_used = 1'204'331;
  UsageThenView day;
  day.ago = days(1);
  day.time = kNow - days(1);
  day.bytes_used = {38 * kGiB};
  day.inodes_used = 1'100'000;
  day.bytes_growth = 2 * kGiB;
  day.time_to_full = 36h;
  UsageThenView week = day;
  week.ago = days(7);
  week.time = kNow - days(7);
  week.bytes_growth = -kGiB;
  week.time_to_full.reset();
  UsageThenView month;
  month.ago = days(30);
  view.usage = {now, day, week, month};
  view.users = {{"alice", 12, {{12 * kGiB}, 4}, 5 * kGiB, false}};
  view.jobs = {{"ci-17", 3, {{2 * kGiB}, 4}, kGiB, true}};
  view.classes = {{"worktree", 231, {{30 * kGiB}, 4}, std::nullopt, false}};
  view.units = {{"worktrees/job-17", {}, {{kGiB}, 4}, 0, false}};
  view.removed = {{"worktree", "expire", 1'204, {{70 * kGiB}, 9}}};
  view.held = {{"recent", "used within the keep of its class", 231, {{30 * kGiB}, 9}, "w/a"},
               {"outside", "outside of any unit: nothing there ever expires", 0, {{kGiB}, 9}, ""}};
  view.evictable = {{kGiB / 2}, 9};
  view.evictable_units = 3;
  view.cleanup.state = "running";
  view.actions = {{"see what has grown", {"ebbctl", "units", "--user", "alice"}},
                  {"unpin it", {"ebbctl", "unpin", "/mnt/ebs/worktrees/it's \n"}}};
  return view;
}

class RenderExplainTest : public testing::Test {
 protected:
  RenderExplainTest() {
    ::setenv("TZ", "UTC0", 1);
    ::tzset();
    std::setlocale(LC_CTYPE, "C.UTF-8");
  }
  const Style style_;
};

TEST_F(RenderExplainTest, BeginsWithTheVerdictAndEndsWithWhatToDo) {
  EXPECT_EQ(render(sample(), style_, kNow),
            "/mnt/ebs\n"
            "93 % full, 40.0 GiB of 43.0 GiB: 12.0 GiB more than 7d ago, full in 1d 18h at that "
            "rate.\n"
            "30.0 GiB cannot go now: 231 units, used within the keep of its class.\n"
            "\n"
            "WHEN         USED  FULL    GROWTH     INODES  FULL IN\n"
            "now      40.0 GiB  93 %            1,204,331\n"
            "1d ago   38.0 GiB  88 %  +2.0 GiB  1,100,000  1d 12h\n"
            "7d ago   38.0 GiB  88 %  -1.0 GiB  1,100,000  not growing\n"
            "30d ago         -     -         -          -  no history\n"
            "\n"
            "   HOLDS     GROWTH  UNITS  WHO    NAME\n"
            "12.0 GiB   +5.0 GiB     12  user   alice\n"
            " 2.0 GiB  >+1.0 GiB      3  job    ci-17\n"
            "30.0 GiB          ?    231  class  worktree\n"
            " 1.0 GiB        0 B         unit   worktrees/job-17\n"
            "\n"
            "REMOVED IN 7d  COUNT  WHY     CLASS\n"
            "     70.0 GiB  1,204  expire  worktree\n"
            "\n"
            "   STAYS  UNITS  WHY IT CANNOT GO NOW\n"
            "30.0 GiB    231  used within the keep of its class\n"
            " 1.0 GiB         outside of any unit: nothing there ever expires\n"
            "may go        512 MiB in 3 units when its time comes or space is needed; trash: 0 B\n"
            "cleanup       running\n"
            "\n"
            "# see what has grown\n"
            "ebbctl units --user alice\n"
            "# unpin it\n"
            "ebbctl unpin $'/mnt/ebs/worktrees/it\\'s \\x0a'\n");
}

TEST_F(RenderExplainTest, FitsIntoEightyColumnsButForItsCommands) {
  ExplainView view = sample();
  view.units[0].name = "worktrees/" + std::string(100, 'x');
  view.cleanup = {.state = "observing",
                  .text = "the policy only observes (mode = \"observe\")",
                  .since = kNow - 50h,
                  .since_at_least = true,
                  .provisional = true};
  std::istringstream lines(render(view, Style{.terminal = true, .width = 80}, kNow));
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("ebbctl ")) {
      EXPECT_LE(line.size(), 80U) << line;
    }
  }
}

TEST_F(RenderExplainTest, SaysLoudlyThatCleanupDoesNotRun) {
  ExplainView view = sample();
  view.cleanup = {.state = "braked",
                  .text = "the brake: 9 of 9 units due",
                  .since = kNow - 3h,
                  .since_at_least = false,
                  .provisional = false};
  EXPECT_NE(render(view, style_, kNow)
                .find("cleanup       NOT RUNNING for 3h: the brake: 9 of 9 units due\n"),
            std::string::npos);
}

TEST_F(RenderExplainTest, SaysHowFarBackAShorterHistoryGoes) {
  ExplainView view = sample();
  view.usage[2].time = kNow - 3h;
  const std::string text = render(view, style_, kNow);
  const std::size_t row = text.find("\n3h ago ");
  ASSERT_NE(row, std::string::npos) << text;
  EXPECT_LT(row, text.find("\n1d ago ")) << "rows are in the order of their ages";
}

TEST_F(RenderExplainTest, HasAWordForNothing) {
  ExplainView view = sample();
  view.users.clear();
  view.units.clear();
  view.removed.clear();
  view.held.clear();
  view.actions.clear();
  const std::string text = render(view, style_, kNow);
  for (const char* part : {"owners        nobody holds anything\n", "removed       nothing in 7d\n",
                           "stays         nothing has to\n", "next          nothing to do\n"}) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  }
}

TEST_F(RenderExplainTest, WordsForTheShellAreQuotedWhereTheyHaveTo) {
  struct Case {
    const char* word;
    const char* want;
  };
  for (const Case& c : {
           Case{"/mnt/ebs/worktrees/job-17", "/mnt/ebs/worktrees/job-17"},
           Case{"", "''"},
           Case{"a b", "'a b'"},
           Case{"$(reboot)", "'$(reboot)'"},
           Case{"it's", "'it'\\''s'"},
           Case{"caf\xc3\xa9", "'caf\xc3\xa9'"},
           Case{"a\nb\\", "$'a\\x0ab\\\\'"},
           Case{"\x1b[2J", "$'\\x1b[2J'"},
           Case{"a\xe2\x80\xae", "$'a\\xe2\\x80\\xae'"},
       }) {
    EXPECT_EQ(shell_word(c.word), c.want);
  }
}

}  // namespace
}  // namespace ebbfs
