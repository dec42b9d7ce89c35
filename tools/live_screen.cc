// SPDX-License-Identifier: Apache-2.0
#include "tools/live_screen.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <string>

namespace ebbfs {
namespace {

// Another screen, no cursor, no wrapping; and back.
constexpr std::string_view kEnter = "\x1b[?1049h\x1b[?25l\x1b[?7l";
constexpr std::string_view kLeave = "\x1b[?7h\x1b[?25h\x1b[?1049l";
constexpr std::array kEnding = {SIGINT, SIGTERM, SIGHUP};

// Written by the handler only.
volatile std::sig_atomic_t asked_to_end = 0;
volatile std::sig_atomic_t size_changed = 0;

void note(int signal) {
  if (signal == SIGWINCH) {
    size_changed = 1;
  } else {
    asked_to_end = 1;
  }
}

void put(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

}  // namespace

LiveScreen::LiveScreen() {
  struct sigaction action{};
  action.sa_handler = note;
  for (const int signal : kEnding) ::sigaction(signal, &action, nullptr);
  ::sigaction(SIGWINCH, &action, nullptr);
  termios mode{};
  if (::tcgetattr(STDIN_FILENO, &mode) == 0) {
    before_ = mode;
    mode.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    // Stopped, it would leave the terminal as it is now.
    mode.c_cc[VSUSP] = _POSIX_VDISABLE;
    ::tcsetattr(STDIN_FILENO, TCSANOW, &mode);
  }
  put(kEnter);
}

LiveScreen::~LiveScreen() {
  put(kLeave);
  if (before_) ::tcsetattr(STDIN_FILENO, TCSANOW, &*before_);
}

// Over what is there, line by line, so that nothing flickers.
void LiveScreen::show(std::string_view frame) {
  std::string out = "\x1b[H";
  while (!frame.empty()) {
    const std::size_t end = frame.find('\n');
    if (!out.ends_with("\x1b[H")) out += "\r\n";
    out.append(frame.substr(0, end)).append("\x1b[K");
    frame.remove_prefix(end == std::string_view::npos ? frame.size() : end + 1);
  }
  put(out + "\x1b[J");
}

LiveScreen::Woken LiveScreen::wait(std::chrono::milliseconds time) {
  // Held back but while waiting, so that none comes between the look and the wait.
  sigset_t ours;
  ::sigemptyset(&ours);
  ::sigaddset(&ours, SIGWINCH);
  for (const int signal : kEnding) ::sigaddset(&ours, signal);
  sigset_t before;
  ::pthread_sigmask(SIG_BLOCK, &ours, &before);
  std::array<pollfd, 2> ends = {
      {{.fd = STDOUT_FILENO, .events = 0, .revents = 0},
       {.fd = before_ ? STDIN_FILENO : -1, .events = POLLIN, .revents = 0}}};
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  const timespec timeout{.tv_sec = seconds.count(),
                         .tv_nsec = std::chrono::nanoseconds(time - seconds).count()};
  if (asked_to_end == 0 && size_changed == 0) {
    (void)::ppoll(ends.data(), ends.size(), &timeout, &before);
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (asked_to_end != 0 || ends[0].revents != 0) return Woken::quit;
  if (ends[1].revents != 0) {
    std::array<char, 32> keys{};
    const ssize_t count = ::read(STDIN_FILENO, keys.data(), keys.size());
    if (count <= 0 && errno != EINTR) return Woken::quit;
    const std::string_view typed(keys.data(),
                                 static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    return typed.find_first_of("qQ\x03") == std::string_view::npos ? Woken::resized : Woken::quit;
  }
  if (size_changed == 0) return Woken::in_time;
  size_changed = 0;
  return Woken::resized;
}

}  // namespace ebbfs
