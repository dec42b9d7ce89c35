// SPDX-License-Identifier: Apache-2.0
//
// What stands between ebbfs and the disk in the daemon of the crash tests: passes everything on,
// counts each change, and kills the daemon in the gap that the test asked for, or brings the fault
// that it asked for (see tests/crash/kill_board.h).
// Threading: as Backing and Store say.
#pragma once

#include <memory>
#include <string>

#include "fs/backing.h"
#include "index/store.h"
#include "tests/crash/kill_board.h"

namespace ebbfs::test {

// Counts the changes of the program, on the board that its environment names.
class KillPoints {
 public:
  KillPoints();
  // To be called around a change: before it, and after it has been made.
  void before() const;
  void after(const std::string& what) const;
  // To be called before a mkdir or a sync.
  void hold() const;
  // To be called before any call that is not to fail by itself: waits as the board says, and gives
  // the error to answer with instead of making it.
  [[nodiscard]] Status fault(std::string_view call) const;
  // As many bytes as the board lets through.
  [[nodiscard]] std::size_t length(std::string_view call, std::size_t wanted) const;

 private:
  [[nodiscard]] bool at_fault(std::string_view call) const;

  KillBoard* board_ = nullptr;
};

[[nodiscard]] Result<std::unique_ptr<Backing>> open_killing_backing(const KillPoints& points,
                                                                    const std::string& directory,
                                                                    const AccessTimes& access);

class KillingStore final : public Store {
 public:
  // Both outlive it.
  KillingStore(const KillPoints& points, Store& below) : points_(points), below_(below) {}

  [[nodiscard]] Result<std::optional<std::string>> get(Table table, std::string_view key) override {
    return below_.get(table, key);
  }
  [[nodiscard]] Status scan(Table table, std::string_view from, const Visitor& visit) override {
    return below_.scan(table, from, visit);
  }
  [[nodiscard]] Status commit(const Batch& batch, Durability durability) override;

 private:
  const KillPoints& points_;
  Store& below_;
};

}  // namespace ebbfs::test
