// SPDX-License-Identifier: Apache-2.0
#include "index/migration.h"

#include <spdlog/spdlog.h>

#include <array>
#include <string>
#include <utility>

#include "index/byte_codec.h"
#include "index/schema.h"
#include "index/volume_state.h"

namespace ebbfs {

// VolumeState as format 1 had it.
struct VolumeStateV1 {
  bool clean = false;
  BootId boot;
  WallTime first_mounted{};
  bool adopted = false;
};

template <typename Io, Same<VolumeStateV1> T>
void fields(Io& io, T& state) {
  io(state.clean, state.boot.bytes, state.first_mounted, state.adopted);
}

namespace {

Status from_1_to_2(Store& store, Batch& batch) {
  const auto row = store.get(Table::meta, kVolumeKey);
  if (!row) return std::unexpected(row.error());
  if (!*row) return {};  // never mounted
  const auto old = decode_versioned<VolumeStateV1>(1, **row);
  if (!old) return std::unexpected(old.error());
  VolumeState state;
  state.clean = old->clean;
  state.boot = old->boot;
  state.first_mounted = old->first_mounted;
  state.adopted = old->adopted;
  batch.put(Table::meta, std::string(kVolumeKey), encode_versioned(kVolumeStateVersion, state));
  return {};
}

// The step at i leads from version i + 1 to i + 2.
using Step = Status (*)(Store& store, Batch& batch);
constexpr std::array<Step, kFormatVersion - 1> kSteps = {from_1_to_2};

}  // namespace

Status migrate(Store& store, std::uint32_t from) {
  for (std::uint32_t version = from; version < kFormatVersion; ++version) {
    Batch batch;
    if (const Status made = kSteps.at(version - 1)(store, batch); !made) return made;
    std::string next;
    append_big_endian(next, version + 1);
    batch.put(Table::meta, std::string(kFormatKey), std::move(next));
    if (const Status done = store.commit(batch, Durability::power_loss); !done) return done;
    spdlog::info("event=index_migrated from={} to={}", version, version + 1);
  }
  return {};
}

}  // namespace ebbfs
