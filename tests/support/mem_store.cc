// SPDX-License-Identifier: Apache-2.0
#include "tests/support/mem_store.h"

namespace ebbfs {

Result<std::optional<std::string>> MemStore::get(Table table, std::string_view key) {
  const MutexLock lock(mu_);
  const Rows& rows = tables_[static_cast<std::size_t>(table)];
  const auto found = rows.find(key);
  if (found == rows.end()) return std::nullopt;
  return found->second;
}

Status MemStore::scan(Table table, std::string_view from, const Visitor& visit) {
  Rows snapshot;
  {
    const MutexLock lock(mu_);
    const Rows& rows = tables_[static_cast<std::size_t>(table)];
    snapshot.insert(rows.lower_bound(from), rows.end());
  }
  for (const auto& [key, value] : snapshot) {
    if (!visit(key, value)) break;
  }
  return {};
}

Status MemStore::commit(const Batch& batch, Durability) {
  const MutexLock lock(mu_);
  for (const Batch::Op& op : batch.ops()) {
    Rows& rows = tables_[static_cast<std::size_t>(op.table)];
    if (op.value) {
      rows.insert_or_assign(op.key, *op.value);
    } else {
      rows.erase(op.key);
    }
  }
  return {};
}

}  // namespace ebbfs
