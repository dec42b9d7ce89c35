// SPDX-License-Identifier: Apache-2.0
//
// Memory that a test shares with the daemon it is going to kill. The daemon counts what it changes
// on disk (each changing call on the backing tree, each batch of the index) and kills itself in the
// gap that the test names: after so many changes since the count was set to zero, 0 being before
// the first. A test that raises the number until the operation comes through has been in every gap
// there is, and none can be forgotten. It can also be made to hold every mkdir and every sync, as a
// slow disk does, and to fail, shorten or slow down one kind of call, as a dying one does.
// Threading: any thread of both processes; one fault at a time, set while no request is under way.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "fs/unique_fd.h"

namespace ebbfs::test {

// Path of the file that holds the board, in the environment of the daemon.
inline constexpr const char* kBoardVariable = "EBBFS_KILL_BOARD";

struct KillBoard {
  static constexpr std::uint32_t kNever = UINT32_MAX;
  static constexpr std::size_t kNameMax = 120;
  static constexpr std::size_t kSeenMax = 256;
  using Name = std::array<char, kNameMax>;

  std::atomic<std::uint32_t> die_after{kNever};
  std::atomic<std::uint32_t> passed{0};  // changes made
  std::atomic<bool> died{false};
  std::atomic<bool> hold{false};
  std::atomic<std::uint32_t> held{0};  // that wait because of it
  std::array<Name, kSeenMax> seen{};   // what the first of them were

  // The fault: what happens to each call that is named `fault_call`, while `fault_left` is not 0.
  Name fault_call{};
  std::atomic<std::uint32_t> fault_left{0};
  std::atomic<int> fault_errno{0};            // 0: the call is made
  std::atomic<std::uint32_t> fault_ms{0};     // after so long
  std::atomic<std::uint32_t> fault_bytes{0};  // and with no more than this, unless 0
  std::atomic<std::uint32_t> faults{0};       // that there were

  [[nodiscard]] std::string what(std::uint32_t change) const {
    return change < kSeenMax ? std::string(seen[change].data()) : std::string("...");
  }
};

// The test's end: makes the file, and maps it until it goes out of scope.
class KillSwitch {
 public:
  explicit KillSwitch(std::string file);  // throws std::runtime_error
  ~KillSwitch();
  KillSwitch(const KillSwitch&) = delete;
  KillSwitch& operator=(const KillSwitch&) = delete;

  // From now on: dies once `changes` more are made.
  void arm(std::uint32_t changes);
  void disarm() { board_->die_after = KillBoard::kNever; }
  // From now on: mkdirs and syncs wait in the daemon, until told otherwise.
  void hold(bool hold) { board_->hold = hold; }
  [[nodiscard]] std::uint32_t held() const { return board_->held; }
  // From now on, until mend(): `call` (create, mkdir, write, read, sync, commit... as in what())
  // ...
  void fail(std::string_view call, int error) { set_fault(call, error, 0, 0); }
  void slow(std::string_view call, std::uint32_t ms) { set_fault(call, 0, ms, 0); }
  void shorten(std::string_view call, std::uint32_t bytes) { set_fault(call, 0, 0, bytes); }
  void mend() { board_->fault_left = 0; }
  [[nodiscard]] std::uint32_t faults() const { return board_->faults; }
  [[nodiscard]] bool fired() const { return board_->died; }
  [[nodiscard]] std::uint32_t passed() const { return board_->passed; }
  // The gap after `changes` of them: "mkdir d | commit units".
  [[nodiscard]] std::string gap(std::uint32_t changes) const;
  // For VolumeOptions::launcher.
  [[nodiscard]] std::string launcher() const {
    return "env " + std::string(kBoardVariable) + "=" + file_;
  }

 private:
  void set_fault(std::string_view call, int error, std::uint32_t ms, std::uint32_t bytes);

  const std::string file_;
  KillBoard* board_ = nullptr;
};

}  // namespace ebbfs::test
