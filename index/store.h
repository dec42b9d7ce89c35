// SPDX-License-Identifier: Apache-2.0
//
// The only door to a database: ordered keys in a few tables, changed by atomic batches. rocks_store
// is the real one, tests/support/mem_store.h the double; one contract suite runs over both.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "index/result.h"

namespace ebbfs {

// One column family each. The numbers are on disk by name only (see schema.h), not by value.
enum class Table : std::uint8_t {
  meta,
  units,
  locks,
  deadlines,
  owners,
  quotas,
  usage,
  trash,
  journal,
  history,
};
inline constexpr std::size_t kTables = 10;

// Changes that land together or not at all, applied in order.
class Batch {
 public:
  struct Op {
    Table table;
    std::string key;
    std::optional<std::string> value;  // none: delete
  };

  void put(Table table, std::string key, std::string value) {
    ops_.push_back({table, std::move(key), std::move(value)});
  }
  void erase(Table table, std::string key) {
    ops_.push_back({table, std::move(key), std::nullopt});
  }
  [[nodiscard]] bool empty() const { return ops_.empty(); }
  [[nodiscard]] const std::vector<Op>& ops() const { return ops_; }

 private:
  std::vector<Op> ops_;
};

// How far a commit has got when it returns.
enum class Durability : std::uint8_t {
  process_crash,  // survives the daemon's death (written, not synced)
  power_loss,     // survives power loss (synced): waits for the disk, never on a request's path
};

// All methods may be called from any thread. Errors: ENOSPC and EIO from below; EBADMSG when stored
// data is corrupt.
class Store {
 public:
  virtual ~Store() = default;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // The value, or nothing where the key is absent.
  [[nodiscard]] virtual Result<std::optional<std::string>> get(Table table,
                                                               std::string_view key) = 0;

  // Calls `visit` for each key in [from, end of table) in byte order, on a consistent snapshot,
  // until it returns false. `visit` may use this store.
  using Visitor = std::function<bool(std::string_view key, std::string_view value)>;
  [[nodiscard]] virtual Status scan(Table table, std::string_view from, const Visitor& visit) = 0;

  [[nodiscard]] virtual Status commit(const Batch& batch, Durability durability) = 0;

 protected:
  Store() = default;
};

}  // namespace ebbfs
