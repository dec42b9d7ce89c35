// SPDX-License-Identifier: Apache-2.0
#include "tests/support/fault_store.h"

namespace ebbfs {

void FaultStore::fail_commits(std::uint64_t nth, int error, std::uint64_t count) {
  const MutexLock lock(mu_);
  fail_from_ = commits_ + nth;
  fail_end_ = fail_from_ + count;
  commit_error_ = error;
}

std::uint64_t FaultStore::commits() const {
  const MutexLock lock(mu_);
  return commits_;
}

std::uint64_t FaultStore::synced_commits() const {
  const MutexLock lock(mu_);
  return synced_;
}

Result<std::optional<std::string>> FaultStore::get(Table table, std::string_view key) {
  if (const int error = read_error_; error != 0) return fail(error);
  return below_.get(table, key);
}

Status FaultStore::scan(Table table, std::string_view from, const Visitor& visit) {
  if (const int error = read_error_; error != 0) return fail(error);
  return below_.scan(table, from, visit);
}

Status FaultStore::commit(const Batch& batch, Durability durability) {
  {
    const MutexLock lock(mu_);
    ++commits_;
    if (durability == Durability::power_loss) ++synced_;
    if (commits_ >= fail_from_ && commits_ < fail_end_) return fail(commit_error_);
  }
  return below_.commit(batch, durability);
}

}  // namespace ebbfs
