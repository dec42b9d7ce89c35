// SPDX-License-Identifier: Apache-2.0
#include "fs/tracer.h"

#include <algorithm>
#include <ranges>
#include <utility>

#include "fs/control_protocol.h"

namespace ebbfs {

std::optional<std::uint64_t> Tracer::begin(uid_t owner, Wanted wanted, MonoTime now) {
  const MutexLock lock(mu_);
  end_forgotten(now);
  if (sessions_.size() >= kSessions) return std::nullopt;
  sessions_[++last_session_] = {
      .owner = owner, .wanted = std::move(wanted), .fetched = now, .requests = {}};
  on_.store(true, std::memory_order_relaxed);
  return last_session_;
}

std::optional<Tracer::Fetched> Tracer::fetch(uid_t owner, std::uint64_t session, MonoTime now) {
  const MutexLock lock(mu_);
  const auto found = sessions_.find(session);
  if (found == sessions_.end() || found->second.owner != owner) return std::nullopt;
  found->second.fetched = now;
  end_forgotten(now);
  return Fetched{.session = session,
                 .requests = std::exchange(found->second.requests, {}),
                 .lost = std::exchange(found->second.lost, 0)};
}

bool Tracer::wants_but_for_path(const Wanted& wanted, const Request& request) {
  return (!wanted.user || *wanted.user == request.uid) &&
         (!wanted.kind || *wanted.kind == request.kind) && request.took >= wanted.at_least;
}

void Tracer::add(Request request, MonoTime now, const std::function<std::string()>& path) {
  {
    const MutexLock lock(mu_);
    end_forgotten(now);
    const auto wanted = [&](const Session& session) {
      return wants_but_for_path(session.wanted, request);
    };
    if (std::ranges::none_of(sessions_ | std::views::values, wanted)) return;
  }
  request.path = path();
  const MutexLock lock(mu_);
  for (Session& session : sessions_ | std::views::values) {
    if (!wants_but_for_path(session.wanted, request) ||
        !path_within(request.path, session.wanted.below)) {
      continue;
    }
    if (session.requests.size() < kKept) {
      session.requests.push_back(request);
    } else {
      ++session.lost;
    }
  }
}

void Tracer::end_forgotten(MonoTime now) {
  std::erase_if(sessions_,
                [now](const auto& session) { return now - session.second.fetched > kPatience; });
  if (sessions_.empty()) on_.store(false, std::memory_order_relaxed);
}

}  // namespace ebbfs
