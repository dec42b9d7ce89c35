// SPDX-License-Identifier: Apache-2.0
//
// Answers the requests of ebbctl (fs/control_protocol.h); control.cc, listing.cc for the
// lists, quota_requests.cc and check_requests.cc.
// The kernel vouches for the caller's uid: root and the owner of a thing may change it, users see
// what is theirs, everybody sees the volume's state. Threading: any thread, holding no lock and
// inside no unit.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>

#include "fs/activity.h"
#include "fs/census.h"
#include "fs/checker.h"
#include "fs/control_check.h"
#include "fs/control_protocol.h"
#include "fs/control_status.h"
#include "fs/control_views.h"
#include "fs/evictor.h"
#include "fs/explainer.h"
#include "fs/filesystem.h"
#include "fs/reaper.h"
#include "fs/request_counts.h"
#include "fs/tracer.h"
#include "fs/trash.h"
#include "fs/volume.h"

namespace ebbfs {

// What status tells of the daemon itself.
struct DaemonFacts {
  std::string mount;
  std::string backing;
  WallTime started{};
  std::function<bool()> io_uring;                      // which transport requests come by
  std::function<bool()> passthrough;                   // whether the kernel agreed to it
  std::function<std::uint64_t(RequestKind)> requests;  // so many of them have come
  // Reads the policy file again; the error is one line for people.
  std::function<std::expected<void, std::string>()> reload_policy;
};

class Control {
 public:
  // All outlive the object.
  Control(Volume& volume, Filesystem& filesystem, Reaper& reaper, Trash& trash, Evictor& evictor,
          Census& census, Checker& checker, Explainer& explainer, Tracer& tracer, DaemonFacts facts)
      : volume_(volume),
        filesystem_(filesystem),
        reaper_(reaper),
        trash_(trash),
        evictor_(evictor),
        census_(census),
        checker_(checker),
        explainer_(explainer),
        tracer_(tracer),
        activity_(volume),
        facts_(std::move(facts)) {}
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  // The reply's text to a request's text. What came by a read-only mount changes nothing.
  [[nodiscard]] std::string answer(const Caller& caller, std::string_view request, Access access);
  // The state of the volume, with the users that `caller` may see.
  [[nodiscard]] StatusView status_view(const Caller& caller);

 private:
  [[nodiscard]] ControlReply run(const Caller& caller, const ControlRequest& request);

  [[nodiscard]] ControlReply units(const Caller& caller, const ControlRequest& request);
  [[nodiscard]] ControlReply locks(const Caller& caller, const ControlRequest& request);
  [[nodiscard]] ControlReply show(const Caller& caller, const ControlRequest& request);
  [[nodiscard]] ControlReply explain(const Caller& caller, const ControlRequest& request);
  [[nodiscard]] ControlReply history(const Caller& caller, const ControlRequest& request);
  [[nodiscard]] ControlReply events(const Caller& caller, const ControlRequest& request);
  [[nodiscard]] ControlReply trace(const Caller& caller, const ControlRequest& request);
  [[nodiscard]] ControlReply pin(const Caller& caller, const ControlRequest& request, bool pinned);
  [[nodiscard]] ControlReply expire(const Caller& caller, const ControlRequest& request);
  [[nodiscard]] ControlReply policy_show() const;
  [[nodiscard]] ControlReply policy_reload(const Caller& caller);

  // Trash and brake (trash_requests.cc).
  [[nodiscard]] ControlReply trash_list(const Caller& caller, const ControlRequest& request);
  [[nodiscard]] ControlReply restore(const Caller& caller, const ControlRequest& request);
  [[nodiscard]] ControlReply trash_empty(const Caller& caller, const ControlRequest& request);
  [[nodiscard]] ControlReply resume(const Caller& caller, const ControlRequest& request);
  [[nodiscard]] std::vector<Trash::Item> trash_of(const Caller& caller,
                                                  const ControlRequest& request) const;
  [[nodiscard]] bool may_put_into(const Caller& caller, std::string_view path) const;
  [[nodiscard]] TrashHeapView trash_view() const;
  [[nodiscard]] static BrakeView brake_view(const BrakeRecord& brake);

  // Quotas (quota_requests.cc).
  [[nodiscard]] ControlReply quota_list(const Caller& caller, const ControlRequest& request);
  [[nodiscard]] ControlReply quota_set(const Caller& caller, const ControlRequest& request);
  [[nodiscard]] ControlReply quota_clear(const Caller& caller, const ControlRequest& request);
  [[nodiscard]] static bool may_see_quota(const Caller& caller, const std::string& scope,
                                          const std::set<std::string>& own);
  // A dry run: what holds the scope, with `limits`.
  [[nodiscard]] ControlReply as_it_would_be(const std::string& scope, QuotaInForce limits) const;
  void journal_quota(const Caller& caller, const std::string& scope, std::string_view what);

  // Checks (check_requests.cc).
  [[nodiscard]] ControlReply check(const Caller& caller, const ControlRequest& request);
  [[nodiscard]] LastCheckView last_check() const;

  [[nodiscard]] std::vector<ClassView> class_views() const;
  [[nodiscard]] std::vector<UserView> user_views(const Caller& caller) const;
  void describe_volume(StatusView& view) const;
  void describe_space(StatusView& view) const;
  // The clock of an unpinned unit runs again.
  void agenda_due(const UnitRecord& record);
  [[nodiscard]] ControlReply expire_unit(const UnitRef& unit, bool dry_run);
  [[nodiscard]] ControlReply expire_lock(const LockRef& lock, bool dry_run);

  // The unit or lock that `path` is or lies in; null when there is none.
  [[nodiscard]] UnitRef unit_at(std::string_view path) const;
  [[nodiscard]] LockRef lock_at(std::string_view path) const;
  [[nodiscard]] UnitView view(const Unit& unit, WallTime now) const;
  [[nodiscard]] LockView view(const Lock& lock, WallTime now) const;
  // The same; looks at one whose time seems to be over but that stays, by its touches or held.
  [[nodiscard]] LockView judged_view(const LockRef& lock, WallTime now);

  Volume& volume_;
  Filesystem& filesystem_;
  Reaper& reaper_;
  Trash& trash_;
  Evictor& evictor_;
  Census& census_;
  Checker& checker_;
  Explainer& explainer_;
  Tracer& tracer_;
  Activity activity_;
  const DaemonFacts facts_;
};

}  // namespace ebbfs
