// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "tools/render_views.h"

namespace ebbfs {
namespace {

// Three digits of what a request takes: "84 us", "1.3 ms", "2.1 s".
std::string short_time(Duration time) {
  const double ns = static_cast<double>(time.count());
  if (ns < 1e6) return fmt::format("{:.0f} us", ns / 1e3);
  if (ns < 1e9) return fmt::format("{:.{}f} ms", ns / 1e6, ns < 1e7 ? 1 : 0);
  return fmt::format("{:.1f} s", ns / 1e9);
}

// Of the day, with milliseconds.
std::string clock_time(WallTime time) {
  const auto whole = std::chrono::floor<std::chrono::milliseconds>(time).time_since_epoch();
  return fmt::format("{}.{:03}", absolute(time).substr(11), whole.count() % 1000);
}

constexpr const char* kLine = "{:<12} {:>7}  {:<15} {:<10} {:>7}  ";

}  // namespace

std::string trace_header(const Style& style) {
  return paint(style, Color::bold,
               fmt::format(fmt::runtime(kLine), "TIME", "TOOK", "OP", "USER", "PID") + "PATH") +
         "\n";
}

std::string render(const TraceView& view, const Style& style, WallTime /*now*/) {
  std::string out;
  for (const TracedView& request : view.requests) {
    const std::string user =
        request.user.empty() ? std::to_string(request.uid) : plain(request.user);
    const std::string head =
        fmt::format(fmt::runtime(kLine), clock_time(request.time), short_time(request.took),
                    plain(request.op), user, request.pid);
    std::string tail = request.path.empty() ? "." : plain(request.path);
    if (!request.error.empty()) tail += " " + plain(request.error);
    if (style.terminal) {
      const std::size_t used = display_width(head);
      const std::size_t left =
          style.width > used + Table::kLastMin ? style.width - used : Table::kLastMin;
      tail = shorten(tail, left, style.unicode);
    }
    out += head + paint(style, request.error.empty() ? Color::none : Color::warn, tail) + "\n";
  }
  return out;
}

}  // namespace ebbfs
