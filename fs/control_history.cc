// SPDX-License-Identifier: Apache-2.0
#include "fs/control_history.h"

#include "fs/control_codec.h"

namespace ebbfs {

template <typename Visitor, Like<SliceView> View>
static void fields(Visitor& v, View& view) {
  v.field("name", view.name);
  v.field("count", view.count);
  v.field("bytes", view.bytes);
}

template <typename Visitor, Like<PointView> View>
static void fields(Visitor& v, View& view) {
  v.field("time", view.time);
  v.field("bytes_total", view.bytes_total);
  v.field("bytes_used", view.bytes_used);
  v.field("bytes_outside", view.bytes_outside);
  v.field("bytes_trash", view.bytes_trash);
  v.field("classes", view.classes);
  v.field("removed", view.removed);
}

template <typename Visitor, Like<ForecastView> View>
static void fields(Visitor& v, View& view) {
  v.field("from", view.from);
  v.field("units", view.units);
  v.usage(view.usage);
  v.field("classes", view.classes);
}

template <typename Visitor, Like<HistoryView> View>
static void fields(Visitor& v, View& view) {
  v.field("time", view.time);
  v.field("since_seconds", view.since);
  v.field("step_seconds", view.step);
  v.field("bytes_high", view.bytes_high);
  v.field("points", view.points);
  v.field("forecast", view.forecast);
}

template nlohmann::json to_json(const HistoryView&);
template Result<HistoryView> from_json(const nlohmann::json&);

}  // namespace ebbfs
