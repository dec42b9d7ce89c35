// SPDX-License-Identifier: Apache-2.0
#include "index/steady_store.h"

#include <spdlog/spdlog.h>

#include <cerrno>
#include <cstring>

namespace ebbfs {

Result<std::optional<std::string>> SteadyStore::get(Table table, std::string_view key) {
  if (failing_) {
    const MutexLock lock(mu_);
    if (const auto kept = kept_.find({table, std::string(key)}); kept != kept_.end()) {
      return kept->second;
    }
  }
  auto found = below_.get(table, key);
  if (!found) note_read(found.error());
  return found;
}

std::map<std::string, std::optional<std::string>> SteadyStore::kept_rows(Table table,
                                                                         std::string_view from) {
  std::map<std::string, std::optional<std::string>> rows;
  const MutexLock lock(mu_);
  for (auto at = kept_.lower_bound({table, std::string(from)});
       at != kept_.end() && at->first.first == table; ++at) {
    rows.emplace_hint(rows.end(), at->first.second, at->second);
  }
  return rows;
}

// The rows below with those that are kept in their places. A retry() meanwhile does no harm: what
// it has put below comes once, as the copy taken here hides it.
Status SteadyStore::scan(Table table, std::string_view from, const Visitor& visit) {
  if (!failing_) {
    auto scanned = below_.scan(table, from, visit);
    if (!scanned) note_read(scanned.error());
    return scanned;
  }
  const auto rows = kept_rows(table, from);
  auto next = rows.begin();
  bool stopped = false;
  // Visits what is kept before `key`, or all that is left.
  const auto visit_kept = [&](std::optional<std::string_view> key) {
    for (; next != rows.end() && (!key || next->first < *key) && !stopped; ++next) {
      if (next->second) stopped = !visit(next->first, *next->second);
    }
  };
  auto scanned = below_.scan(table, from, [&](std::string_view key, std::string_view value) {
    visit_kept(key);
    if (stopped) return false;
    if (next != rows.end() && next->first == key) return true;  // replaced, or erased
    stopped = !visit(key, value);
    return !stopped;
  });
  if (!scanned) {
    note_read(scanned.error());
    return scanned;
  }
  if (!stopped) visit_kept(std::nullopt);
  return {};
}

Status SteadyStore::commit(const Batch& batch, Durability durability) {
  if (!failing_) {
    const Status done = below_.commit(batch, durability);
    if (done) return done;
    const MutexLock lock(mu_);
    why_ = done.error();
    if (!failing_) {
      failing_ = true;
      spdlog::error("event=index_refuses_changes errno={} what=\"{}\" action=kept_in_memory",
                    code(why_), std::strerror(code(why_)));
      if (on_trouble_) on_trouble_(why_);
    }
  }
  const MutexLock lock(mu_);
  // Another thread's retry() may just have got through.
  if (!failing_) return below_.commit(batch, durability);
  keep(batch);
  return {};
}

void SteadyStore::keep(const Batch& batch) {
  if (lost_) return;
  for (const Batch::Op& op : batch.ops()) kept_.insert_or_assign({op.table, op.key}, op.value);
  if (kept_.size() <= kept_max_) return;
  spdlog::error("event=index_lost kept_rows={} what=\"too many changes refused by the index\"",
                kept_.size());
  kept_.clear();
  lost_ = true;
}

bool SteadyStore::retry() {
  if (!failing_) return true;
  const MutexLock lock(mu_);
  if (lost_) return false;
  Batch batch;
  for (const auto& [key, value] : kept_) {
    if (value) {
      batch.put(key.first, key.second, *value);
    } else {
      batch.erase(key.first, key.second);
    }
  }
  if (const Status done = below_.commit(batch, Durability::power_loss); !done) {
    why_ = done.error();
    return false;
  }
  spdlog::warn("event=index_takes_changes_again kept_rows={}", kept_.size());
  kept_.clear();
  failing_ = false;
  return true;
}

std::optional<Errno> SteadyStore::trouble() const {
  if (!failing_) return {};
  const MutexLock lock(mu_);
  return failing_ ? std::optional(why_) : std::nullopt;
}

void SteadyStore::note_read(Errno error) {
  if (read_error_.exchange(code(error)) == 0) {
    spdlog::error("event=index_unreadable errno={} what=\"{}\"", code(error),
                  std::strerror(code(error)));
  }
}

std::optional<Errno> SteadyStore::read_trouble() const {
  const int error = read_error_.load();
  return error == 0 ? std::nullopt : std::optional(Errno{error});
}

}  // namespace ebbfs
