// SPDX-License-Identifier: Apache-2.0
//
// The page of `ebbctl report --html`: one file that needs nothing else, light or dark as the
// reader's device is, readable on a phone and on paper. It forbids itself scripts and the network.
// Pure, but for the time zone.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "fs/control_explain.h"
#include "fs/control_history.h"
#include "fs/control_quota.h"
#include "fs/control_status.h"

namespace ebbfs {

// Scopes that have a limit: the fullest so many.
inline constexpr std::size_t kQuotasShown = 50;

struct VolumeReport {
  StatusView status;
  ExplainView explained;
  HistoryView history;
  QuotasView quotas;
};

// What the page shows, as the daemon told it, under "status", "explain", "history" and "quotas".
[[nodiscard]] nlohmann::json report_json(const VolumeReport& report);

[[nodiscard]] std::string html_page(const VolumeReport& report);

// `text` for between tags and in quoted attributes; control characters as plain() shows them.
[[nodiscard]] std::string html(std::string_view text);

// Charts (report_charts.cc), each a <figure> with its legend and its figures as a table. Empty
// where there is nothing to draw.
[[nodiscard]] std::string usage_chart(const HistoryView& history);
[[nodiscard]] std::string removal_chart(const HistoryView& history);
[[nodiscard]] std::string forecast_chart(const HistoryView& history);

// A table in HTML. Cells are HTML already; a column whose head ends in '>' is for numbers, one
// whose head begins with '-' is left out where the page is narrow, one with '!' never wrapped.
class HtmlTable {
 public:
  explicit HtmlTable(const std::vector<std::string>& heads);
  // As many cells as heads.
  void add(const std::vector<std::string>& cells);
  [[nodiscard]] std::string text() const;
  [[nodiscard]] bool empty() const { return rows_.empty(); }

 private:
  struct Column {
    std::string name;
    std::string classes;  // of CSS
  };
  std::vector<Column> columns_;
  std::string rows_;
};

}  // namespace ebbfs
