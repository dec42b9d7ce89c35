// SPDX-License-Identifier: Apache-2.0
//
// Puts values together as Prometheus wants them: families of one name and type, each with its
// metrics. Threading: none of its own.
#pragma once

#include <prometheus/metric_family.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fs/request_times.h"

namespace ebbfs {

// At most one label: what it is called and its value.
struct MetricLabel {
  std::string name{};
  std::string value{};
};

class MetricFamilies {
 public:
  void gauge(std::string_view name, std::string_view help, double value,
             const MetricLabel& label = {}) {
    add(name, help, prometheus::MetricType::Gauge, {label}).gauge.value = value;
  }
  void counter(std::string_view name, std::string_view help, double value,
               const std::vector<MetricLabel>& labels = {}) {
    add(name, help, prometheus::MetricType::Counter, labels).counter.value = value;
  }
  void histogram(std::string_view name, std::string_view help, const RequestTimes::Histogram& of,
                 const MetricLabel& label);

  [[nodiscard]] std::vector<prometheus::MetricFamily> take() { return std::move(all_); }

 private:
  prometheus::ClientMetric& add(std::string_view name, std::string_view help,
                                prometheus::MetricType type,
                                const std::vector<MetricLabel>& labels);

  std::vector<prometheus::MetricFamily> all_;
};

}  // namespace ebbfs
