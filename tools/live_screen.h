// SPDX-License-Identifier: Apache-2.0
//
// The whole terminal for a while: what was on it is back when the object goes, however that comes
// about but by SIGKILL. One at a time; single-threaded.
#pragma once

#include <termios.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace ebbfs {

class LiveScreen {
 public:
  // Standard output is a terminal. Keys are taken from standard input where that is one, too.
  LiveScreen();
  ~LiveScreen();
  LiveScreen(const LiveScreen&) = delete;
  LiveScreen& operator=(const LiveScreen&) = delete;

  // Replaces what is shown. Lines that are too long are cut.
  void show(std::string_view frame);

  enum class Woken : std::uint8_t {
    in_time,
    resized,
    quit,  // q, Ctrl-C, SIGTERM or SIGHUP, or the terminal is gone
  };
  // Waits for `time`, or for a reason not to.
  [[nodiscard]] Woken wait(std::chrono::milliseconds time);

 private:
  std::optional<termios> before_;  // as the terminal was; nothing where there are no keys
};

}  // namespace ebbfs
