// SPDX-License-Identifier: Apache-2.0
#include "tools/report.h"

#include <gtest/gtest.h>

#include "tests/tools/sample_values.h"
#include "tools/report_scale.h"

namespace ebbfs {
namespace {

using namespace std::chrono_literals;
using std::chrono::days;

HistoryView sample_history() {
  HistoryView view;
  view.time = kNow;
  view.since = days(1);
  view.step = 1h;
  view.bytes_high = Bytes{34 * kGiB};
  for (int hour = 0; hour <= 24; ++hour) {
    view.points.push_back({.time = kNow - days(1) + std::chrono::hours(hour),
                           .bytes_total = {40 * kGiB},
                           .bytes_used = {20 * kGiB},
                           .bytes_outside = {kGiB},
                           .bytes_trash = {kGiB},
                           .classes = {{"worktree", 3, {hour * kGiB / 4}}},
                           .removed = {}});
  }
  return view;
}

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t found = 0;
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; ++at) ++found;
  return found;
}

TEST(ReportPage, LetsNoNameBecomeMarkup) {
  EXPECT_EQ(html("<b>&\"'\x1b[31m"), "&lt;b&gt;&amp;&quot;'\\x1b[31m");
  VolumeReport report;
  report.status.mount = "/<script>alert(1)</script>";
  report.explained.users.emplace_back().name = "<img src=x>";
  report.history = sample_history();
  report.history.points.back().classes[0].name = "\"><script>";
  QuotaView& quota = report.quotas.quotas.emplace_back();
  quota.scope = "job:<i>";
  quota.bytes.hard = 2;
  quota.percent = 50;
  report.explained.actions = {{"<why>", {"ebbctl", "<x>"}}};
  const std::string page = html_page(report);
  EXPECT_EQ(count(page, "<script"), 0U);
  EXPECT_EQ(count(page, "<img"), 0U);
  EXPECT_EQ(count(page, "<i>"), 0U);
  EXPECT_EQ(count(page, "<why>") + count(page, "<x>"), 0U);
}

TEST(ReportPage, TellsThePastInTheOrderOfItsAgesAsExplainDoes) {
  VolumeReport report;
  ExplainView& view = report.explained;
  view.time = kNow;
  view.since = days(7);
  for (const Duration ago : {Duration{}, Duration(days(1)), Duration(days(7))}) {
    UsageThenView& then = view.usage.emplace_back();
    then.ago = ago;
    then.time = kNow - ago;
  }
  view.usage[1].time_to_full = days(1600);
  view.usage[2].time = kNow - 3h;
  const std::string page = html_page(report);
  const std::size_t recent = page.find("3h ago");
  ASSERT_NE(recent, std::string::npos);
  EXPECT_LT(recent, page.find("1d ago"));
  EXPECT_EQ(page.find("7d ago"), std::string::npos);
  EXPECT_EQ(page.find("1600d"), std::string::npos) << "that is \"over a year\"";
}

TEST(ReportPage, OfAVolumeWithoutAnythingSaysSo) {
  const std::string page = html_page({});
  EXPECT_NE(page.find("There is no history yet."), std::string::npos);
  EXPECT_NE(page.find("Nothing is due"), std::string::npos);
  EXPECT_NE(page.find("None are set."), std::string::npos);
  EXPECT_TRUE(page.ends_with("</html>\n"));
}

TEST(ReportCharts, HaveNothingBetweenPointsThatAreFarApart) {
  HistoryView whole = sample_history();
  EXPECT_EQ(count(usage_chart(whole), "Z"), 4U) << "an area for each of what there is";
  whole.points.erase(whole.points.begin() + 8, whole.points.begin() + 16);
  EXPECT_EQ(count(usage_chart(whole), "Z"), 8U);
}

TEST(ReportCharts, OfLessThanASecondFillTheirWidth) {
  HistoryView view = sample_history();
  view.points.resize(2);
  view.points[1].time = view.points[0].time + 300ms;
  EXPECT_NE(usage_chart(view).find("L1000.0,"), std::string::npos);
}

TEST(ReportCharts, JoinSmallClassesToOne) {
  HistoryView view = sample_history();
  for (int i = 0; i < 10; ++i) {
    view.points.back().classes.push_back({"class" + std::to_string(i), 1, {kGiB * (i + 1) / 10}});
  }
  const std::string chart = usage_chart(view);
  EXPECT_NE(chart.find("other classes"), std::string::npos);
  EXPECT_EQ(count(chart, "<path"), 6U + 1 + 3);
}

TEST(ReportScale, EndsAtTheVolumeWhereThatIsNear) {
  const ByteScale near = byte_scale(20. * kGiB, 43. * kGiB);
  EXPECT_EQ(near.end, 43. * kGiB);
  const ByteScale far = byte_scale(3. * kGiB, 43. * kGiB);
  EXPECT_EQ(far.end, 3. * kGiB);
  for (const ByteScale& scale : {near, far, byte_scale(0, 0), byte_scale(1e18, 0)}) {
    ASSERT_GE(scale.marks.size(), 2U);
    EXPECT_LE(scale.marks.size(), 7U);
    EXPECT_EQ(scale.marks.front().label, "0");
    for (const ScaleMark& mark : scale.marks) {
      EXPECT_NEAR(mark.share, static_cast<double>(mark.value) / scale.end, 1e-6);
    }
  }
}

TEST(ReportScale, LabelsRoundTimes) {
  ::setenv("TZ", "UTC", 1);
  ::tzset();
  const auto day = time_marks(kNow - days(1), kNow, 6);
  ASSERT_FALSE(day.empty());
  EXPECT_LE(day.size(), 7U);
  EXPECT_EQ(day.front().label, "12:00");
  EXPECT_EQ(day[2].label.substr(0, 3), "Oct") << "midnight has a date";
  const auto minutes = time_marks(kNow + 20s, kNow + 5min, 6);
  EXPECT_EQ(minutes.front().label, "12:01");
  const auto ends = time_marks(kNow + 5s, kNow + 32s, 6);
  ASSERT_EQ(ends.size(), 2U);
  EXPECT_EQ(ends.back().label, "12:00:32");
  EXPECT_TRUE(time_marks(kNow, kNow, 6).empty());
}

}  // namespace
}  // namespace ebbfs
