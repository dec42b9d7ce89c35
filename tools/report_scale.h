// SPDX-License-Identifier: Apache-2.0
//
// The axes of the report's charts: where a value lies, and which values are labelled. Pure, but for
// the time zone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "index/types.h"

namespace ebbfs {

struct ScaleMark {
  double share = 0;        // of the axis, 0..1
  std::int64_t value = 0;  // bytes, or seconds since the epoch
  std::string label;
};

// Bytes from 0 to `end`, which is > 0.
struct ByteScale {
  double end = 1;
  std::vector<ScaleMark> marks;
};
// So that `most` fits. It ends at `total` where that is not far away.
[[nodiscard]] ByteScale byte_scale(double most, double total);

// Times that are round in the local time zone, in [from, to]: at most `count`, and one more. The
// two ends where there are not two such; none where they are the same.
[[nodiscard]] std::vector<ScaleMark> time_marks(WallTime from, WallTime to, int count);

}  // namespace ebbfs
