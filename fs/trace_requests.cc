// SPDX-License-Identifier: Apache-2.0
//
// Control: traces of requests.
#include <string.h>

#include <algorithm>

#include "fs/control.h"
#include "fs/user_names.h"

namespace ebbfs {
namespace {

std::optional<RequestKind> kind_of(const std::string& name) {
  for (std::size_t i = 0; i < kRequestKinds; ++i) {
    const auto kind = static_cast<RequestKind>(i);
    if (name == to_string(kind)) return kind;
  }
  return {};
}

std::string kinds() {
  std::string all;
  for (std::size_t i = 0; i < kRequestKinds; ++i) {
    if (i > 0) all += " ";
    all += to_string(static_cast<RequestKind>(i));
  }
  return all;
}

TracedView view_of(const Tracer::Request& request) {
  const char* error = request.error == 0 ? "" : ::strerrorname_np(request.error);
  return {.time = request.begun,
          .op = std::string(to_string(request.kind)),
          .path = request.path,
          .uid = request.uid,
          .user = user_name(request.uid),
          .pid = request.pid,
          .took = request.took,
          .error = error == nullptr ? std::to_string(request.error) : error};
}

}  // namespace

// What other users do is told to root only.
ControlReply Control::trace(const Caller& caller, const ControlRequest& request) {
  const MonoTime now = std::chrono::steady_clock::now();
  std::optional<std::uint64_t> session = request.token;
  if (!session) {
    Tracer::Wanted wanted{.at_least = request.slow.value_or(Duration{}), .below = request.path};
    if (!request.filter.user.empty()) {
      wanted.user = user_id(request.filter.user);
      if (!wanted.user)
        return misused("there is no user " + request.filter.user + "; a number does as well");
    }
    if (!request.filter.kind.empty()) {
      wanted.kind = kind_of(request.filter.kind);
      if (!wanted.kind) {
        return misused("no request is named \"" + request.filter.kind +
                       "\"; there are: " + kinds());
      }
    }
    if (caller.uid != 0) {
      if (wanted.user && *wanted.user != caller.uid) {
        return refused("requests of other users can be traced by root only");
      }
      wanted.user = caller.uid;
    }
    session = tracer_.begin(caller.uid, std::move(wanted), now);
    if (!session) {
      return refused(
          "as many traces as there may be are under way; each ends within 10 s after "
          "its ebbctl");
    }
  }
  auto fetched = tracer_.fetch(caller.uid, *session, now);
  if (!fetched) return refused("the trace has ended, as nobody asked for 10 s: begin it again");
  TraceView view{.token = fetched->session, .requests = {}, .lost = fetched->lost};
  view.requests.reserve(fetched->requests.size());
  for (const Tracer::Request& one : fetched->requests) view.requests.push_back(view_of(one));
  return done(to_json(view));
}

}  // namespace ebbfs
