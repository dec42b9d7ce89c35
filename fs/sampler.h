// SPDX-License-Identifier: Apache-2.0
//
// Writes the history of the volume (index/history.h): a sample a minute, from a thread of its own.
// Costs a pass over the units in memory and one commit; no request takes part. A gap is only a gap:
// the daemon was not there, or the index took no changes. Samples are spaced by the monotonic
// clock and named by the wall clock, so a clock that is set moves names and not the pace.
//
// Threading: all from any thread. Lock order: `mu_`, then what taking a sample reads.
#pragma once

#include <memory>
#include <thread>
#include <vector>

#include "fs/reaper.h"
#include "fs/removal_tally.h"
#include "fs/trash.h"
#include "fs/volume.h"
#include "index/history.h"

namespace ebbfs {

class Sampler {
 public:
  // All outlive the sampler; `store` is where the history is. Errors: those of the store.
  [[nodiscard]] static Result<std::unique_ptr<Sampler>> open(Volume& volume, const Trash& trash,
                                                             Reaper& reaper, Store& store);
  ~Sampler();  // stops
  Sampler(const Sampler&) = delete;
  Sampler& operator=(const Sampler&) = delete;

  // Once the volume is loaded.
  void start() EXCLUDES(mu_);
  void stop() EXCLUDES(mu_);

  // Takes a sample and stores it: of the thread, and of tests without one.
  [[nodiscard]] Status sample() EXCLUDES(mu_);
  // As it is now, with what was removed since the newest sample of a minute. Stores nothing.
  [[nodiscard]] HistorySample now() EXCLUDES(mu_);

  [[nodiscard]] const History& history() const { return history_; }

 private:
  Sampler(Volume& volume, const Trash& trash, Reaper& reaper, Store& store, History::Bounds bounds)
      : volume_(volume), trash_(trash), reaper_(reaper), history_(store, bounds) {}

  void run() EXCLUDES(mu_);
  // Goes on counting removals where the history ends.
  [[nodiscard]] Status resume(WallTime now) REQUIRES(mu_);
  [[nodiscard]] HistorySample take() const;
  [[nodiscard]] Status store(History::Tier tier, HistorySample sample, RemovalTally& tally)
      REQUIRES(mu_);
  [[nodiscard]] bool hour_is_over(WallTime now) const;
  void sample_space(HistorySample& sample) const;
  void sample_scopes(HistorySample& sample) const;
  void sample_units(HistorySample& sample) const;
  [[nodiscard]] HistorySample::Cleanup cleanup(WallTime now) const;

  Volume& volume_;
  const Trash& trash_;
  Reaper& reaper_;
  History history_;

  Mutex mu_;
  CondVar wake_;
  bool stopping_ GUARDED_BY(mu_) = false;
  bool resumed_ GUARDED_BY(mu_) = false;
  RemovalTally minute_ GUARDED_BY(mu_);  // removals since the newest sample of each tier
  RemovalTally hour_ GUARDED_BY(mu_);
  std::thread thread_;
};

}  // namespace ebbfs
