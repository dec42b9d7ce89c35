// SPDX-License-Identifier: Apache-2.0
//
// New identities that never repeat, also after a crash. The store holds a number that no id ever
// reached; it is moved up by whole blocks, ahead of use, so that an id costs one atomic addition.
// A crash skips the rest of the block; a clean close does not.
// Invariant: nothing is stored under an id that is not below the stored number (cover()).
// Threading: any thread; the lock is held across a commit, once in kBlock / 2 ids.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "index/mutex.h"
#include "index/result.h"
#include "index/store.h"

namespace ebbfs {

class IdCounter {
 public:
  static constexpr std::uint64_t kBlock = 1 << 16;

  // `key` in the meta table. Call open() before anything else.
  IdCounter(Store& store, std::string_view key) : store_(store), key_(key) {}

  // Reads the stored number and reserves the first block. Errors: those of Store; EBADMSG.
  [[nodiscard]] Status open() EXCLUDES(mu_);

  // From 1 upwards. While the store refuses writes for more than half a block, ids are unique in
  // this run only, and cover() fails for them.
  [[nodiscard]] std::uint64_t next() EXCLUDES(mu_);

  // Before anything is stored under `id`, one that next() gave. Errors: those of Store.
  [[nodiscard]] Status cover(std::uint64_t id) EXCLUDES(mu_);

  // `id` is taken: next() gives only higher ones. Before ids are taken. Errors: those of Store.
  [[nodiscard]] Status skip(std::uint64_t id) EXCLUDES(mu_);

  // Adds to `batch` what lets the next open continue without a gap. No id may be taken until it is
  // committed.
  void close_into(Batch& batch) EXCLUDES(mu_);

 private:
  Status reserve_above(std::uint64_t id) EXCLUDES(mu_);

  Store& store_;
  const std::string key_;
  // Relaxed: ids have to differ, not to order anything.
  std::atomic<std::uint64_t> next_{1};
  // What is stored. Changes under mu_ only; read without it, where an old value only costs a call.
  std::atomic<std::uint64_t> reserved_{1};
  Mutex mu_;
};

}  // namespace ebbfs
