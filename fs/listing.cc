// SPDX-License-Identifier: Apache-2.0
//
// The answers of fs/control.h that are lists or totals.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>

#include "fs/control.h"
#include "fs/directory_reader.h"
#include "fs/user_names.h"
#include "fs/whole_number.h"
#include "policy/space.h"

namespace ebbfs {
namespace {

constexpr std::size_t kUsersMax = 20;
constexpr std::size_t kEventsToldMax = 100'000;

std::string filesystem_type(int fd) {
  struct statfs found;
  if (::fstatfs(fd, &found) != 0) return "unknown";
  constexpr std::array<std::pair<std::uint32_t, const char*>, 5> kKnown{{
      {0xEF53U, "ext4"},
      {0x58465342U, "xfs"},
      {0x01021994U, "tmpfs"},
      {0x9123683EU, "btrfs"},
      {0x794C7630U, "overlay"},
  }};
  for (const auto& [magic, name] : kKnown) {
    if (static_cast<std::uint32_t>(found.f_type) == magic) return name;
  }
  return "unknown";
}

FdsView descriptors() {
  FdsView view;
  struct rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  view.limit = static_cast<std::int64_t>(limit.rlim_cur);
  const UniqueFd own(::open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (const auto names = names_in(own.get())) view.used = static_cast<std::int64_t>(names->size());
  return view;
}

// Whether somebody may see what belongs to `uid`, and asked for it.
bool wanted_user(const Caller& caller, const ControlFilter& filter, uid_t uid) {
  if (caller.uid != 0 && caller.uid != uid) return false;
  return filter.user.empty() || user_id(filter.user) == uid;
}

template <typename View>
void keep_first(std::vector<View>& views, std::size_t limit) {
  if (limit > 0 && views.size() > limit) views.resize(limit);
}

std::optional<uid_t> user_of_scope(std::string_view scope) {
  constexpr std::string_view kPrefix = "user:";
  if (!scope.starts_with(kPrefix)) return {};
  scope.remove_prefix(kPrefix.size());
  return whole_number<uid_t>(scope);
}

std::int64_t sort_key(WallTime time) { return time.time_since_epoch().count(); }

template <typename Ref>
struct Listed {
  std::int64_t key = 0;  // the least comes first
  Ref thing;
};

// `body` with the first `limit` things under `key` (0: all), each as text before the next is looked
// at: there may be a hundred thousand.
template <typename Ref, typename ToJson>
ControlReply reply_with(nlohmann::json body, std::string key, std::vector<Listed<Ref>> things,
                        std::size_t limit, ToJson json_of) {
  std::ranges::sort(things, {}, &Listed<Ref>::key);
  keep_first(things, limit);
  body.erase(key);
  ControlReply reply = done(std::move(body));
  for (const auto& listed : things) {
    if (!reply.list.items.empty()) reply.list.items += ',';
    reply.list.items += to_text(json_of(listed.thing));
  }
  reply.list.key = std::move(key);
  return reply;
}

}  // namespace

std::vector<ClassView> Control::class_views() const {
  const auto policy = volume_.rules.policy();
  std::map<std::string, std::int64_t, std::less<>> counts;
  std::map<std::string, Usage, std::less<>> held;
  for (const UnitRef& unit : volume_.units.all()) ++counts[std::string(unit->class_name())];
  for (const LockRef& lock : volume_.locks.all()) {
    const MutexLock guard(lock->mu);
    ++counts[lock->record.class_name];
    held[lock->record.class_name] += {{0}, 1};
  }
  std::vector<ClassView> views;
  for (const ClassRule& rule : policy->classes) {
    ClassView view;
    view.name = rule.name;
    view.kind = rule.kind == ClassKind::tree ? "tree" : "lock";
    view.units = counts[rule.name];
    view.usage = at_least_zero(rule.kind == ClassKind::tree ? volume_.ledger.class_usage(rule.name)
                                                            : held[rule.name]);
    views.push_back(std::move(view));
  }
  return views;
}

std::vector<UserView> Control::user_views(const Caller& caller) const {
  std::vector<UserView> views;
  for (const UsageLedger::Scope& scope : volume_.ledger.scopes()) {
    const auto uid = user_of_scope(scope.name);
    if (!uid || scope.usage == Usage{} || (caller.uid != 0 && caller.uid != *uid)) continue;
    views.push_back({user_name(*uid), *uid, at_least_zero(scope.usage)});
  }
  std::ranges::sort(views, std::greater(), [](const UserView& v) { return v.usage.bytes; });
  keep_first(views, kUsersMax);
  return views;
}

void Control::describe_volume(StatusView& view) const {
  const auto space = volume_.backing.filesystem_stat();
  if (!space) {
    view.degraded.push_back("the backing filesystem does not answer statfs");
    return;
  }
  const auto bytes = [&](std::uint64_t blocks) {
    return Bytes{static_cast<std::int64_t>(blocks * space->f_frsize)};
  };
  view.volume.bytes_total = bytes(space->f_blocks);
  view.volume.bytes_used = bytes(space->f_blocks - space->f_bfree);
  view.volume.bytes_free = bytes(space->f_bavail);
  describe_space(view);
  view.volume.inodes_total = static_cast<std::int64_t>(space->f_files);
  view.volume.inodes_used = static_cast<std::int64_t>(space->f_files - space->f_ffree);
  view.volume.inodes_free = static_cast<std::int64_t>(space->f_favail);
}

void Control::describe_space(StatusView& view) const {
  const Evictor::State state = evictor_.state();
  SpaceView& space = view.space;
  space.evicting = state.evicting;
  space.waiting = static_cast<std::int64_t>(state.waiting);
  space.evicted_units = static_cast<std::int64_t>(state.evicted);
  space.evicted_bytes = state.evicted_usage.bytes;
  space.last_eviction = state.last;
  space.refused = static_cast<std::int64_t>(state.refused);
  space.stuck = state.stuck;
  if (!state.look) return;
  const VolumeRule& rule = state.look->rule;
  space.level = to_string(space_level(state.look->reading, rule));
  space.high = format_threshold(rule.high);
  space.bytes_high = mark_in_bytes(rule.high, view.volume.bytes_total);
  space.low = format_threshold(rule.low);
  space.bytes_low = mark_in_bytes(rule.low, view.volume.bytes_total);
  space.reserve = format_threshold(rule.reserve);
  space.bytes_reserve = reserve_of(state.look->reading, rule.reserve).bytes;
  view.volume.bytes_free = std::max(view.volume.bytes_free - space.bytes_reserve, Bytes{});
}

StatusView Control::status_view(const Caller& caller) {
  const auto policy = volume_.rules.policy();
  const WallTime now = volume_.clock.wall_now();
  const ReaperState reaper = reaper_.state();
  const Census::Progress census = census_.progress();
  StatusView view;
  view.version = EBBFS_VERSION;
  view.pid = ::getpid();
  view.uptime = now - facts_.started;
  view.mount = facts_.mount;
  view.mode = policy->mode == Mode::enforce ? "enforce" : "observe";
  view.enforcing = reaper.enforcing;
  view.degraded = volume_.health.sentences();
  if (!reaper.running) view.degraded.emplace_back("the reaper is not running");
  const VolumeState state = volume_.index.volume_state();
  if (state.rebuilt()) view.index_rebuilt = state.rebuilt_at;
  view.transport = facts_.io_uring() ? "io_uring" : "/dev/fuse";
  view.passthrough = facts_.passthrough();
  view.backing = {facts_.backing, filesystem_type(volume_.backing.root())};
  view.policy_source = policy->source;
  view.provisional = census.running;
  view.adoption.running = census.running;
  view.adoption.entries = static_cast<std::int64_t>(census.entries);
  view.adoption.started = census.started;
  view.adopt_grace_until = reaper.adopt_grace_until;
  describe_volume(view);
  view.trash = trash_view();
  if (reaper.brake.cause != BrakeRecord::Cause::none) view.brake = brake_view(reaper.brake);
  view.classes = class_views();
  view.users = user_views(caller);
  view.due = {reaper.due_usage.bytes, static_cast<std::int64_t>(reaper.due_units)};
  view.next_expiry = reaper.next_deadline;
  if (wanted_user(caller, {}, reaper.next_owner)) view.next_expiry_path = reaper.next_path;
  view.last_reclaim = reaper.last_removal;
  view.overdue = reaper.overdue;
  view.open_files = static_cast<std::int64_t>(filesystem_.open_files());
  view.known_inodes = static_cast<std::int64_t>(volume_.inodes.size());
  view.fds = descriptors();
  view.check = last_check();
  for (std::size_t i = 0; i < kRequestKinds; ++i) {
    const auto kind = static_cast<RequestKind>(i);
    if (const auto count = facts_.requests(kind); count > 0) {
      view.requests.push_back({std::string(to_string(kind)), count});
    }
  }
  return view;
}

ControlReply Control::units(const Caller& caller, const ControlRequest& request) {
  const WallTime now = volume_.clock.wall_now();
  const ControlFilter& filter = request.filter;
  const auto key_of = [&](const UnitView& unit) -> std::int64_t {
    if (request.sort == sort_by::kBytes) return -unit.usage.bytes.n;
    if (request.sort == sort_by::kExpires) return sort_key(unit.expires_at.value_or(kNever));
    return sort_key(unit.last_used);
  };
  UnitsView head;
  std::vector<Listed<UnitRef>> all;
  for (const UnitRef& unit : volume_.units.all()) {
    const UnitView one = view(*unit, now);
    if (!path_within(one.path, request.path) || !wanted_user(caller, filter, one.owner.uid) ||
        (!filter.class_name.empty() && filter.class_name != one.class_name) ||
        (!filter.job.empty() && filter.job != one.owner.job) ||
        (!filter.state.empty() && unit_state(filter.state) != one.state)) {
      continue;
    }
    head.usage += one.usage;
    all.push_back({key_of(one), unit});
  }
  head.total = static_cast<std::int64_t>(all.size());
  return reply_with(to_json(head), "units", std::move(all), request.limit,
                    [&](const UnitRef& unit) { return to_json(view(*unit, now)); });
}

ControlReply Control::locks(const Caller& caller, const ControlRequest& request) {
  const WallTime now = volume_.clock.wall_now();
  const ControlFilter& filter = request.filter;
  const auto key_of = [&](const LockView& lock) {
    return sort_key(request.sort == sort_by::kReclaim ? lock.reclaim_at.value_or(kNever)
                                                      : lock.made);
  };
  std::vector<Listed<LockRef>> all;
  for (const LockRef& lock : volume_.locks.all()) {
    const LockView one = view(*lock, now);
    if (!path_within(one.path, request.path) || !wanted_user(caller, filter, one.owner.uid) ||
        (!filter.class_name.empty() && filter.class_name != one.class_name) ||
        (!filter.job.empty() && filter.job != one.owner.job) ||
        (!filter.state.empty() && lock_state(filter.state) != one.state)) {
      continue;
    }
    all.push_back({key_of(one), lock});
  }
  LocksView head;
  head.total = static_cast<std::int64_t>(all.size());
  return reply_with(to_json(head), "locks", std::move(all), request.limit,
                    [&](const LockRef& lock) { return to_json(judged_view(lock, now)); });
}

ControlReply Control::events(const Caller& caller, const ControlRequest& request) {
  const auto records = request.after ? volume_.index.events_after(*request.after, kEventsToldMax)
                                     : volume_.index.newest_events(kEventsToldMax);
  if (!records) {
    return refused("the journal cannot be read: errno " + std::to_string(code(records.error())));
  }
  const WallTime now = volume_.clock.wall_now();
  const std::string own = "uid=" + std::to_string(caller.uid) + " ";
  EventsView head;
  head.last_sequence = request.after.value_or(0);
  std::vector<Listed<const EventRecord*>> all;
  for (const EventRecord& record : *records) {
    head.last_sequence = std::max(head.last_sequence, record.sequence);
    if (!path_within(record.path, request.path) ||
        (caller.uid != 0 && !record.owner.starts_with(own)) ||
        (request.since && record.time < now - *request.since) ||
        (!request.filter.kind.empty() && request.filter.kind != to_string(record.kind))) {
      continue;
    }
    all.push_back({static_cast<std::int64_t>(record.sequence), &record});
    if (request.after && request.limit > 0 && all.size() == request.limit) break;
  }
  if (!request.after && request.limit > 0 && all.size() > request.limit) {
    all.erase(all.begin(), all.end() - static_cast<std::ptrdiff_t>(request.limit));
  }
  return reply_with(to_json(head), "events", std::move(all), 0,
                    [](const EventRecord* record) { return to_json(view_of(*record)); });
}

}  // namespace ebbfs
