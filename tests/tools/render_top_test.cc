// SPDX-License-Identifier: Apache-2.0
#include "tools/render_top.h"

#include <gtest/gtest.h>

#include <clocale>
#include <sstream>

#include "tests/tools/sample_values.h"

namespace ebbfs {
namespace {

using namespace std::chrono_literals;
using std::chrono::days;

TopFrame sample_frame() {
  TopFrame frame;
  frame.status.mount = "/mnt/ebs";
  frame.status.enforcing = true;
  frame.status.volume = {
      .bytes_total = {1000 * kMiB}, .bytes_used = {400 * kMiB}, .bytes_free = {590 * kMiB}};
  frame.activity.time = kNow;
  frame.activity.interval = 2s;
  frame.activity.volume = {"", 3000, {20 * kMiB}, -4 * kMiB, {300 * kMiB}};
  frame.activity.ops_outside = 9;
  for (int i = 0; i < 30; ++i) {
    frame.activity.jobs.push_back(
        {"ci-" + std::to_string(i), 2 * i, {2 * kMiB * i}, -kMiB * i, {kMiB}});
  }
  frame.activity.users = {{"alice", 1, {0}, 0, {0}}};
  QuotaView& quota = frame.quotas.quotas.emplace_back();
  quota.scope = "user:\x1b[31m";
  quota.bytes.used = 9 * kMiB;
  quota.bytes.hard = 10 * kMiB;
  quota.percent = 90;
  frame.quotas.quotas.emplace_back().scope = "volume";
  UnitView unit;
  unit.path = "worktrees/" + std::string(200, 'x');
  unit.owner.user = "alice";
  unit.expires_at = kNow + 5min;
  frame.next.units = {unit, unit};
  return frame;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

TEST(RenderTop, ShowsRatesASecond) {
  const std::string text = render(sample_frame(), {}, kNow);
  EXPECT_NE(text.find("10.0 MiB/s new, -2.0 MiB/s net; 1,500 ops/s, 4.5 of them outside"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("in 5m"), std::string::npos);
  EXPECT_NE(text.find("9.0 MiB/10.0 MiB"), std::string::npos);
}

TEST(RenderTop, FillsTheTerminalAndNoMore) {
  std::setlocale(LC_CTYPE, "C.UTF-8");
  for (const std::size_t height : {8U, 18U, 24U, 50U}) {
    for (const std::size_t width : {60U, 80U, 132U}) {
      Style style;
      style.terminal = true;
      style.unicode = true;
      style.width = width;
      style.height = height;
      const auto lines = lines_of(render(sample_frame(), style, kNow));
      EXPECT_LE(lines.size(), height) << width;
      for (const std::string& line : lines) EXPECT_LE(display_width(line), width + 20) << line;
    }
  }
}

TEST(RenderTop, LetsNoNameReachTheTerminalAsItIs) {
  EXPECT_EQ(render(sample_frame(), {}, kNow).find('\x1b'), std::string::npos);
}

TEST(RenderTop, TellsScriptsCountsAndRates) {
  const auto figures = top_json(sample_frame());
  EXPECT_EQ(figures["jobs"][2]["bytes_new"], 4 * kMiB);
  EXPECT_EQ(figures["jobs"][2]["bytes_new_per_second"], 2.0 * kMiB);
  EXPECT_EQ(figures["volume"]["ops_per_second"], 1500.0);
  EXPECT_EQ(figures["fullest"].size(), 1U) << "those that have a limit";
  EXPECT_FALSE(figures.contains("token"));
}

TEST(RenderTop, OfAQuietVolumeSaysSo) {
  const std::string text = render(TopFrame{}, {}, kNow);
  EXPECT_NE(text.find("USER\n  -    -      -      -  none\n"), std::string::npos) << text;
  EXPECT_NE(text.find("no limit is set"), std::string::npos);
}

}  // namespace
}  // namespace ebbfs
