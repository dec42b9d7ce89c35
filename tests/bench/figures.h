// SPDX-License-Identifier: Apache-2.0
//
// What was measured, and how it is shown: medians, ratios to native, table, JSON, SVG. A line is
// one row of the table. Threading: one thread.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tests/bench/contender.h"

namespace ebbfs::bench {

enum class Unit : std::uint8_t { milliseconds, microseconds, megabytes_per_second, count };

// A row and what is hoped for of it.
struct Line {
  std::string name;
  Unit unit = Unit::microseconds;
  // Of ebbfs, in ratio to native: at most for times, at least for rates.
  std::optional<double> goal = {};
};

class Figures {
 public:
  void add(const std::string& ground, const Line& line, const std::string& contender, double value);

  // Absolute for native, ratios for the others; marks what misses its goal.
  [[nodiscard]] std::string table(const std::vector<Contender>& all) const;
  [[nodiscard]] nlohmann::json json() const;
  // Bars: how many times slower than native, on a logarithmic scale.
  [[nodiscard]] std::string svg(const std::vector<Contender>& all, const std::string& title) const;

 private:
  struct Row {
    Line line;
    std::map<std::string, std::vector<double>> values;  // by contender
    [[nodiscard]] std::optional<double> median(const std::string& contender) const;
    // To native: of times or of rates, as measured.
    [[nodiscard]] std::optional<double> ratio(const std::string& contender) const;
    // The same as "times slower".
    [[nodiscard]] std::optional<double> slowdown(const std::string& contender) const;
  };
  struct Section {
    std::string ground;
    std::vector<Row> rows;
  };

  std::vector<Section> sections_;  // in the order of coming
};

}  // namespace ebbfs::bench
