// SPDX-License-Identifier: Apache-2.0
//
// What records share in their byte form: internal to record.cc and history_sample.cc.
#pragma once

#include "index/byte_codec.h"
#include "index/record.h"

namespace ebbfs {

template <>
struct LastEnumerator<RemovalReason> {
  static constexpr auto kValue = RemovalReason::request;
};

template <typename Io, Same<Usage> T>
void fields(Io& io, T& usage) {
  io(usage.bytes, usage.inodes);
}

}  // namespace ebbfs
