// SPDX-License-Identifier: Apache-2.0
//
// How long requests took, by operation, from when a handler began until the answer was given: also
// of those that a worker answers, or that wait for space. Two readings of the clock and two
// additions a request; requests about the virtual files are not measured.
//
// A request that is traced carries what is to be told of it in the end.
//
// Threading: all from any thread. A thread adds to a shard that it mostly has to itself.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>

#include "fs/request_counts.h"
#include "index/types.h"

namespace ebbfs {

class RequestTimes {
 public:
  // Upper ends of the buckets; one more has no end.
  static constexpr std::array<std::int64_t, 12> kBoundsNs = {
      10'000,     30'000,     100'000,     300'000,     1'000'000,     3'000'000,
      10'000'000, 30'000'000, 100'000'000, 300'000'000, 1'000'000'000, 3'000'000'000};
  static constexpr std::size_t kBuckets = kBoundsNs.size() + 1;

  struct Histogram {
    std::array<std::uint64_t, kBuckets> counts{};  // of each bucket by itself
    Duration sum{};
    [[nodiscard]] std::uint64_t count() const {
      std::uint64_t all = 0;
      for (const std::uint64_t one : counts) all += one;
      return all;
    }
  };

  RequestTimes() = default;
  RequestTimes(const RequestTimes&) = delete;
  RequestTimes& operator=(const RequestTimes&) = delete;

  void add(RequestKind kind, Duration took) {
    // Relaxed: a count orders nothing. Which shard is a thread's is decided once.
    thread_local const std::size_t kOwn = next_.fetch_add(1, std::memory_order_relaxed) % kShards;
    Row& row = shards_[kOwn].rows[static_cast<std::size_t>(kind)];
    row.counts[bucket_of(took)].fetch_add(1, std::memory_order_relaxed);
    row.sum.fetch_add(took.count(), std::memory_order_relaxed);
  }
  [[nodiscard]] Histogram of(RequestKind kind) const {
    Histogram all;
    for (const Shard& shard : shards_) {
      const Row& row = shard.rows[static_cast<std::size_t>(kind)];
      for (std::size_t i = 0; i < kBuckets; ++i) {
        all.counts[i] += row.counts[i].load(std::memory_order_relaxed);
      }
      all.sum += Duration(row.sum.load(std::memory_order_relaxed));
    }
    return all;
  }

  // Most requests are in the first ones.
  [[nodiscard]] static constexpr std::size_t bucket_of(Duration took) {
    std::size_t bucket = 0;
    while (bucket < kBoundsNs.size() && took.count() > kBoundsNs[bucket]) ++bucket;
    return bucket;
  }

 private:
  static constexpr std::size_t kShards = 16;
  struct Row {
    std::array<std::atomic<std::uint64_t>, kBuckets> counts{};
    std::atomic<std::int64_t> sum{0};
  };
  struct alignas(64) Shard {
    std::array<Row, kRequestKinds> rows{};
  };
  std::array<Shard, kShards> shards_;
  std::atomic<std::size_t> next_{0};
};

// One request while its handler runs. When the handler leaves the answer to somebody else, that one
// takes over the measurement with `hand_over`, and reports it to `done`.
class RequestTimer {
 public:
  struct Begun {
    RequestKind kind{};
    MonoTime at{};
    std::function<void(Duration took)> tell{};  // empty unless it is traced
  };

  RequestTimer(RequestTimes& times, RequestKind kind)
      : times_(times), begun_{kind, std::chrono::steady_clock::now(), {}} {
    current() = this;
  }
  ~RequestTimer() {
    current() = nullptr;
    if (!handed_over_) done(times_, begun_);
  }
  RequestTimer(const RequestTimer&) = delete;
  RequestTimer& operator=(const RequestTimer&) = delete;

  void tell(std::function<void(Duration took)> told) { begun_.tell = std::move(told); }

  // Of the handler that runs on this thread; there is one.
  [[nodiscard]] static Begun hand_over() {
    RequestTimer* const timer = current();
    if (timer == nullptr) return {};
    timer->handed_over_ = true;
    return std::move(timer->begun_);
  }
  static void done(RequestTimes& times, const Begun& begun) {
    if (begun.at == MonoTime{}) return;
    const Duration took = std::chrono::steady_clock::now() - begun.at;
    times.add(begun.kind, took);
    if (begun.tell) [[unlikely]] {
      begun.tell(took);
    }
  }

 private:
  static RequestTimer*& current() {
    thread_local RequestTimer* timer = nullptr;
    return timer;
  }

  RequestTimes& times_;
  Begun begun_;
  bool handed_over_ = false;
};

}  // namespace ebbfs
