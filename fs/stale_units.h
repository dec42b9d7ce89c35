// SPDX-License-Identifier: Apache-2.0
//
// Units whose record does not agree with the tree: it was changed while nobody looked (behind the
// mount's back, or after the index was last stored). A record is only believed as long as the top
// that it names is where it says, and only followed to a place that its own class matches: what was
// carried out of its class must never expire. Stateless: any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "fs/volume.h"

namespace ebbfs {

// The class that makes a unit of the very thing at `path`, or kNoClass: it lies in a unit, or
// outside of all.
[[nodiscard]] std::uint16_t tree_class_at(const Volume& volume, std::string_view path);

// Whether a unit of class `class_name` may be at `path`.
[[nodiscard]] bool is_place_for(const Volume& volume, std::string_view path,
                                const std::string& class_name);

// Looks where the top of each unit is that was not in use (for those: fs/unit_recovery.h); follows
// those that moved within their class, forgets the rest (the record, never the files). Returns how
// many had gone or moved. After the units and locks are loaded, before requests are served.
std::size_t settle_stale_units(Volume& volume);

}  // namespace ebbfs
