// SPDX-License-Identifier: Apache-2.0
#include "fs/process_cache.h"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

namespace ebbfs {
namespace {

constexpr std::size_t kEntriesMin = 2 * ProcessCache::kAncestorsMax;  // a chain must fit
constexpr std::size_t kThreadsKeptMax = 4096;
constexpr std::size_t kCgroupsMax = 1024;
// Every step towards an answer reads one thing; more steps than this mean that processes come and
// go faster than they can be read.
constexpr std::size_t kStepsMax = 4 * ProcessCache::kAncestorsMax;

bool is_out_of_descriptors(Errno error) { return code(error) == EMFILE || code(error) == ENFILE; }

}  // namespace

Result<std::unique_ptr<ProcessCache>> ProcessCache::open(const ProcessReader& reader,
                                                         const Clock& clock,
                                                         const ProcessTableOptions& options) {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return fail_errno();
  const auto entries_max = std::max(options.cached_max, kEntriesMin);
  return std::unique_ptr<ProcessCache>(
      new ProcessCache(reader, clock, entries_max, std::move(epoll)));
}

CallerIdentity ProcessCache::identify(pid_t tid) {
  auto tgid = known_group(tid);
  // Most callers that are not known yet are short-lived helpers of one thread, their leader.
  if (!tgid && obtain(WantProcess{tid})) tgid = tid;
  if (!tgid) {
    const auto group = reader_.group(tid);
    if (!group) return last_known(tid);
    tgid = *group;
  }
  for (std::size_t step = 0; step < kStepsMax; ++step) {
    auto caller = look_up(tid, *tgid);
    if (caller) return *std::move(caller);
    if (!std::visit([this](const auto& want) { return obtain(want); }, caller.error())) break;
  }
  return last_known(tid);
}

std::optional<pid_t> ProcessCache::known_group(pid_t tid) {
  ProcessId hint;
  {
    const MutexLock lock(mu_);
    drain();
    if (const auto* entry = find_entry(tid); entry != nullptr && !entry->ended) return tid;
    if (const auto it = threads_.find(tid); it != threads_.end()) hint = it->second;
  }
  if (is_thread_of(hint.tgid, tid) == Answer::yes) return hint.tgid;
  return std::nullopt;
}

std::expected<CallerIdentity, ProcessCache::Want> ProcessCache::look_up(pid_t tid, pid_t tgid) {
  const MutexLock lock(mu_);
  drain();
  const Entry* entry = find_entry(tgid);
  // The number of a process that has been reaped may be another's by now; a zombie keeps its own.
  if (entry == nullptr || (entry->ended && pidfd_reaped(entry->handle->pidfd.get()))) {
    return std::unexpected(WantProcess{tgid});
  }
  if (const auto names = outdated_names(*entry)) return std::unexpected(*names);

  CallerIdentity caller{
      .process = entry->seen, .ancestors = {}, .pid_ns = entry->pid_ns, .cgroup = entry->cgroup};
  while (caller.ancestors.size() < kAncestorsMax && entry->parent != Entry::Parent::none) {
    const Entry* parent =
        entry->parent == Entry::Parent::unread ? nullptr : find_entry(entry->parent_id);
    // A parent that has ended is not the parent any more.
    if (parent == nullptr || parent->ended) return std::unexpected(WantParent{entry->handle});
    caller.ancestors.push_back(parent->seen);
    entry = parent;
  }
  if (tid != tgid) remember_thread(tid, caller.process.id);
  return caller;
}

std::optional<ProcessCache::WantNames> ProcessCache::outdated_names(const Entry& entry) const {
  const bool comm = drained_ - entry.comm_read > kNamesFresh;
  if (!entry.cgroup_read) return WantNames{.process = entry.handle, .comm = comm};
  if (entry.ended) return std::nullopt;
  if (comm) return WantNames{.process = entry.handle, .comm = true};
  if (reader_.cgroup_id(*entry.handle) == entry.cgroup_id) return std::nullopt;
  return WantNames{.process = entry.handle, .comm = false};
}

CallerIdentity ProcessCache::last_known(pid_t tid) {
  const MutexLock lock(mu_);
  drain();
  const Entry* entry = find_entry(tid);
  if (entry == nullptr) {
    const auto hint = threads_.find(tid);
    if (hint != threads_.end()) entry = find_entry(hint->second);
  }
  if (entry == nullptr || (entry->ended && drained_ - entry->alive_at > kNumberRests)) return {};
  CallerIdentity caller{
      .process = entry->seen, .ancestors = {}, .pid_ns = entry->pid_ns, .cgroup = entry->cgroup};
  while (caller.ancestors.size() < kAncestorsMax && entry->parent == Entry::Parent::process) {
    entry = find_entry(entry->parent_id);
    if (entry == nullptr) break;
    caller.ancestors.push_back(entry->seen);
  }
  return caller;
}

void ProcessCache::remember_thread(pid_t tid, const ProcessId& process) {
  if (threads_.size() >= kThreadsKeptMax && !threads_.contains(tid)) threads_.clear();
  threads_.insert_or_assign(tid, process);
}

std::optional<ProcessSeen> ProcessCache::living(pid_t tgid) {
  for (const bool may_read : {true, false}) {
    {
      const MutexLock lock(mu_);
      drain();
      if (const auto* entry = find_entry(tgid); entry != nullptr && !entry->ended) {
        if (entry->kernel_thread) return std::nullopt;
        return entry->seen;
      }
    }
    if (!may_read || !obtain(WantProcess{tgid})) break;
  }
  return std::nullopt;
}

Result<ProcessRef> ProcessCache::handle(const ProcessId& process) {
  {
    const MutexLock lock(mu_);
    if (const auto* entry = find_entry(process); entry != nullptr) return entry->handle;
  }
  auto opened = reader_.open(process);
  if (opened || !is_out_of_descriptors(opened.error())) return opened;
  shrink();
  return reader_.open(process);
}

bool ProcessCache::obtain(const WantProcess& want) {
  auto facts = reader_.read(want.tgid);
  if (!facts && is_out_of_descriptors(facts.error())) {
    shrink();
    facts = reader_.read(want.tgid);
  }
  if (!facts) return false;
  const MutexLock lock(mu_);
  insert(*std::move(facts));
  return true;
}

bool ProcessCache::obtain(const WantNames& want) {
  const auto& process = *want.process;
  // The id before the path: if it moves in between, the two differ at the next look.
  const auto cgroup_id = reader_.cgroup_id(process);
  const auto cgroup = cgroup_path(process, cgroup_id);
  const auto now = clock_.mono_now();
  const auto comm = want.comm ? reader_.comm(process) : fail(ENODATA);
  const MutexLock lock(mu_);
  auto* entry = find_entry(process.id);
  if (entry == nullptr) return true;
  if (cgroup) entry->cgroup = *cgroup;
  if (comm) entry->seen.comm = *comm;
  if (want.comm) entry->comm_read = now;
  entry->cgroup_id = cgroup_id;
  entry->cgroup_read = true;
  return true;
}

// The path of the cgroup `id` that `process` was just in. Ids are not reused, nor can a v2 cgroup
// be renamed, so that processes of one cgroup need not all be asked for it.
Result<std::string> ProcessCache::cgroup_path(const ProcessHandle& process, std::uint64_t id) {
  {
    const MutexLock lock(mu_);
    const auto it = cgroups_.find(id);
    if (it != cgroups_.end()) return it->second;
  }
  auto path = reader_.cgroup(process);
  if (!path || id == 0 || reader_.cgroup_id(process) != id) return path;
  const MutexLock lock(mu_);
  if (cgroups_.size() >= kCgroupsMax) cgroups_.clear();
  cgroups_.emplace(id, *path);
  return path;
}

bool ProcessCache::obtain(const WantParent& want) {
  const auto& child = *want.process;
  const auto ppid = reader_.parent(child);
  // A child that is gone is found out by its pidfd at the next step.
  if (!ppid && code(ppid.error()) == ESRCH) return true;
  if (!ppid || *ppid <= 1) {
    set_parent(child.id, {});
    return true;
  }
  auto parent = living(*ppid);
  // Only now is it sure that the number has stood for `parent` when the child named it.
  const auto again = reader_.parent(child);
  if (again != ppid) return true;  // reparented, or gone: the next step sees to it
  set_parent(child.id, parent ? parent->id : ProcessId{});
  return true;
}

// A `parent` that is not known() ends the chain.
void ProcessCache::set_parent(const ProcessId& child, const ProcessId& parent) {
  const MutexLock lock(mu_);
  auto* entry = find_entry(child);
  if (entry == nullptr) return;
  entry->parent = parent.known() ? Entry::Parent::process : Entry::Parent::none;
  entry->parent_id = parent;
}

void ProcessCache::drain() {
  const auto now = clock_.mono_now();
  std::array<epoll_event, 64> events{};
  int n = 0;
  do {
    n = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
    for (int i = 0; i < n; ++i) {
      const auto tgid = static_cast<pid_t>(events.at(static_cast<std::size_t>(i)).data.u64);
      auto& entry = *by_tgid_.at(tgid);
      ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, entry.handle->pidfd.get(), nullptr);
      entry.ended = true;
      entry.alive_at = drained_;
    }
  } while (n == static_cast<int>(events.size()));
  drained_ = now;
}

ProcessCache::Entry* ProcessCache::find_entry(pid_t tgid) {
  const auto it = by_tgid_.find(tgid);
  if (it == by_tgid_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, it->second);
  return &*it->second;
}

ProcessCache::Entry* ProcessCache::find_entry(const ProcessId& process) {
  auto* entry = find_entry(process.tgid);
  return entry != nullptr && entry->seen.id == process ? entry : nullptr;
}

void ProcessCache::insert(ProcessReader::Facts facts) {
  const auto tgid = facts.seen.id.tgid;
  if (const auto it = by_tgid_.find(tgid); it != by_tgid_.end()) {
    if (it->second->seen.id == facts.seen.id) return;  // another thread was faster
    erase(it->second);
  }
  epoll_event event{.events = EPOLLIN, .data = {.u64 = static_cast<std::uint64_t>(tgid)}};
  // Without a place in the epoll its end would go unnoticed.
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, facts.handle->pidfd.get(), &event) != 0) return;
  auto& entry = entries_.emplace_front(std::move(facts));
  entry.comm_read = clock_.mono_now();
  by_tgid_.emplace(tgid, entries_.begin());
  while (entries_.size() > entries_max_) erase(std::prev(entries_.end()));
}

void ProcessCache::erase(Entries::iterator it) {
  // A watch may share the handle, which would keep its place in the epoll.
  if (!it->ended) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, it->handle->pidfd.get(), nullptr);
  by_tgid_.erase(it->seen.id.tgid);
  entries_.erase(it);
}

void ProcessCache::shrink() {
  const MutexLock lock(mu_);
  for (auto n = entries_.size() / 2; n > 0; --n) erase(std::prev(entries_.end()));
}

}  // namespace ebbfs
