// SPDX-License-Identifier: Apache-2.0
//
// The small files beside the index that outlive it (in .ebbfs/, each replaced as a whole, synced):
//   pins    pinned units        quotas  limits set at run time          (fs/export_text.h)
//   trust   is there while the index tells the truth, taken away when it begins not to: without it
//           everything is counted again at the next mount. A clean end writes into it how many
//           inodes the filesystem had in use.
// An index that is missing beside `pins` was lost: the first mount makes that file.
//
// Threading: all from any thread, but the constructor. Lock order: mu_ is a leaf.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "index/mutex.h"
#include "index/record.h"
#include "index/result.h"

namespace ebbfs {

class Exports {
 public:
  // Reads what is there. `state_dir`, the open directory .ebbfs, outlives the object.
  explicit Exports(int state_dir);
  // Writes `trust` last, when leave() was called: the index is closed by then.
  ~Exports();
  Exports(const Exports&) = delete;
  Exports& operator=(const Exports&) = delete;

  // As found.
  struct Found {
    bool any = false;  // this volume was mounted before
    bool trusted = false;
    std::optional<std::uint64_t> inodes;  // in use after the last clean end
    std::vector<std::string> pins;
    std::vector<QuotaRecord> quotas;
  };
  [[nodiscard]] const Found& found() const { return found_; }

  // The pins found are more recent than the index: units that it does not know get theirs when
  // they are found in the tree. Until then they stay in the file.
  void pins_wait() EXCLUDES(mu_);
  // The pinned unit at `path` is another one now, as after a restore from a backup: it waits.
  void pin_waits(const std::string& path) EXCLUDES(mu_);
  // True, once, when `path` waits for its pin.
  [[nodiscard]] bool take_pin(const std::string& path) EXCLUDES(mu_);

  // Nothing is written when it is there already. Errors, logged: those of open(2), write(2)...
  Status write_pins(const std::vector<std::string>& paths) EXCLUDES(mu_);
  Status write_quotas(const std::vector<QuotaRecord>& quotas) EXCLUDES(mu_);

  void trust() EXCLUDES(mu_);
  void distrust(std::string_view why) EXCLUDES(mu_);
  // The index is clean and about to be closed. No-op when it is not trusted.
  void leave() EXCLUDES(mu_);

  // Inodes in use on the filesystem, but for those of the index; nothing when that is not known.
  [[nodiscard]] std::optional<std::uint64_t> inodes_in_use() const;

 private:
  [[nodiscard]] std::uint64_t files_of_index() const;
  Status replace(const char* name, const std::string& text) REQUIRES(mu_);

  const int state_dir_;
  Found found_;  // const after construction

  Mutex mu_;
  std::set<std::string> waiting_pins_ GUARDED_BY(mu_);
  std::optional<std::string> pins_written_ GUARDED_BY(mu_);
  std::optional<std::string> quotas_written_ GUARDED_BY(mu_);
  bool trusted_ GUARDED_BY(mu_) = false;
  bool leaving_ GUARDED_BY(mu_) = false;
};

}  // namespace ebbfs
