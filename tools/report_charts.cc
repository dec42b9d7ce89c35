// SPDX-License-Identifier: Apache-2.0
//
// What is drawn is in units of a thousandth of the plane, which is stretched to whatever room there
// is; text stands beside it, so that its size stays.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>
#include <vector>

#include "tools/render.h"
#include "tools/report.h"
#include "tools/report_scale.h"

namespace ebbfs {
namespace {

constexpr double kUnits = 1000;
// More of them are one.
constexpr std::size_t kClassesMax = 6;
constexpr std::size_t kBars = 48;
constexpr std::size_t kRowsMax = 25;
constexpr int kTimeMarks = 6;
// Points that are so many steps apart have nothing between them.
constexpr double kGapSteps = 2.5;

struct Series {
  std::string name;
  std::string color;           // a variable of CSS
  std::vector<double> values;  // one for each point or bar
};

std::string thousandths(double share) { return fmt::format("{:.1f}", share * kUnits); }

double seconds(Duration time) { return std::chrono::duration<double>(time).count(); }

// To the millisecond.
std::string epoch_seconds(WallTime time) {
  return fmt::format("{:.3f}", seconds(time.time_since_epoch()));
}

// The time that a chart shows.
class TimeSpan {
 public:
  TimeSpan(WallTime from, WallTime to)
      : from_(from), to_(to), all_(std::max(seconds(to - from), 0.001)) {}
  [[nodiscard]] double share(WallTime time) const {
    return std::clamp(seconds(time - from_) / all_, 0.0, 1.0);
  }
  [[nodiscard]] double share(Duration time) const { return seconds(time) / all_; }
  [[nodiscard]] WallTime at(double share) const {
    return from_ +
           std::chrono::round<std::chrono::seconds>(std::chrono::duration<double>(share * all_));
  }
  [[nodiscard]] WallTime from() const { return from_; }
  [[nodiscard]] WallTime to() const { return to_; }

 private:
  WallTime from_;
  WallTime to_;
  double all_;
};

TimeSpan span_of(const HistoryView& history) {
  return {history.points.front().time, history.points.back().time};
}

double highest(const std::vector<Series>& series, std::size_t count) {
  double most = 0;
  for (std::size_t i = 0; i < count; ++i) {
    double sum = 0;
    for (const Series& one : series) sum += one.values[i];
    most = std::max(most, sum);
  }
  return most;
}

// Names of classes by what they hold at most, the largest first; those that get a colour of their
// own. The same in each chart of a page.
std::vector<std::string> colored_classes(const HistoryView& history) {
  std::map<std::string, std::int64_t> most;
  const auto look = [&](const std::vector<SliceView>& classes) {
    for (const SliceView& one : classes) {
      if (one.bytes.n > 0) most[one.name] = std::max(most[one.name], one.bytes.n);
    }
  };
  for (const PointView& point : history.points) look(point.classes);
  for (const ForecastView& hour : history.forecast) look(hour.classes);
  std::vector<std::pair<std::int64_t, std::string>> order;
  for (const auto& [name, bytes] : most) order.emplace_back(-bytes, name);
  std::ranges::sort(order);
  if (order.size() > kClassesMax) order.resize(kClassesMax);
  std::vector<std::string> names;
  for (auto& [bytes, name] : order) names.push_back(std::move(name));
  return names;
}

// A series of each class of `names`, and one of all others, with a value for each of `lists`.
std::vector<Series> series_of_classes(const std::vector<std::string>& names,
                                      const std::vector<const std::vector<SliceView>*>& lists) {
  std::vector<Series> all;
  for (std::size_t i = 0; i < names.size(); ++i) {
    all.push_back({names[i], fmt::format("--c{}", i), std::vector<double>(lists.size())});
  }
  all.push_back({"other classes", "--c6", std::vector<double>(lists.size())});
  for (std::size_t i = 0; i < lists.size(); ++i) {
    for (const SliceView& one : *lists[i]) {
      const auto found = std::ranges::find(names, one.name);
      const auto at = static_cast<std::size_t>(found - names.begin());
      all[at].values[i] += static_cast<double>(one.bytes.n);
    }
  }
  std::erase_if(all, [](const Series& one) {
    return std::ranges::all_of(one.values, [](double value) { return value <= 0; });
  });
  return all;
}

// Classes, what is outside of units, trash, and the rest of what is used.
std::vector<Series> series_of_usage(const HistoryView& history) {
  const std::size_t count = history.points.size();
  std::vector<const std::vector<SliceView>*> lists;
  for (const PointView& point : history.points) lists.push_back(&point.classes);
  std::vector<Series> all = series_of_classes(colored_classes(history), lists);
  Series outside{"outside of units", "--g0", std::vector<double>(count)};
  Series trash{"trash", "--g1", std::vector<double>(count)};
  Series rest{"index, and what is not in this tree", "--g2", std::vector<double>(count)};
  for (std::size_t i = 0; i < count; ++i) {
    const PointView& point = history.points[i];
    outside.values[i] = static_cast<double>(point.bytes_outside.n);
    trash.values[i] = static_cast<double>(point.bytes_trash.n);
    double charged = outside.values[i] + trash.values[i];
    for (const SliceView& one : point.classes) charged += static_cast<double>(one.bytes.n);
    rest.values[i] = std::max(static_cast<double>(point.bytes_used.n) - charged, 0.0);
  }
  for (Series* one : {&outside, &trash, &rest}) all.push_back(std::move(*one));
  return all;
}

// One table for those who do not see the picture, or cannot point at it.
std::string figures(const std::string& when, const std::vector<std::string>& whens,
                    const std::vector<Series>& series) {
  std::vector<std::string> heads = {when};
  for (const Series& one : series) heads.push_back(one.name + ">");
  HtmlTable table(heads);
  const std::size_t every = (whens.size() + kRowsMax - 1) / kRowsMax;
  for (std::size_t i = 0; i < whens.size(); ++i) {
    // The last is always there.
    if ((whens.size() - 1 - i) % every != 0) continue;
    std::vector<std::string> cells = {html(whens[i])};
    for (const Series& one : series) {
      cells.push_back(human_bytes({static_cast<std::int64_t>(one.values[i])}));
    }
    table.add(cells);
  }
  return "<details><summary>Figures</summary>" + table.text() + "</details>";
}

std::string legend(const std::vector<Series>& series) {
  std::string out = "<p class=legend>";
  for (const Series& one : series) {
    out += fmt::format("<span><i style=\"background:var({})\"></i>{}</span> ", one.color,
                       html(one.name));
  }
  return out + "</p>";
}

std::string axes(const ByteScale& bytes, const std::vector<ScaleMark>& times) {
  std::string out = "<div class=ys>";
  for (const ScaleMark& mark : bytes.marks) {
    out += fmt::format("<span data-value={} style=\"bottom:{:.2f}%\">{}</span>", mark.value,
                       mark.share * 100, html(mark.label));
  }
  out += "</div><div class=xs>";
  for (const ScaleMark& mark : times) {
    // Not over the edge of the page.
    const char* edge = mark.share < 0.04 ? " class=first" : mark.share > 0.96 ? " class=last" : "";
    out += fmt::format("<span{} data-value={} style=\"left:{:.2f}%\">{}</span>", edge, mark.value,
                       mark.share * 100, html(mark.label));
  }
  return out + "</div>";
}

struct Drawing {
  std::string id;
  std::string title;
  TimeSpan time;
  ByteScale bytes;
  std::vector<Series> series;
  std::vector<std::string> whens;  // of each value, for people
};

std::string figure(const Drawing& drawing, const std::string& inside, const std::string& beside) {
  std::string grid;
  for (const ScaleMark& mark : drawing.bytes.marks) {
    grid +=
        fmt::format("<line class=grid x1=0 x2=1000 y1={0} y2={0} />", thousandths(1 - mark.share));
  }
  return fmt::format(
      "<figure id={} data-from={} data-to={}>{}<div class=plot><svg viewBox=\"0 0 1000 1000\" "
      "preserveAspectRatio=none role=img aria-label=\"{}\">{}{}</svg><div "
      "class=levels>{}</div>{}</div>{}</figure>\n",
      drawing.id, epoch_seconds(drawing.time.from()), epoch_seconds(drawing.time.to()),
      legend(drawing.series), html(drawing.title), grid, inside, beside,
      axes(drawing.bytes, time_marks(drawing.time.from(), drawing.time.to(), kTimeMarks)),
      figures("when", drawing.whens, drawing.series));
}

std::string tooltip(const Drawing& drawing, std::size_t at) {
  std::string text = html(drawing.whens[at]);
  for (const Series& one : drawing.series) {
    if (one.values[at] <= 0) continue;
    text += "\n" + html(one.name) + " " + human_bytes({static_cast<std::int64_t>(one.values[at])});
  }
  return "<title>" + text + "</title>";
}

// Bars side by side, each a stack.
std::string bars(const Drawing& drawing) {
  const std::size_t count = drawing.whens.size();
  const double width = 1 / static_cast<double>(count);
  std::string out;
  for (std::size_t i = 0; i < count; ++i) {
    const double left = width * static_cast<double>(i);
    double top = 0;
    std::string stack;
    for (const Series& one : drawing.series) {
      if (one.values[i] <= 0) continue;
      const double height = one.values[i] / drawing.bytes.end;
      top += height;
      stack += fmt::format(
          "<rect data-name=\"{}\" x={} y={} width={} height={} style=\"fill:var({})\" />",
          html(one.name), thousandths(left + width * 0.1), thousandths(1 - top),
          thousandths(width * 0.8), thousandths(height), one.color);
    }
    if (stack.empty()) continue;
    out += fmt::format("<g data-bar={}>{}{}<rect class=hit x={} y=0 width={} height=1000 /></g>", i,
                       tooltip(drawing, i), stack, thousandths(left), thousandths(width));
  }
  return out;
}

// Points without a gap between them, as [first, last].
std::vector<std::pair<std::size_t, std::size_t>> runs(const HistoryView& history) {
  const Duration gap = std::chrono::round<Duration>(history.step * kGapSteps);
  std::vector<std::pair<std::size_t, std::size_t>> all;
  for (std::size_t i = 0; i < history.points.size(); ++i) {
    if (i == 0 || history.points[i].time - history.points[i - 1].time > gap) {
      all.emplace_back(i, i);
    } else {
      all.back().second = i;
    }
  }
  return all;
}

// What lies between two edges, run by run. One point alone is as wide as a step.
std::string area(const HistoryView& history, const Drawing& drawing, const Series& series,
                 const std::vector<double>& below) {
  const auto y = [&](double value) { return thousandths(1 - value / drawing.bytes.end); };
  const double step = drawing.time.share(history.step);
  std::string path;
  for (const auto& [first, last] : runs(history)) {
    const auto x = [&](std::size_t i) {
      const double share = drawing.time.share(history.points[i].time);
      return thousandths(first == last ? std::clamp(share - step / 2, 0.0, 1.0) : share);
    };
    std::string back;
    for (std::size_t i = first; i <= last; ++i) {
      path += fmt::format("{}{},{}", i == first ? "M" : "L", x(i), y(below[i] + series.values[i]));
      back = fmt::format("L{},{}", x(i), y(below[i])) + back;
    }
    if (first == last) {
      const double right = std::min(drawing.time.share(history.points[first].time) + step / 2, 1.0);
      path += fmt::format("L{0},{1}L{0},{2}", thousandths(right),
                          y(below[first] + series.values[first]), y(below[first]));
    }
    path += back + "Z";
  }
  return fmt::format("<path data-name=\"{}\" d=\"{}\" style=\"fill:var({})\" />", html(series.name),
                     path, series.color);
}

// One of what is full and what is too full, with what it is.
std::pair<std::string, std::string> level(const Drawing& drawing, double bytes, const char* kind,
                                          const std::string& text) {
  const double share = bytes / drawing.bytes.end;
  if (share > 1.000001) return {};
  return {
      fmt::format("<line class={0} x1=0 x2=1000 y1={1} y2={1} />", kind, thousandths(1 - share)),
      fmt::format("<span class={} style=\"bottom:{:.2f}%\">{}</span>", kind, share * 100,
                  html(text))};
}

std::string hits(const HistoryView& history, const Drawing& drawing) {
  std::string out;
  double left = 0;
  for (std::size_t i = 0; i < history.points.size(); ++i) {
    const bool last = i + 1 == history.points.size();
    const double here = drawing.time.share(history.points[i].time);
    const double right = last ? 1.0 : (here + drawing.time.share(history.points[i + 1].time)) / 2;
    out += fmt::format("<rect class=hit x={} y=0 width={} height=1000>{}</rect>", thousandths(left),
                       thousandths(right - left), tooltip(drawing, i));
    left = right;
  }
  return out;
}

}  // namespace

std::string usage_chart(const HistoryView& history) {
  const std::size_t count = history.points.size();
  if (count < 2) return {};
  const double total = static_cast<double>(history.points.back().bytes_total.n);
  Drawing drawing{.id = "usage",
                  .title = "Bytes used over time, by class",
                  .time = span_of(history),
                  .bytes = {},
                  .series = series_of_usage(history),
                  .whens = {}};
  drawing.bytes = byte_scale(highest(drawing.series, count), total);
  for (const PointView& point : history.points) drawing.whens.push_back(absolute(point.time));
  std::string inside;
  std::vector<double> below(count);
  for (const Series& one : drawing.series) {
    inside += area(history, drawing, one, below);
    for (std::size_t i = 0; i < count; ++i) below[i] += one.values[i];
  }
  std::string beside;
  const auto add = [&](const std::pair<std::string, std::string>& line) {
    inside += line.first;
    beside += line.second;
  };
  add(level(drawing, total, "full", "full: " + human_bytes({static_cast<std::int64_t>(total)})));
  if (history.bytes_high) {
    add(level(drawing, static_cast<double>(history.bytes_high->n), "high",
              "high: " + human_bytes(*history.bytes_high)));
  }
  return figure(drawing, inside + hits(history, drawing), beside);
}

std::string removal_chart(const HistoryView& history) {
  if (history.points.size() < 2) return {};
  const TimeSpan time = span_of(history);
  Drawing drawing{.id = "removals",
                  .title = "Bytes removed over time, by reason",
                  .time = time,
                  .bytes = {},
                  .series = {{"expire", "--c0", std::vector<double>(kBars)},
                             {"evict", "--c5", std::vector<double>(kBars)},
                             {"reclaim", "--c2", std::vector<double>(kBars)},
                             {"request", "--c4", std::vector<double>(kBars)}},
                  .whens = {}};
  for (const PointView& point : history.points) {
    const auto at = std::min(static_cast<std::size_t>(time.share(point.time) * kBars), kBars - 1);
    for (const SliceView& one : point.removed) {
      const auto series = std::ranges::find(drawing.series, one.name, &Series::name);
      if (series != drawing.series.end()) {
        series->values[at] += static_cast<double>(one.bytes.n);
      }
    }
  }
  std::erase_if(drawing.series, [](const Series& one) { return highest({one}, kBars) <= 0; });
  if (drawing.series.empty()) return {};
  for (std::size_t i = 0; i < kBars; ++i) {
    drawing.whens.push_back(absolute(time.at(static_cast<double>(i) / kBars)));
  }
  drawing.bytes = byte_scale(highest(drawing.series, kBars), 0);
  return figure(drawing, bars(drawing), "");
}

std::string forecast_chart(const HistoryView& history) {
  if (history.forecast.empty()) return {};
  std::vector<const std::vector<SliceView>*> lists;
  for (const ForecastView& hour : history.forecast) lists.push_back(&hour.classes);
  Drawing drawing{
      .id = "forecast",
      .title = "Bytes that expire in each of the next 24 hours, by class",
      .time = {history.forecast.front().from, history.forecast.back().from + std::chrono::hours(1)},
      .bytes = {},
      .series = series_of_classes(colored_classes(history), lists),
      .whens = {}};
  if (drawing.series.empty()) return {};
  for (const ForecastView& hour : history.forecast) drawing.whens.push_back(absolute(hour.from));
  drawing.bytes = byte_scale(highest(drawing.series, lists.size()), 0);
  return figure(drawing, bars(drawing), "");
}

}  // namespace ebbfs
