// SPDX-License-Identifier: Apache-2.0
//
// Brings a store of an older format up to kFormatVersion (index/schema.h): one step from each
// version to the next, each one batch with the new version number in it, synced. So a crash leaves
// the old format or the new one. What a step reads it decodes with the layout of that time, kept
// here. Threading: before the store is shared.
#pragma once

#include <cstdint>

#include "index/store.h"

namespace ebbfs {

// `from`: 1 .. kFormatVersion; nothing is written when they are equal. Errors: EBADMSG when what is
// stored is not of that format; those of Store.
[[nodiscard]] Status migrate(Store& store, std::uint32_t from);

}  // namespace ebbfs
