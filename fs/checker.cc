// SPDX-License-Identifier: Apache-2.0
//
// Which units are counted again, and what is made of it. The count itself is checker_walk.cc.
#include "fs/checker.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstring>

#include "fs/pace.h"
#include "fs/trash_names.h"
#include "fs/tree.h"

namespace ebbfs {
namespace {

// Counts of one unit until a difference that is another one each time is told as it is.
constexpr int kCountsMax = 4;

using Steady = std::chrono::steady_clock;

}  // namespace

Checker::~Checker() { stop(); }

bool Checker::provisional() const {
  return volume_.units.root()->counting() ||
         std::ranges::any_of(volume_.units.all(), &Unit::counting);
}

Result<Checker::Progress> Checker::start(bool repair) {
  const bool not_yet = provisional();
  const MutexLock lock(mu_);
  if (progress_.running) {
    if (progress_.repair != repair) return fail(EBUSY);
    followed_ = Steady::now();
    return now_locked();
  }
  if (not_yet) return fail(EAGAIN);
  // The one before has ended, and takes no lock any more.
  if (thread_.joinable()) thread_.join();
  begin(repair, true);
  thread_ = std::thread([this] { work(); });
  return now_locked();
}

Checker::Progress Checker::run(bool repair) {
  {
    const MutexLock lock(mu_);
    begin(repair, false);
  }
  work();
  return progress(false);
}

void Checker::begin(bool repair, bool throttled) {
  const std::uint64_t token = progress_.token + 1;
  progress_ = {};
  progress_.token = token;
  progress_.running = true;
  progress_.repair = repair;
  progress_.started = volume_.clock.wall_now();
  progress_.expected =
      static_cast<std::uint64_t>(std::max<std::int64_t>(volume_.ledger.volume().usage().inodes, 0));
  repairs_ = repair;
  throttled_ = throttled;
  stopping_ = false;
  began_ = followed_ = Steady::now();
}

Checker::Progress Checker::progress(bool follow) const {
  const MutexLock lock(mu_);
  if (follow) followed_ = Steady::now();
  return now_locked();
}

Checker::Progress Checker::now_locked() const {
  Progress progress = progress_;
  if (progress.running) progress.took = Steady::now() - began_;
  return progress;
}

void Checker::stop() {
  std::thread ended;
  {
    const MutexLock lock(mu_);
    stopping_ = true;
    changed_.notify_all();
    ended.swap(thread_);
  }
  if (ended.joinable()) ended.join();
}

void Checker::walk_again(const FileHandle& directory) {
  const MutexLock lock(mu_);
  // Else it is for the census.
  if (walking_) waiting_.push_back(directory);
}

void Checker::work() {
  spdlog::info("event=check_begins repair={}", repairs_);
  since_pause_ = 0;
  found_.clear();
  strangers_.clear();
  check_units();
  check_trash();
  finish();
}

void Checker::finish() {
  std::vector<Difference> differences;
  for (const auto& [scope, usage] : found_) {
    if (usage != Usage{}) differences.push_back({scope, usage});
  }
  const MutexLock lock(mu_);
  progress_.given_up = stopping_locked();
  progress_.differences = std::move(differences);
  progress_.took = Steady::now() - began_;
  progress_.running = false;
  spdlog::log(progress_.exact() ? spdlog::level::info : spdlog::level::warn,
              "event=check_ends differences={} unchecked={} given_up={} files={} units={} "
              "seconds={:.1f} repair={}",
              progress_.differences.size(), progress_.unchecked.size(), progress_.given_up,
              progress_.files, progress_.units,
              std::chrono::duration<double>(progress_.took).count(), progress_.repair);
}

void Checker::check_units() {
  // The root first: its walk finds units that nobody has recorded.
  check_unit(volume_.units.root());
  for (const UnitRef& unit : volume_.units.all()) {
    if (stopping()) return;
    check_unit(unit);
  }
}

void Checker::check_unit(const UnitRef& unit) {
  std::vector<UsageCell> differing;
  for (int i = 0; i < kCountsMax; ++i) {
    if (unit->counting()) return not_checked(unit->path(), Errno{EAGAIN});
    auto counted = count_unit(unit);
    if (counted && !counted->empty()) {
      // Those who are making or dissolving a unit at present have then done so.
      if (auto drained = drain(*volume_.units.root()); !drained) {
        counted = std::unexpected(drained.error());
      }
    }
    if (stopping() || !in_table(unit)) return;
    if (!counted) return not_checked(unit->path(), counted.error());
    const bool again = i > 0 && *counted == differing;
    differing = std::move(*counted);
    if (differing.empty() || again) break;
  }
  {
    const MutexLock lock(mu_);
    ++progress_.units;
  }
  if (differing.empty()) return;
  found(unit->record(), false, differing);
  if (repairs_) repair(unit, differing);
}

bool Checker::in_table(const UnitRef& unit) const {
  return !unit->gone() && volume_.units.find(unit->id()) == unit;
}

void Checker::found(const UnitRecord& record, bool in_trash, const std::vector<UsageCell>& cells) {
  const bool is_root = record.id == kRootUnit;
  for (const UsageCell& cell : cells) {
    spdlog::warn("event=usage_differs unit={:?} trash={} uid={} gid={} bytes={} inodes={}",
                 record.path, in_trash, cell.uid, cell.gid, cell.usage.bytes.n, cell.usage.inodes);
    found_["volume"] += cell.usage;
    if (in_trash) continue;
    found_["user:" + std::to_string(cell.uid)] += cell.usage;
    found_["group:" + std::to_string(cell.gid)] += cell.usage;
    if (is_root) continue;
    found_["unit:" + record.path] += cell.usage;
    found_["class:" + record.class_name] += cell.usage;
    if (!record.owner.job.empty()) found_["job:" + record.owner.job] += cell.usage;
  }
}

void Checker::repair(const UnitRef& unit, const std::vector<UsageCell>& cells) {
  // Inside, so that the stored usage does not pass for exact meanwhile. Its own last use, so that
  // this is none.
  const auto inside = volume_.units.use(unit, unit->last_used(), true);
  if (!inside) return not_checked(unit->path(), inside.error());
  for (const UsageCell& cell : cells) {
    volume_.ledger.settle(volume_.ledger.cell(unit->accounts(), cell.uid, cell.gid), cell.usage);
  }
}

void Checker::check_trash() {
  for (const Trash::Whole& trashed : trash_.whole()) {
    if (stopping()) return;
    const auto checked = check_trashed(trashed);
    if (!checked && !stopping() && trash_.still_whole(trashed.id)) {
      not_checked(trashed.holder->path() + " (trash)", checked.error());
    }
  }
}

Status Checker::check_trashed(const Trash::Whole& trashed) {
  Recount counted;
  counted.begin(UnitId{});
  if (auto tree = count_trashed(trash_name(trashed.id), counted); !tree) return tree;
  // Of an administrative entry, what has no other name elsewhere.
  const Backing& backing = volume_.backing;
  const std::string git = git_name(trashed.id);
  const auto admin = gather_tree(backing, backing.trash_dir(), git.c_str(), SIZE_MAX);
  if (!admin && admin.error() != Errno{ENOENT}) return std::unexpected(admin.error());
  for (const TreeInode& inode : admin.value_or(std::vector<TreeInode>())) {
    const Attributes& is = inode.attributes;
    if (inode.whole()) counted.count(UnitId{}, inode.id(), is.stx_uid, is.stx_gid, charge_for(is));
  }
  const auto cells = difference(counted.cells(), trashed.holder->accounts().cells());
  if (cells.empty() || !trash_.still_whole(trashed.id)) return {};
  found(trashed.holder->record(), true, cells);
  if (repairs_) trash_.correct(trashed, cells);
  return {};
}

Status Checker::count_trashed(const std::string& name, Recount& into) {
  const Backing& backing = volume_.backing;
  const auto count = [&](const Attributes& is) {
    into.count(UnitId{}, InodeId{is.stx_ino}, is.stx_uid, is.stx_gid, charge_for(is));
  };
  const auto top = backing.stat(backing.trash_dir(), name.c_str());
  const auto handle = backing.handle(backing.trash_dir(), name.c_str());
  if (!top) return std::unexpected(top.error());
  if (!handle) return std::unexpected(handle.error());
  count(*top);
  std::vector<FileHandle> to_read;
  if (is_directory(*top)) to_read.push_back(*handle);
  while (!to_read.empty()) {
    const auto fd = open_by_handle(volume_, to_read.back(), O_RDONLY | O_DIRECTORY);
    to_read.pop_back();
    if (!fd) return std::unexpected(fd.error());
    for (;;) {
      const auto names = next_names(fd->get());
      if (!names) return std::unexpected(names.error());
      if (names->empty()) break;
      for (const std::string& child : *names) {
        const auto attributes = backing.stat(fd->get(), child.c_str());
        const auto below = backing.handle(fd->get(), child.c_str());
        if (!attributes) return std::unexpected(attributes.error());
        if (!below) return std::unexpected(below.error());
        count(*attributes);
        if (is_directory(*attributes)) to_read.push_back(*below);
      }
      looked_at(names->size());
      if (!throttle(names->size())) return fail(ECANCELED);
    }
  }
  return {};
}

void Checker::not_checked(const std::string& path, Errno why) {
  const std::string where = path.empty() ? "the files outside of units" : path;
  const std::string reason = why == Errno{ETIMEDOUT} ? "requests in it last too long"
                             : why == Errno{EAGAIN}  ? "it is being counted for the first time"
                                                     : std::strerror(code(why));
  spdlog::warn("event=unchecked unit={:?} why=\"{}\"", path, reason);
  const MutexLock lock(mu_);
  progress_.unchecked.push_back(where + ": " + reason);
}

void Checker::looked_at(std::uint64_t files) {
  const MutexLock lock(mu_);
  progress_.files += files;
}

bool Checker::throttle(std::uint64_t entries) {
  since_pause_ += entries;
  if (since_pause_ < kWalkBatch) return !stopping();
  since_pause_ = 0;
  return throttled_ ? pause(kWalkPause) : !stopping();
}

bool Checker::pause(Duration wait) {
  const MutexLock lock(mu_);
  const auto until = Steady::now() + wait;
  while (!stopping_locked() && changed_.wait_until(mu_, until)) {
  }
  return !stopping_locked();
}

bool Checker::stopping() const {
  const MutexLock lock(mu_);
  return stopping_locked();
}

bool Checker::stopping_locked() const {
  return stopping_ || (throttled_ && Steady::now() - followed_ > kAbandonAfter);
}

}  // namespace ebbfs
