// SPDX-License-Identifier: Apache-2.0
//
// Control's answers about checks.
#include <algorithm>

#include "fs/control.h"
#include "fs/quotas.h"

namespace ebbfs {
namespace {

// Never 100 while it runs: files come while they are counted.
std::int64_t percent_done(const Checker::Progress& progress) {
  if (!progress.running) return 100;
  const std::uint64_t expected = std::max<std::uint64_t>(progress.expected, 1);
  return static_cast<std::int64_t>(std::min<std::uint64_t>(progress.files * 100 / expected, 99));
}

RecountView view_of(const Checker::Progress& progress) {
  RecountView view;
  view.token = progress.token;
  view.running = progress.running;
  view.repair = progress.repair;
  view.given_up = progress.given_up;
  view.percent = percent_done(progress);
  view.files = static_cast<std::int64_t>(progress.files);
  view.expected = static_cast<std::int64_t>(progress.expected);
  view.units = static_cast<std::int64_t>(progress.units);
  view.took = progress.took;
  const double seconds = std::chrono::duration<double>(progress.took).count();
  if (seconds > 0) {
    view.files_per_second =
        static_cast<std::int64_t>(static_cast<double>(progress.files) / seconds);
  }
  view.exact = progress.exact();
  for (const Checker::Difference& one : progress.differences) {
    view.differences.push_back({Quotas::shown(one.scope), one.usage});
  }
  view.unchecked = progress.unchecked;
  view.repaired = progress.repair && !progress.running && !progress.given_up &&
                  progress.unchecked.empty() && !progress.differences.empty();
  return view;
}

std::string scopes(std::size_t count) {
  return std::to_string(count) + (count == 1 ? " scope" : " scopes");
}

// What makes a check that has ended no success.
std::string complaint(const Checker::Progress& progress) {
  if (progress.given_up) {
    return "the check was ended before its end: the daemon stops, or nobody followed it";
  }
  const std::string differ = "usage differs in " + scopes(progress.differences.size());
  if (!progress.unchecked.empty()) {
    return (progress.differences.empty() ? "" : differ + ", and ") +
           std::string("some of the volume could not be checked: try again");
  }
  return differ + (progress.repair ? "; repaired" : "; `ebbctl check --repair` takes it over");
}

}  // namespace

ControlReply Control::check(const Caller& caller, const ControlRequest& request) {
  if (caller.uid != 0) return refused("only root may check the volume");
  if (request.token) {
    const Checker::Progress progress = checker_.progress(true);
    if (progress.token != *request.token) return refused("there is no such check any more");
    ControlReply reply = done(to_json(view_of(progress)));
    if (progress.running || progress.exact()) return reply;
    reply.exit_code = kExitRefused;
    reply.error = complaint(progress);
    return reply;
  }
  const auto started = checker_.start(request.repair);
  if (started) return done(to_json(view_of(*started)));
  if (started.error() == Errno{EAGAIN}) {
    return refused(
        "usage is provisional, as the volume is being counted already; see `ebbctl "
        "status`, and check when that is done");
  }
  return refused(request.repair ? "a check runs already; repair when it has ended"
                                : "a repair runs already; check when it has ended");
}

LastCheckView Control::last_check() const {
  const Checker::Progress progress = checker_.progress(false);
  LastCheckView view;
  view.running = progress.running;
  if (progress.token == 0 || progress.running) {
    view.percent = percent_done(progress);
    return view;
  }
  if (progress.given_up) return view;
  view.finished = progress.started + progress.took;
  view.differences = static_cast<std::int64_t>(progress.differences.size());
  view.exact = progress.exact() || (progress.repair && progress.unchecked.empty());
  return view;
}

}  // namespace ebbfs
