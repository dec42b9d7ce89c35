// SPDX-License-Identifier: Apache-2.0
//
// The store's double: ordered maps in memory. Nothing outlives it, so "reopen" in a test is a
// second user of the same MemStore. Threading: as Store says; a scan visits a copy and holds no
// lock then.
#pragma once

#include <array>
#include <map>
#include <string>

#include "index/mutex.h"
#include "index/store.h"

namespace ebbfs {

class MemStore final : public Store {
 public:
  [[nodiscard]] Result<std::optional<std::string>> get(Table table, std::string_view key) override;
  [[nodiscard]] Status scan(Table table, std::string_view from, const Visitor& visit) override;
  [[nodiscard]] Status commit(const Batch& batch, Durability durability) override;

 private:
  using Rows = std::map<std::string, std::string, std::less<>>;

  Mutex mu_;
  std::array<Rows, kTables> tables_ GUARDED_BY(mu_);
};

}  // namespace ebbfs
