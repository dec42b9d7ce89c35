// SPDX-License-Identifier: Apache-2.0
#include "fs/metrics.h"

#include <prometheus/collectable.h>
#include <prometheus/exposer.h>

#include <exception>
#include <utility>
#include <vector>

#include "fs/metric_counts.h"
#include "fs/metric_families.h"

namespace ebbfs {
namespace {

double seconds(WallTime time) {
  return std::chrono::duration<double>(time.time_since_epoch()).count();
}
double seconds(const std::optional<WallTime>& time) { return time ? seconds(*time) : 0; }

template <typename Number>
double as_double(Number value) {
  return static_cast<double>(value);
}

void add_state(MetricFamilies& all, const StatusView& status) {
  all.gauge("ebbfs_enforcing", "1 when what is due is removed, 0 when it is only recorded.",
            status.enforcing ? 1 : 0);
  all.gauge("ebbfs_provisional", "1 while usage is still being counted.",
            status.provisional ? 1 : 0);
  all.gauge("ebbfs_degraded", "How many troubles `ebbctl status` tells of.",
            as_double(status.degraded.size()));
  all.gauge("ebbfs_index_rebuilt_timestamp_seconds",
            "When a lost index was last replaced by a new one, 0 when that never was.",
            seconds(status.index_rebuilt));
  for (const char* cause : {"mass", "clock"}) {
    all.gauge("ebbfs_brake", "1 while removing units waits for `ebbctl resume`.",
              status.brake && status.brake->cause == cause ? 1 : 0, {"reason", cause});
  }
}

void add_space(MetricFamilies& all, const StatusView& status, const Usage& charged) {
  const VolumeView& volume = status.volume;
  all.gauge("ebbfs_volume_size_bytes", "Size of the backing filesystem.",
            as_double(volume.bytes_total.n));
  all.gauge("ebbfs_volume_free_bytes", "What users can still write.",
            as_double(volume.bytes_free.n));
  all.gauge("ebbfs_volume_inodes", "Inodes of the backing filesystem, 0 without a limit.",
            as_double(volume.inodes_total));
  all.gauge("ebbfs_volume_free_inodes", "Of them, those that users can still make.",
            as_double(volume.inodes_free));
  all.gauge("ebbfs_charged_bytes", "Charged to the volume, trash among it.",
            as_double(charged.bytes.n));
  all.gauge("ebbfs_charged_inodes", "The same in inodes.", as_double(charged.inodes));
  all.gauge("ebbfs_space_waiting_requests", "Requests that wait for space.",
            as_double(status.space.waiting));
  all.counter("ebbfs_space_refused_total", "Requests that met ENOSPC.",
              as_double(status.space.refused));
  all.counter("ebbfs_evicted_units_total", "Units removed for their space.",
              as_double(status.space.evicted_units));
  all.counter("ebbfs_evicted_bytes_total", "What they held.",
              as_double(status.space.evicted_bytes.n));
  all.gauge("ebbfs_trash_bytes", "Charged to what is in the trash.",
            as_double(status.trash.bytes.n));
  all.gauge("ebbfs_trash_units", "Things in the trash.", as_double(status.trash.units));
  all.gauge("ebbfs_trash_reclaimable_bytes", "Of it, what can be deleted at once.",
            as_double(status.trash.reclaimable_bytes.n));
}

void add_classes(MetricFamilies& all, const StatusView& status) {
  for (const ClassView& one : status.classes) {
    all.gauge("ebbfs_class_units", "Units or locks of a class.", as_double(one.units),
              {"class", one.name});
  }
  for (const ClassView& one : status.classes) {
    all.gauge("ebbfs_class_bytes", "Charged to the units of a class.", as_double(one.usage.bytes.n),
              {"class", one.name});
  }
  for (const ClassView& one : status.classes) {
    all.gauge("ebbfs_class_inodes", "Inodes charged to the units of a class; locks.",
              as_double(one.usage.inodes), {"class", one.name});
  }
}

void add_removals(MetricFamilies& all, const StatusView& status,
                  const std::vector<SampledRemovals>& removals) {
  // Those that there may be are there from the start, so that a rate is seen with the first one.
  std::map<std::pair<std::string, RemovalReason>, SampledRemovals> rows;
  for (const ClassView& one : status.classes) {
    const bool tree = one.kind == "tree";
    for (const auto reason : {tree ? RemovalReason::expire : RemovalReason::reclaim,
                              tree ? RemovalReason::evict : RemovalReason::request}) {
      rows[{one.name, reason}] = {one.name, reason, 0, {}};
    }
  }
  for (const SampledRemovals& one : removals) rows[{one.class_name, one.reason}] = one;
  for (const auto& [of, one] : rows) {
    const std::vector<MetricLabel> labels = {{"class", one.class_name},
                                             {"reason", std::string(to_string(one.reason))}};
    all.counter("ebbfs_removals_total", "Units and locks removed.", as_double(one.count), labels);
  }
  for (const auto& [of, one] : rows) {
    const std::vector<MetricLabel> labels = {{"class", one.class_name},
                                             {"reason", std::string(to_string(one.reason))}};
    all.counter("ebbfs_removed_bytes_total", "What they held.", as_double(one.usage.bytes.n),
                labels);
  }
  all.gauge("ebbfs_due_units", "Units past their deadline.", as_double(status.due.units));
  all.gauge("ebbfs_due_bytes", "What they hold.", as_double(status.due.bytes.n));
  all.gauge("ebbfs_expiry_overdue_seconds",
            "How late the oldest removal is that nothing holds back.",
            std::chrono::duration<double>(status.overdue).count());
  all.gauge("ebbfs_last_reclaim_timestamp_seconds",
            "When something was last removed, 0 when nothing was since the start.",
            seconds(status.last_reclaim));
}

void add_counting(MetricFamilies& all, const StatusView& status) {
  all.gauge("ebbfs_census_running", "1 while content is walked to be adopted or counted again.",
            status.adoption.running ? 1 : 0);
  all.gauge("ebbfs_census_entries", "What that walk has seen so far.",
            as_double(status.adoption.entries));
  all.gauge("ebbfs_check_running", "1 while `ebbctl check` counts.", status.check.running ? 1 : 0);
  all.gauge("ebbfs_check_progress_ratio", "How far the running check is; of the last one, 1.",
            as_double(status.check.percent) / 100);
  all.gauge("ebbfs_check_differences", "Scopes that the last check found wrong.",
            as_double(status.check.differences));
  all.gauge("ebbfs_check_last_timestamp_seconds",
            "When a check last ended, 0 when none did since the start.",
            seconds(status.check.finished));
}

void add_process(MetricFamilies& all, const StatusView& status) {
  all.gauge("ebbfs_open_files", "Files open through the mount.", as_double(status.open_files));
  all.gauge("ebbfs_known_inodes", "Inodes that the kernel knows.", as_double(status.known_inodes));
  all.gauge("process_open_fds", "Descriptors that the daemon has open.",
            as_double(status.fds.used));
  all.gauge("process_max_fds", "Descriptors that it may have open.", as_double(status.fds.limit));
  all.gauge("process_resident_memory_bytes", "Memory of the daemon that is in RAM.",
            as_double(resident_bytes()));
}

class VolumeMetrics final : public prometheus::Collectable {
 public:
  explicit VolumeMetrics(MetricSources sources) : sources_(std::move(sources)) {}

  [[nodiscard]] std::vector<prometheus::MetricFamily> Collect() const override {
    const StatusView status = sources_.status();
    MetricFamilies all;
    add_state(all, status);
    add_space(all, status, sources_.charged());
    add_classes(all, status);
    add_removals(all, status, sources_.removals());
    for (const auto& [kind, count] : sources_.quota_denials()) {
      all.counter("ebbfs_quota_denials_total", "Requests that a limit refused, by kind of scope.",
                  as_double(count), {{"scope", kind}});
    }
    add_counting(all, status);
    add_process(all, status);
    add_requests(all, status);
    return all.take();
  }

 private:
  void add_requests(MetricFamilies& all, const StatusView& status) const {
    for (const RequestsView& one : status.requests) {
      all.counter("ebbfs_requests_total", "Requests of the kernel.", as_double(one.count),
                  {{"op", one.op}});
    }
    for (std::size_t i = 0; i < kRequestKinds; ++i) {
      const auto kind = static_cast<RequestKind>(i);
      const RequestTimes::Histogram times = sources_.times(kind);
      if (times.count() == 0) continue;
      all.histogram("ebbfs_request_duration_seconds",
                    "From the beginning of a request's handler to its answer.", times,
                    {"op", std::string(to_string(kind))});
    }
  }

  const MetricSources sources_;
};

}  // namespace

struct Metrics::Server {
  Server(const std::string& address, MetricSources sources)
      : collector(std::make_shared<VolumeMetrics>(std::move(sources))), exposer(address) {
    exposer.RegisterCollectable(collector);
  }
  std::shared_ptr<VolumeMetrics> collector;  // the exposer holds it weakly
  prometheus::Exposer exposer;
};

Metrics::Metrics(std::unique_ptr<Server> server) : server_(std::move(server)) {}
Metrics::~Metrics() = default;

std::expected<std::unique_ptr<Metrics>, std::string> Metrics::serve(const std::string& address,
                                                                    MetricSources sources) {
  try {
    return std::unique_ptr<Metrics>(
        new Metrics(std::make_unique<Server>(address, std::move(sources))));
  } catch (const std::exception& error) {
    return std::unexpected("cannot serve metrics at " + address + ": " + error.what());
  }
}

}  // namespace ebbfs
