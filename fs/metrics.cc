// SPDX-License-Identifier: Apache-2.0
#include "fs/metrics.h"

#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/metric_family.h>

#include <exception>
#include <utility>
#include <vector>

namespace ebbfs {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

double seconds(WallTime time) {
  return std::chrono::duration<double>(time.time_since_epoch()).count();
}

class StatusMetrics final : public prometheus::Collectable {
 public:
  explicit StatusMetrics(std::function<StatusView()> status) : status_(std::move(status)) {}

  [[nodiscard]] std::vector<MetricFamily> Collect() const override {
    const StatusView status = status_();
    std::vector<MetricFamily> all;
    const auto gauge = [&](std::string name, std::string help, double value) {
      add(all, std::move(name), std::move(help), {.labels = {}, .value = value});
    };
    const auto counter = [&](std::string name, std::string help, double value) {
      add(all, std::move(name), std::move(help),
          {.labels = {}, .value = value, .type = MetricType::Counter});
    };
    gauge("ebbfs_enforcing", "1 when what is due is removed, 0 when it is only recorded.",
          status.enforcing ? 1 : 0);
    gauge("ebbfs_provisional", "1 while usage is still being counted.", status.provisional ? 1 : 0);
    gauge("ebbfs_degraded", "How many troubles `ebbctl status` tells of.",
          static_cast<double>(status.degraded.size()));
    gauge("ebbfs_index_rebuilt_timestamp_seconds",
          "When a lost index was last replaced by a new one, 0 when that never was.",
          status.index_rebuilt ? seconds(*status.index_rebuilt) : 0);
    gauge("ebbfs_expiry_overdue_seconds", "How late the oldest removal is that nothing holds back.",
          std::chrono::duration<double>(status.overdue).count());
    gauge("ebbfs_last_reclaim_timestamp_seconds",
          "When something was last removed, 0 when nothing was since the start.",
          status.last_reclaim ? seconds(*status.last_reclaim) : 0);
    for (const std::string cause : {"mass", "clock"}) {
      add(all, "ebbfs_brake", "1 while removing units waits for `ebbctl resume`.",
          {{{"reason", cause}}, status.brake && status.brake->cause == cause ? 1.0 : 0.0});
    }
    gauge("ebbfs_volume_size_bytes", "Size of the backing filesystem.",
          static_cast<double>(status.volume.bytes_total.n));
    gauge("ebbfs_volume_free_bytes", "What users can still write.",
          static_cast<double>(status.volume.bytes_free.n));
    gauge("ebbfs_space_waiting_requests", "Requests that wait for space.",
          static_cast<double>(status.space.waiting));
    counter("ebbfs_space_refused_total", "Requests that met ENOSPC.",
            static_cast<double>(status.space.refused));
    counter("ebbfs_evicted_units_total", "Units removed for their space.",
            static_cast<double>(status.space.evicted_units));
    counter("ebbfs_evicted_bytes_total", "What they held.",
            static_cast<double>(status.space.evicted_bytes.n));
    gauge("ebbfs_trash_bytes", "Charged to what is in the trash.",
          static_cast<double>(status.trash.bytes.n));
    gauge("ebbfs_trash_units", "Things in the trash.", static_cast<double>(status.trash.units));
    gauge("ebbfs_trash_reclaimable_bytes", "Of it, what can be deleted at once.",
          static_cast<double>(status.trash.reclaimable_bytes.n));
    gauge("ebbfs_due_units", "Units past their deadline.", static_cast<double>(status.due.units));
    gauge("ebbfs_open_files", "Files open through the mount.",
          static_cast<double>(status.open_files));
    gauge("ebbfs_known_inodes", "Inodes that the kernel knows.",
          static_cast<double>(status.known_inodes));
    for (const ClassView& one : status.classes) {
      add(all, "ebbfs_class_units", "Units or locks of a class.",
          {.labels = {{"class", one.name}}, .value = static_cast<double>(one.units)});
      add(all, "ebbfs_class_bytes", "Charged to the units of a class.",
          {.labels = {{"class", one.name}}, .value = static_cast<double>(one.usage.bytes.n)});
    }
    for (const RequestsView& one : status.requests) {
      add(all, "ebbfs_requests_total", "Requests of the kernel.",
          {.labels = {{"op", one.op}},
           .value = static_cast<double>(one.count),
           .type = MetricType::Counter});
    }
    return all;
  }

 private:
  struct Sample {
    std::vector<ClientMetric::Label> labels;
    double value;
    MetricType type = MetricType::Gauge;
  };
  static void add(std::vector<MetricFamily>& all, std::string name, std::string help,
                  Sample sample) {
    ClientMetric metric;
    metric.label = std::move(sample.labels);
    (sample.type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = sample.value;
    for (MetricFamily& family : all) {
      if (family.name != name) continue;
      family.metric.push_back(std::move(metric));
      return;
    }
    MetricFamily family;
    family.name = std::move(name);
    family.help = std::move(help);
    family.type = sample.type;
    family.metric.push_back(std::move(metric));
    all.push_back(std::move(family));
  }

  const std::function<StatusView()> status_;
};

}  // namespace

struct Metrics::Server {
  Server(const std::string& address, std::function<StatusView()> status)
      : collector(std::make_shared<StatusMetrics>(std::move(status))), exposer(address) {
    exposer.RegisterCollectable(collector);
  }
  std::shared_ptr<StatusMetrics> collector;  // the exposer holds it weakly
  prometheus::Exposer exposer;
};

Metrics::Metrics(std::unique_ptr<Server> server) : server_(std::move(server)) {}
Metrics::~Metrics() = default;

std::expected<std::unique_ptr<Metrics>, std::string> Metrics::serve(
    const std::string& address, std::function<StatusView()> status) {
  try {
    return std::unique_ptr<Metrics>(
        new Metrics(std::make_unique<Server>(address, std::move(status))));
  } catch (const std::exception& error) {
    return std::unexpected("cannot serve metrics at " + address + ": " + error.what());
  }
}

}  // namespace ebbfs
