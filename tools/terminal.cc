// SPDX-License-Identifier: Apache-2.0
#include "tools/terminal.h"

#include <langinfo.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <clocale>
#include <cstdlib>
#include <string_view>

namespace ebbfs {
namespace {

constexpr std::size_t kWidthMin = 40;
constexpr std::size_t kWidthMax = 1000;

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

bool wait_while_read(std::chrono::milliseconds time) {
  pollfd output{.fd = STDOUT_FILENO, .events = 0, .revents = 0};
  return ::poll(&output, 1, static_cast<int>(time.count())) <= 0;
}

}  // namespace ebbfs
