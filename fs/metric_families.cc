// SPDX-License-Identifier: Apache-2.0
#include "fs/metric_families.h"

#include <algorithm>
#include <limits>

namespace ebbfs {

prometheus::ClientMetric& MetricFamilies::add(std::string_view name, std::string_view help,
                                              prometheus::MetricType type,
                                              const std::vector<MetricLabel>& labels) {
  auto family = std::ranges::find(all_, name, &prometheus::MetricFamily::name);
  if (family == all_.end()) {
    prometheus::MetricFamily fresh;
    fresh.name = name;
    fresh.help = help;
    fresh.type = type;
    family = all_.insert(all_.end(), std::move(fresh));
  }
  prometheus::ClientMetric& metric = family->metric.emplace_back();
  for (const MetricLabel& label : labels) {
    if (!label.name.empty()) metric.label.push_back({label.name, label.value});
  }
  return metric;
}

void MetricFamilies::histogram(std::string_view name, std::string_view help,
                               const RequestTimes::Histogram& of, const MetricLabel& label) {
  auto& histogram = add(name, help, prometheus::MetricType::Histogram, {label}).histogram;
  histogram.sample_count = of.count();
  histogram.sample_sum = std::chrono::duration<double>(of.sum).count();
  std::uint64_t up_to = 0;
  for (std::size_t i = 0; i < RequestTimes::kBuckets; ++i) {
    up_to += of.counts[i];
    const bool bounded = i < RequestTimes::kBoundsNs.size();
    histogram.bucket.push_back({up_to, bounded
                                           ? static_cast<double>(RequestTimes::kBoundsNs[i]) / 1e9
                                           : std::numeric_limits<double>::infinity()});
  }
}

}  // namespace ebbfs
