// SPDX-License-Identifier: Apache-2.0
//
// Requests as they are answered, for `ebbctl trace`. While nobody traces, a request costs one look
// at a flag. Whoever traces has a session: what it wants of the requests, and those that it has not
// fetched yet, a bounded number. A session that is not fetched from for a while ends by itself.
//
// Threading: all from any thread. A request that is wanted takes one short lock, and two system
// calls for its path before that.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fs/request_counts.h"
#include "index/mutex.h"
#include "index/types.h"

namespace ebbfs {

class Tracer {
 public:
  struct Request {
    RequestKind kind{};
    WallTime begun{};
    Duration took{};
    int error = 0;  // errno of the answer
    uid_t uid = 0;
    std::int32_t pid = 0;
    std::string path{};  // relative to the volume root; empty where it cannot be told any more
  };
  struct Wanted {
    std::optional<uid_t> user{};
    std::optional<RequestKind> kind{};
    Duration at_least{};  // took so long
    std::string below{};  // a path that is this or lies in it; "": any
  };
  struct Fetched {
    std::uint64_t session = 0;
    std::vector<Request> requests;  // in the order of their answers
    std::uint64_t lost = 0;         // more than are kept came since the last time
  };

  static constexpr std::size_t kKept = 20'000;
  static constexpr std::size_t kSessions = 8;
  static constexpr std::chrono::seconds kPatience{10};

  Tracer() = default;
  Tracer(const Tracer&) = delete;
  Tracer& operator=(const Tracer&) = delete;

  // Whether anybody traces.
  [[nodiscard]] bool on() const { return on_.load(std::memory_order_relaxed); }

  // A new session; nothing when there are too many.
  [[nodiscard]] std::optional<std::uint64_t> begin(uid_t owner, Wanted wanted, MonoTime now)
      EXCLUDES(mu_);
  // What it has not fetched yet; nothing when `owner` has no such session (any more).
  [[nodiscard]] std::optional<Fetched> fetch(uid_t owner, std::uint64_t session, MonoTime now)
      EXCLUDES(mu_);

  // A request was answered. `path` is asked at most once, and only when somebody wants the rest.
  void add(Request request, MonoTime now, const std::function<std::string()>& path) EXCLUDES(mu_);

 private:
  struct Session {
    uid_t owner = 0;
    Wanted wanted;
    MonoTime fetched{};
    std::vector<Request> requests;
    std::uint64_t lost = 0;
  };
  [[nodiscard]] static bool wants_but_for_path(const Wanted& wanted, const Request& request);
  void end_forgotten(MonoTime now) REQUIRES(mu_);

  std::atomic<bool> on_{false};  // changed only under `mu_`
  Mutex mu_;
  std::map<std::uint64_t, Session> sessions_ GUARDED_BY(mu_);
  std::uint64_t last_session_ GUARDED_BY(mu_) = 0;
};

}  // namespace ebbfs
