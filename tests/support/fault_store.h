// SPDX-License-Identifier: Apache-2.0
//
// A store that refuses what a test tells it to refuse, and counts what it is asked. What is refused
// changes nothing below. Threading: as Store says.
#pragma once

#include <atomic>
#include <cstdint>

#include "index/mutex.h"
#include "index/store.h"

namespace ebbfs {

class FaultStore final : public Store {
 public:
  // `below` must outlive it.
  explicit FaultStore(Store& below) : below_(below) {}

  // The `nth` commit from now (1 is the next) fails with `error`, and the `count` - 1 after it.
  void fail_commits(std::uint64_t nth, int error, std::uint64_t count = 1) EXCLUDES(mu_);
  // Every get and scan fails with `error` until called with 0.
  void fail_reads(int error) { read_error_ = error; }

  [[nodiscard]] std::uint64_t commits() const EXCLUDES(mu_);  // tried, refused ones among them
  [[nodiscard]] std::uint64_t synced_commits() const EXCLUDES(mu_);

  [[nodiscard]] Result<std::optional<std::string>> get(Table table, std::string_view key) override;
  [[nodiscard]] Status scan(Table table, std::string_view from, const Visitor& visit) override;
  [[nodiscard]] Status commit(const Batch& batch, Durability durability) override EXCLUDES(mu_);

 private:
  Store& below_;
  std::atomic<int> read_error_{0};

  mutable Mutex mu_;
  std::uint64_t commits_ GUARDED_BY(mu_) = 0;
  std::uint64_t synced_ GUARDED_BY(mu_) = 0;
  std::uint64_t fail_from_ GUARDED_BY(mu_) = 0;  // by count of commits; none when equal to the end
  std::uint64_t fail_end_ GUARDED_BY(mu_) = 0;
  int commit_error_ GUARDED_BY(mu_) = 0;
};

}  // namespace ebbfs
