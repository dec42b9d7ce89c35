// SPDX-License-Identifier: Apache-2.0
//
// Field lists of views that are part of the views of several files (fs/control_codec.h). Only the
// .cc files of those include this. Pure.
#pragma once

#include "fs/control_codec.h"
#include "fs/control_status.h"
#include "fs/control_views.h"

namespace ebbfs {

template <typename Visitor, Like<OwnerView> View>
void fields(Visitor& v, View& view) {
  v.field("uid", view.uid);
  v.field("user", view.user);
  v.field("pid", view.pid);
  v.field("comm", view.comm);
  v.field("job", view.job);
  v.field("cgroup", view.cgroup);
}

template <typename Visitor, Like<BrakeView> View>
void fields(Visitor& v, View& view) {
  v.field("cause", view.cause);
  v.field("text", view.text);
  v.field("since", view.since);
  v.field("due", view.due);
  v.field("all", view.all);
  v.field("step_seconds", view.step);
}

}  // namespace ebbfs
