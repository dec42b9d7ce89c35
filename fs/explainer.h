// SPDX-License-Identifier: Apache-2.0
//
// Answers "why is it full": from the history, the journal, what is in memory, and /proc. Walks over
// the units that there are, never over the tree; looks at /proc at most once, and not again within
// kFresh. Root is told of everything, users of what is theirs and of the volume as a whole.
//
// Threading: any thread, holding no lock and inside no unit, and not on a request's thread.
#pragma once

#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "fs/control_explain.h"
#include "fs/control_history.h"
#include "fs/filesystem.h"
#include "fs/sampler.h"
#include "fs/trend.h"
#include "fs/unit_survey.h"
#include "fs/volume.h"
#include "index/mutex.h"

namespace ebbfs {

class Explainer {
 public:
  static constexpr Duration kWindow = std::chrono::days(7);
  static constexpr Duration kFresh = std::chrono::seconds(2);

  // All outlive the object.
  Explainer(Volume& volume, Reaper& reaper, Sampler& sampler)
      : volume_(volume), reaper_(reaper), sampler_(sampler) {}
  Explainer(const Explainer&) = delete;
  Explainer& operator=(const Explainer&) = delete;

  // Before the first question. `device`: as stat(2) shows for files in the mount.
  void set_mounted(dev_t device, std::string mount);

  // Whether `unit` holds work that git has nowhere else, as was found out when it was to be
  // evicted.
  void note_work(const Unit& unit, bool holds) EXCLUDES(mu_);

  // `path`: only units at or below it, "" for all. `since`: how far back, > 0.
  [[nodiscard]] ExplainView explain(const Caller& caller, const std::string& path, Duration since)
      EXCLUDES(mu_, scan_mu_);

  // What was held in the time `since`, > 0, and what is due next (retrospect.cc).
  [[nodiscard]] HistoryView history(const Caller& caller, Duration since);

 private:
  [[nodiscard]] std::optional<Occupants> inside() EXCLUDES(scan_mu_);
  [[nodiscard]] std::vector<SurveyedUnit> survey(const Caller& caller, const std::string& path);
  [[nodiscard]] bool holds_work(const SurveyedUnit& one) const EXCLUDES(mu_);
  // Of those who own units: whose bytes have a hard limit.
  [[nodiscard]] std::set<std::string> limited_users(const std::vector<SurveyedUnit>& units) const;
  void tell_usage(const Trend& trend, ExplainView& view) const;
  void tell_holders(const std::vector<SurveyedUnit>& units, const Trend& trend,
                    ExplainView& view) const;
  void tell_own_user(const Caller& caller, const Trend& trend, ExplainView& view) const;
  void tell_removed(const Caller& caller, const Trend& trend, ExplainView& view) const;
  void tell_held(const std::vector<SurveyedUnit>& units, const Trend& trend,
                 ExplainView& view) const;
  void tell_cleanup(const Trend& trend, ExplainView& view) const;
  void forecast(const Caller& caller, HistoryView& view) const;

  Volume& volume_;
  Reaper& reaper_;
  Sampler& sampler_;
  dev_t device_ = 0;  // set once, before questions come
  std::string mount_;

  Mutex scan_mu_;  // one look at /proc at a time
  std::optional<MonoTime> scanned_ GUARDED_BY(scan_mu_);
  std::optional<Occupants> inside_ GUARDED_BY(scan_mu_);

  mutable Mutex mu_;
  // Units that hold work, as they were last used then.
  std::unordered_map<UnitId, WallTime> work_ GUARDED_BY(mu_);
};

}  // namespace ebbfs
