// SPDX-License-Identifier: Apache-2.0
//
// What was done on the volume in an interval, for `ebbctl top`. Conventions as in control_views.h.
// Values only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fs/control_json.h"
#include "index/types.h"

namespace ebbfs {

// Of one user or job.
struct ActorView {
  std::string name;
  std::int64_t ops = 0;        // requests that used a unit of theirs
  Bytes bytes_new;             // that files grew by, whatever has gone again
  std::int64_t bytes_net = 0;  // by how much what they hold has changed
  Bytes bytes_held;            // now
  bool operator==(const ActorView&) const = default;
};

struct ActivityView {
  std::uint64_t token = 0;  // for the next question
  WallTime time{};
  Duration interval{};           // zero in the first answer, which has no actors
  ActorView volume;              // all of it, also what is none of the caller's
  std::int64_t ops_outside = 0;  // of `volume`, in no unit; of users it is not known
  std::vector<ActorView> users;  // that did something, the most bytes, then ops, first
  std::vector<ActorView> jobs;
  bool operator==(const ActivityView&) const = default;
};

}  // namespace ebbfs
