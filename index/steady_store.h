// SPDX-License-Identifier: Apache-2.0
//
// A store that goes on when the one below stops taking changes (full or failing disk, corruption
// met at run time): what was refused is kept in memory, seen by every read, and put below by the
// first retry() that succeeds. So the daemon serves on, and its view of itself stays whole.
//
// A commit that is only kept is reported as done, though it would not survive the process:
// `on_trouble` is told first, and says so on the disk by other means (fs/exports.h). Nothing is
// held back when the store below answers: then this costs one atomic load a call.
//
// Bounded: beyond kKeptMax rows it gives up, forgets what it kept, and `lost()` from then on.
//
// Threading: as Store; retry() from any. Lock order: mu_, then the store below. `on_trouble` is
// called under mu_ and must not come back.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "index/mutex.h"
#include "index/store.h"

namespace ebbfs {

class SteadyStore final : public Store {
 public:
  static constexpr std::size_t kKeptMax = 500'000;

  // `below` outlives it. `kept_max`: rows.
  explicit SteadyStore(Store& below, std::size_t kept_max = kKeptMax)
      : below_(below), kept_max_(kept_max) {}

  // Before the store is shared. Called when a commit is refused while the last was not.
  void on_trouble(std::function<void(Errno)> told) { on_trouble_ = std::move(told); }

  [[nodiscard]] Result<std::optional<std::string>> get(Table table, std::string_view key) override
      EXCLUDES(mu_);
  [[nodiscard]] Status scan(Table table, std::string_view from, const Visitor& visit) override
      EXCLUDES(mu_);
  // Never fails. A `power_loss` commit that is kept is not synced anywhere.
  [[nodiscard]] Status commit(const Batch& batch, Durability durability) override EXCLUDES(mu_);

  // Puts below what was kept, synced. True when nothing is kept any more.
  [[nodiscard]] bool retry() EXCLUDES(mu_);

  // Why the store below refuses changes; nothing while it takes them.
  [[nodiscard]] std::optional<Errno> trouble() const EXCLUDES(mu_);
  // Rows were refused and are known no more: what is below is no longer the truth.
  [[nodiscard]] bool lost() const { return lost_.load(std::memory_order_relaxed); }
  // The last error of a read that the store below could not serve; nothing when none failed.
  [[nodiscard]] std::optional<Errno> read_trouble() const;

 private:
  using Key = std::pair<Table, std::string>;

  void keep(const Batch& batch) REQUIRES(mu_);
  void note_read(Errno error);
  // Rows of `table` from `from` on that are kept.
  [[nodiscard]] std::map<std::string, std::optional<std::string>> kept_rows(Table table,
                                                                            std::string_view from)
      EXCLUDES(mu_);

  Store& below_;
  const std::size_t kept_max_;
  std::function<void(Errno)> on_trouble_;  // const once shared

  // Read without mu_: a commit that misses the change meets the same refusal below.
  std::atomic<bool> failing_{false};
  std::atomic<bool> lost_{false};
  std::atomic<int> read_error_{0};

  mutable Mutex mu_;
  std::map<Key, std::optional<std::string>> kept_ GUARDED_BY(mu_);  // none: erased
  Errno why_ GUARDED_BY(mu_){0};
};

}  // namespace ebbfs
