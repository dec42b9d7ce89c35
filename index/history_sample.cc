// SPDX-License-Identifier: Apache-2.0
#include "index/history_sample.h"

#include "index/byte_codec.h"
#include "index/record_fields.h"
#include "index/schema.h"

namespace ebbfs {

template <>
struct LastEnumerator<HistorySample::Cleanup> {
  static constexpr auto kValue = HistorySample::Cleanup::grace;
};

// The order below is the order on disk: a change of it is a new kRecordVersion.

template <typename Io, Same<SampledClass> T>
void fields(Io& io, T& one) {
  io(one.name, one.units, one.usage);
}

template <typename Io, Same<SampledUser> T>
void fields(Io& io, T& user) {
  io(user.uid, user.usage);
}

template <typename Io, Same<SampledJob> T>
void fields(Io& io, T& job) {
  io(job.name, job.usage);
}

template <typename Io, Same<SampledUnit> T>
void fields(Io& io, T& unit) {
  io(unit.id, unit.usage);
}

template <typename Io, Same<SampledRemovals> T>
void fields(Io& io, T& removals) {
  io(removals.class_name, removals.reason, removals.count, removals.usage);
}

template <typename Io, Same<SampledSpace> T>
void fields(Io& io, T& space) {
  io(space.total, space.used, space.free, space.inodes_total, space.inodes_used);
}

template <typename Io, Same<HistorySample> T>
void fields(Io& io, T& sample) {
  io(sample.time, sample.event, sample.cleanup, sample.space, sample.charged, sample.outside,
     sample.trash, sample.classes, sample.users, sample.jobs, sample.units, sample.removals);
}

std::string encode(const HistorySample& sample) { return encode_versioned(kRecordVersion, sample); }

Result<HistorySample> decode_sample(std::string_view bytes) {
  return decode_versioned<HistorySample>(kRecordVersion, bytes);
}

std::string_view to_string(HistorySample::Cleanup cleanup) {
  switch (cleanup) {
    case HistorySample::Cleanup::running:
      return "running";
    case HistorySample::Cleanup::observing:
      return "observing";
    case HistorySample::Cleanup::paused:
      return "paused";
    case HistorySample::Cleanup::braked:
      return "braked";
    case HistorySample::Cleanup::grace:
      return "grace";
  }
  return "unknown";
}

}  // namespace ebbfs
