// SPDX-License-Identifier: Apache-2.0
//
// The state of the volume for Prometheus, over HTTP at /metrics. Gauges are read from `status` when
// they are asked for, so nothing is counted twice and nothing costs while nobody asks. Labels are
// classes only: never paths or users. Threading: answers on threads of its own.
#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <string>

#include "fs/control_status.h"

namespace ebbfs {

class Metrics {
 public:
  // Serves at `address` ("127.0.0.1:9469", "9469"). `status` outlives the object and may be called
  // from any thread. The error is one line for people.
  [[nodiscard]] static std::expected<std::unique_ptr<Metrics>, std::string> serve(
      const std::string& address, std::function<StatusView()> status);
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

 private:
  struct Server;
  explicit Metrics(std::unique_ptr<Server> server);
  std::unique_ptr<Server> server_;
};

}  // namespace ebbfs
