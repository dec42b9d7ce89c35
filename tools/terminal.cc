// SPDX-License-Identifier: Apache-2.0
#include "tools/terminal.h"

#include <langinfo.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <clocale>
#include <csignal>
#include <cstdlib>
#include <string_view>

namespace ebbfs {
namespace {

constexpr std::size_t kWidthMin = 40;
constexpr std::size_t kWidthMax = 1000;

// How often; written by the handler only.
volatile std::sig_atomic_t signalled = 0;
// timeout(1) sends a signal twice: to the program, and to its group.
constexpr std::sig_atomic_t kImpatient = 3;
constexpr int kEndedBySignal = 130;

void note_signal(int /*signal*/) {
  const std::sig_atomic_t times = signalled + 1;
  signalled = times;
  if (times >= kImpatient) ::_exit(kEndedBySignal);
}

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool speaks_utf8() {
  std::setlocale(LC_CTYPE, "");
  if (std::string_view(::nl_langinfo(CODESET)) == "UTF-8") return true;
  // Paths are UTF-8 all the same, and their widths are wanted.
  std::setlocale(LC_CTYPE, "C.UTF-8");
  return false;
}

}  // namespace

Style standard_output() {
  Style style;
  style.unicode = speaks_utf8();
  style.terminal = ::isatty(STDOUT_FILENO) == 1;
  if (style.terminal) {
    winsize size{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
      style.width = size.ws_col;
      style.height = size.ws_row;
    }
    style.color = environment("NO_COLOR").empty() && environment("TERM") != "dumb";
  } else if (const std::string_view columns = environment("COLUMNS"); !columns.empty()) {
    std::from_chars(columns.data(), columns.data() + columns.size(), style.width);
  }
  style.width = std::clamp(style.width, kWidthMin, kWidthMax);
  return style;
}

void end_wait_on_signal() {
  struct sigaction action{};
  action.sa_handler = note_signal;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

bool wait_while_read(std::chrono::milliseconds time) {
  // Held back but while waiting, so that none comes between the look and the wait.
  sigset_t both;
  ::sigemptyset(&both);
  ::sigaddset(&both, SIGINT);
  ::sigaddset(&both, SIGTERM);
  sigset_t before;
  ::pthread_sigmask(SIG_BLOCK, &both, &before);
  pollfd output{.fd = STDOUT_FILENO, .events = 0, .revents = 0};
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  const timespec timeout{.tv_sec = seconds.count(),
                         .tv_nsec = std::chrono::nanoseconds(time - seconds).count()};
  const bool ready = signalled != 0 || ::ppoll(&output, 1, &timeout, &before) > 0;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return !ready && signalled == 0;
}

}  // namespace ebbfs
