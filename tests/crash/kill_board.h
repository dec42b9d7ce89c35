// SPDX-License-Identifier: Apache-2.0
//
// Memory that a test shares with the daemon it is going to kill. The daemon counts what it changes
// on disk (each changing call on the backing tree, each batch of the index) and kills itself in the
// gap that the test names: after so many changes since the count was set to zero, 0 being before
// the first. A test that raises the number until the operation comes through has been in every gap
// there is, and none can be forgotten. It can also be made to hold every mkdir, as a slow disk
// does. Threading: any thread of both processes.
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
  std::atomic<bool> hold_mkdir{false};
  std::atomic<std::uint32_t> held{0};  // that wait because of it
  std::array<Name, kSeenMax> seen{};   // what the first of them were

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
  // From now on: mkdirs wait in the daemon, until told otherwise.
  void hold_mkdir(bool hold) { board_->hold_mkdir = hold; }
  [[nodiscard]] std::uint32_t held() const { return board_->held; }
  [[nodiscard]] bool fired() const { return board_->died; }
  [[nodiscard]] std::uint32_t passed() const { return board_->passed; }
  // The gap after `changes` of them: "mkdir d | commit units".
  [[nodiscard]] std::string gap(std::uint32_t changes) const;
  // For VolumeOptions::launcher.
  [[nodiscard]] std::string launcher() const {
    return "env " + std::string(kBoardVariable) + "=" + file_;
  }

 private:
  const std::string file_;
  KillBoard* board_ = nullptr;
};

}  // namespace ebbfs::test
