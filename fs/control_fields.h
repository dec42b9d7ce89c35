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
  v.text("user", view.user);
  v.field_if(view.pid != 0, "pid", view.pid);
  v.text("comm", view.comm);
  v.text("job", view.job);
  v.text("cgroup", view.cgroup);
}

template <typename Visitor, Like<BrakeView> View>
void fields(Visitor& v, View& view) {
  v.field("cause", view.cause);
  v.field("text", view.text);
  v.field("since", view.since);
  const bool is_mass = view.cause == "mass";
  v.field_if(is_mass, "due", view.due);
  v.field_if(is_mass, "all", view.all);
  v.field_if(!is_mass, "step_seconds", view.step);
}

}  // namespace ebbfs
