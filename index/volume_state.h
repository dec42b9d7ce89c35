// SPDX-License-Identifier: Apache-2.0
//
// What the last run left behind, and its form on disk. Values only.
#pragma once

#include <string>

#include "index/byte_codec.h"
#include "index/types.h"

namespace ebbfs {

struct VolumeState {
  bool fresh = true;         // never mounted before
  bool clean = false;        // last unmounted in order
  BootId boot;               // of the last mount
  WallTime first_mounted{};  // of the volume, or since its index was rebuilt
  bool adopted = false;      // the first walk over pre-existing content is complete
  WallTime rebuilt_at{};     // the index took the place of a lost one; the epoch when it did not
  std::string rebuilt_why;   // for people

  bool operator==(const VolumeState&) const = default;
  [[nodiscard]] bool rebuilt() const { return rebuilt_at != WallTime{}; }
};

// `fresh` is not stored: it means that there is no such row yet.
template <typename Io, Same<VolumeState> T>
void fields(Io& io, T& state) {
  io(state.clean, state.boot.bytes, state.first_mounted, state.adopted, state.rebuilt_at,
     state.rebuilt_why);
}

}  // namespace ebbfs
