// SPDX-License-Identifier: Apache-2.0
//
// The state of the volume for Prometheus, over HTTP at /metrics; docs/metrics.md lists what there
// is. Gauges are read when they are asked for, so nothing is counted twice and nothing costs while
// nobody asks. Labels are class, reason, op and the kind of a scope: never paths, users or jobs.
// Threading: answers on threads of its own.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fs/control_status.h"
#include "fs/request_times.h"
#include "index/history_sample.h"

namespace ebbfs {

// Where the values are from. May be called from any thread.
struct MetricSources {
  std::function<StatusView()> status;
  std::function<std::vector<SampledRemovals>()> removals;               // since the start
  std::function<std::map<std::string, std::uint64_t>()> quota_denials;  // by kind of scope
  std::function<Usage()> charged;                                       // to the volume
  std::function<RequestTimes::Histogram(RequestKind)> times;
};

class Metrics {
 public:
  // Serves at `address` ("127.0.0.1:9469", "9469"). What `sources` refer to outlives the object.
  // The error is one line for people.
  [[nodiscard]] static std::expected<std::unique_ptr<Metrics>, std::string> serve(
      const std::string& address, MetricSources sources);
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

 private:
  struct Server;
  explicit Metrics(std::unique_ptr<Server> server);
  std::unique_ptr<Server> server_;
};

}  // namespace ebbfs
