// SPDX-License-Identifier: Apache-2.0
//
// What is seen of a lock and its owner, and the verdict on it. Changes nothing.
#include <fcntl.h>

#include <algorithm>
#include <array>

#include "fs/lock_reaper.h"
#include "fs/tree.h"

namespace ebbfs {
namespace {

// A directory with more in it is no lock.
constexpr std::size_t kLockInodesMax = 4096;
constexpr std::size_t kFirstLineMax = 256;
constexpr Duration kBrakeRetry = std::chrono::seconds(10);
// A file is stamped by the kernel's tick, a process by that of /proc: one that was written by the
// very process or its maker can look older than it. No number is used again so soon.
constexpr Duration kStampsApart = std::chrono::milliseconds(100);

// So long as it is judged, a lock that nobody could time is due.
ClassRule without_clocks(ClassRule rule) {
  rule.orphan_grace = Duration::zero();
  rule.ttl = Duration::zero();
  return rule;
}

}  // namespace

std::optional<LockReaper::Judged> LockReaper::judge_record(const LockRef& lock) {
  Judged judged;
  OwnerState known;
  {
    const MutexLock held(lock->mu);
    if (lock->removed) return std::nullopt;
    judged.record = lock->record;
    known = lock->owner_state;
  }
  judged.policy = volume_.rules.policy();
  judged.rule = judged.policy->find_class(judged.record.class_name);
  if (judged.rule == nullptr) return std::nullopt;
  judged.owner = owner_now(judged.record, known, *judged.rule);
  judged.owner_verdict = judge_owner(judged.record, judged.owner, *judged.rule);
  judged.seen.open = Answer::no;
  judged.seen.touched = judged.record.made;
  return judged;
}

Verdict LockReaper::verdict_on(const Judged& judged, Clocks clocks) const {
  const bool timed = clocks == Clocks::apply;
  return judge_reclaim(judged.record, judged.owner_verdict, judged.owner, judged.seen,
                       timed ? *judged.rule : without_clocks(*judged.rule),
                       volume_.clock.wall_now(),
                       timed ? not_before(judged.record) : WallTime::min());
}

bool LockReaper::goes_by_record(const LockRef& lock) {
  const auto judged = judge_record(lock);
  return judged && verdict_on(*judged, Clocks::apply).action == Verdict::Action::remove;
}

std::optional<LockReaper::Judged> LockReaper::judge(const LockRef& lock, Clocks clocks,
                                                    OpenInodes& opens) {
  auto judged_record = judge_record(lock);
  if (!judged_record) return std::nullopt;
  Judged& judged = *judged_record;
  judged.verdict = Verdict::keep(Reason::use_unknown, later(volume_.clock.wall_now(), kLockRetry));
  judged.sight = look(judged.record);
  if (judged.sight.name != Sight::Name::same) return judged_record;

  const bool timed = clocks == Clocks::apply;
  if (timed) {
    judged.seen.touched = std::max(judged.record.made, modified(judged.sight.attributes));
  }
  if (const Verdict early = verdict_on(judged, clocks); early.action == Verdict::Action::keep) {
    judged.verdict = early;
    return judged_record;
  }
  look_where(judged);
  if (judged.sight.name != Sight::Name::same) return judged_record;
  look_closer(judged, opens);
  judged.verdict = verdict_on(judged, clocks);
  // Nothing but its age speaks against such a lock, and the clock was set.
  if (timed && judged.verdict.action == Verdict::Action::remove &&
      judged.owner_verdict.step == OwnerVerdict::Step::by_touch && brake_.holds_ages()) {
    judged.verdict = {Verdict::Action::keep, Reason::brake,
                      later(volume_.clock.wall_now(), kBrakeRetry)};
  }
  return judged_record;
}

void LockReaper::look_closer(Judged& judged, OpenInodes& opens) {
  const Attributes& attributes = judged.sight.attributes;
  judged.seen.open = is_directory(attributes) ? directory_in_use(judged, opens)
                                              : is_open(judged.record, attributes, opens);
  // A file without content names nobody.
  if (judged.seen.open != Answer::no || !is_regular(attributes) || attributes.stx_size == 0) return;
  judged.witness = find_witness(judged.record, judged.sight);
  if (judged.witness) judged.seen.evidence = judged.witness->process.id;
}

OwnerState LockReaper::owner_now(const LockRecord& record, const OwnerState& known,
                                 const ClassRule& rule) {
  const bool by_cgroup = rule.owner == OwnerMode::cgroup;
  if (by_cgroup && !record.owner.cgroup.empty() &&
      record.owner.boot == volume_.processes.boot_id()) {
    // An empty cgroup can fill again.
    const OwnerState now = volume_.processes.cgroup_state(record.owner.cgroup);
    return has_ended(known) && has_ended(now) ? known : now;
  }
  if (known.life != OwnerState::Life::unknown || !record.owner.process.id.known()) return known;
  return volume_.processes.state(record.owner.process.id, record.owner.boot);
}

void LockReaper::look_where(Judged& judged) {
  auto place = lock_place(volume_, judged.sight.dir(), judged.record.name);
  if (!place) {
    judged.sight.name = Sight::Name::unknown;
  } else if (*place && (*place)->is_of(judged.record)) {
    judged.record.path = std::move((*place)->path);
  } else {
    judged.sight.name = Sight::Name::misplaced;
    judged.now_at = std::move(*place);
  }
}

LockReaper::Sight LockReaper::look(const LockRecord& record) {
  Sight sight;
  auto parent = open_lock_parent(volume_, record);
  if (!parent) {
    if (is_absent(parent.error())) sight.name = Sight::Name::gone;
    return sight;
  }
  const char* const name = record.name.c_str();
  const int dir = (*parent)->get();
  const auto handle = volume_.backing.handle(dir, name);
  const auto attributes = volume_.backing.stat(dir, name);
  if (!handle || !attributes) {
    const Errno error = handle ? attributes.error() : handle.error();
    if (is_absent(error)) sight.name = Sight::Name::gone;
    return sight;
  }
  sight.name = *handle == record.object ? Sight::Name::same : Sight::Name::gone;
  sight.attributes = *attributes;
  sight.parent = std::move(*parent);
  return sight;
}

Answer LockReaper::is_open(InodeId id) {
  const InodeRef inode = volume_.inodes.find(id);
  if (!inode) return Answer::no;
  const PatientLock size_lock(inode->size_mu, false);
  // Held by whoever is changing the file: then it is open, or about to be.
  if (!size_lock) return Answer::yes;
  return inode->extent.opens > 0 ? Answer::yes : Answer::no;
}

// The kernel opens directories and FIFOs by itself, and tells us nothing. Of what has `attributes`:
// the object of `lock`, or something in it.
Answer LockReaper::is_open(const LockRecord& lock, const Attributes& attributes,
                           OpenInodes& opens) {
  const InodeId id{attributes.stx_ino};
  // Cannot be held open.
  if (S_ISLNK(attributes.stx_mode)) return Answer::no;
  if (is_regular(attributes)) {
    const Answer open = is_open(id);
    if (open != Answer::no || !may_be_held_beneath(lock)) return open;
  }
  return opens.has(id);
}

Answer LockReaper::directory_in_use(Judged& judged, OpenInodes& opens) {
  auto inside =
      gather_tree(volume_.backing, judged.sight.dir(), judged.record.name.c_str(), kLockInodesMax);
  if (!inside && inside.error() != Errno{E2BIG}) return Answer::unknown;
  judged.place = !inside || contains_unit(judged.record);
  if (judged.place) return Answer::no;
  judged.inside = std::move(*inside);
  for (const TreeInode& inode : judged.inside) {
    const Answer open = is_open(judged.record, inode.attributes, opens);
    if (open != Answer::no) return open;
    if (!is_directory(inode.attributes)) continue;
    for (const LockRef& inner : volume_.locks.in_directory(inode.id())) {
      if (holds(inner, opens)) return Answer::yes;
    }
  }
  return Answer::no;
}

bool LockReaper::contains_unit(const LockRecord& record) const {
  if (record.unit != kRootUnit) return false;
  const std::string prefix = record.path + "/";
  return std::ranges::any_of(volume_.units.all(),
                             [&](const UnitRef& unit) { return unit->path().starts_with(prefix); });
}

std::optional<ProcessTable::Living> LockReaper::find_witness(const LockRecord& record,
                                                             const Sight& sight) {
  const auto fd = volume_.backing.open_at(sight.dir(), record.name.c_str(),
                                          O_RDONLY | O_NONBLOCK | O_NOATIME, 0);
  if (!fd) return std::nullopt;
  std::array<char, kFirstLineMax> content;
  const auto length =
      volume_.backing.read(fd->get(), std::as_writable_bytes(std::span(content)), 0);
  if (!length) return std::nullopt;
  const auto pid = pid_in_first_line({content.data(), *length});
  // The dead owner's own number, as we or as it itself knew it, names nobody else.
  const ProcessSeen& owner = record.owner.process;
  if (!pid || *pid == owner.id.tgid || *pid == owner.ns_pid) return std::nullopt;
  // Namespaces are numbered anew in each boot.
  const bool this_boot = record.owner.boot == volume_.processes.boot_id();
  auto living = volume_.processes.living(*pid, this_boot ? record.owner.pid_ns : 0);
  if (!living) return std::nullopt;
  const WallTime written = later(modified(sight.attributes), kStampsApart);
  if (brake_.earliest_wall(living->started) >= written) return std::nullopt;
  return living;
}

WallTime LockReaper::not_before(const LockRecord& record) const {
  // What was there before the volume was first mounted was found by adoption.
  const WallTime mounted = volume_.index.volume_state().first_mounted;
  if (record.made >= mounted) return WallTime::min();
  return later(mounted, volume_.rules.policy()->volume.adopt_grace);
}

bool LockReaper::holds(const LockRef& lock, OpenInodes& opens) {
  const auto judged = judge(lock, Clocks::apply, opens);
  return judged && judged->sight.name != Sight::Name::gone &&
         judged->sight.name != Sight::Name::misplaced && !judged->place &&
         judged->verdict.action == Verdict::Action::keep;
}

Report LockReaper::report(const LockRef& lock) {
  OpenInodes opens(volume_, mounted_);
  const auto judged = judge(lock, Clocks::apply, opens);
  return judged ? report_of(*judged) : Report{};
}

Report LockReaper::report_of(const Judged& judged) const {
  Report report;
  report.verdict = judged.verdict;
  report.rule = lock_rule_text(*judged.rule, judged.owner_verdict, judged.owner);
  const auto blocked = [&](Reason reason, std::string text) {
    report.blockers.push_back({reason, std::move(text)});
  };
  const auto until = [&] {
    return judged.verdict.look_again == kNever
               ? std::string()
               : " for another " + format_duration(std::chrono::ceil<std::chrono::seconds>(
                                       judged.verdict.look_again - volume_.clock.wall_now()));
  };
  if (judged.verdict.action == Verdict::Action::remove) return report;
  switch (judged.verdict.reason) {
    case Reason::owner_alive:
      blocked(Reason::owner_alive,
              (judged.witness ? process_text(judged.witness->process) + ", named in its first line"
                              : process_text(judged.record.owner.process)) +
                  ", lives");
      break;
    case Reason::in_grace:
      blocked(Reason::in_grace, "its grace lasts" + until());
      break;
    case Reason::heartbeat:
      blocked(Reason::heartbeat, "touched not long ago: stays" + until());
      break;
    case Reason::adopt_grace:
      blocked(Reason::adopt_grace, "found on a volume that was first mounted a moment ago");
      break;
    case Reason::brake:
      blocked(Reason::brake,
              "the brake: " + brake_text(brake_.state()) + "; undo with: ebbctl resume");
      break;
    case Reason::lock_open:
      blocked(Reason::lock_open, "somebody has it open");
      break;
    case Reason::no_ttl:
      blocked(Reason::no_ttl, "its owner is not known, and its class sets no ttl");
      break;
    default:
      blocked(Reason::use_unknown, "it could not be found out whether it is held");
      break;
  }
  return report;
}

}  // namespace ebbfs
