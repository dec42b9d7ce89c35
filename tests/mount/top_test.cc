// SPDX-License-Identifier: Apache-2.0
//
// `ebbctl top` on a real mount, and in a terminal.
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <sstream>

#include "tests/support/each_filesystem.h"
#include "tests/support/plain_files.h"

namespace ebbfs::test {
namespace {

using namespace std::chrono_literals;

constexpr const char* kLimitedJobsPolicy = R"(
[volume]
adopt_grace = "0s"
[[class]]
name = "tree"
kind = "tree"
match = ["agents/{job}/*"]
ttl = "24h"
[[quota]]
scope = "job:*"
bytes = "64MiB"
)";

// A program in a terminal of its own.
class InTerminal {
 public:
  InTerminal(const std::vector<std::string>& command, unsigned short columns,
             unsigned short lines) {
    winsize size{.ws_row = lines, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
    pid_ = ::forkpty(&terminal_, nullptr, nullptr, &size);
    if (pid_ != 0) return;
    ::setenv("TERM", "xterm", 1);
    std::vector<char*> words;
    for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    ::execv(words[0], words.data());
    ::_exit(127);
  }
  ~InTerminal() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    ::close(terminal_);
  }
  InTerminal(const InTerminal&) = delete;
  InTerminal& operator=(const InTerminal&) = delete;

  void type(const std::string& keys) const { (void)!::write(terminal_, keys.data(), keys.size()); }
  void resize(unsigned short columns, unsigned short lines) const {
    const winsize size{.ws_row = lines, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
    ::ioctl(terminal_, TIOCSWINSZ, &size);
  }
  // What comes until it says `what`, or for 10 s.
  std::string until(const std::string& what) const {
    std::string out;
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (!out.contains(what) && std::chrono::steady_clock::now() < end) {
      pollfd ready{.fd = terminal_, .events = POLLIN, .revents = 0};
      char buffer[4096];
      if (::poll(&ready, 1, 100) <= 0) continue;
      const ssize_t count = ::read(terminal_, buffer, sizeof buffer);
      if (count <= 0) break;
      out.append(buffer, static_cast<std::size_t>(count));
    }
    return out;
  }
  int exit_code() {
    int status = 0;
    (void)until("\x1b[?1049l");
    if (::waitpid(pid_, &status, 0) != pid_) return -1;
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  int terminal_ = -1;
  pid_t pid_ = 0;
};

// The lines of the last whole screen in `out`, without what moves and colours.
std::vector<std::string> last_screen(std::string out) {
  const std::size_t end = out.rfind("\x1b[J");
  out.resize(end == std::string::npos ? 0 : end);
  out.erase(0, out.rfind("\x1b[H") + 3);
  std::vector<std::string> lines(1);
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (out[i] == '\x1b') {
      while (i < out.size() && !std::isalpha(static_cast<unsigned char>(out[i]))) ++i;
    } else if (out[i] == '\n') {
      lines.emplace_back();
    } else if (out[i] != '\r' && (static_cast<unsigned char>(out[i]) & 0xC0U) != 0x80U) {
      lines.back() += out[i];
    }
  }
  return lines;
}

class TopTest : public OnVolume {
 protected:
  void SetUp() override {
    mount({.policy = kLimitedJobsPolicy});
    if (IsSkipped()) return;
    ASSERT_EQ(shell("mkdir -p agents/ci-1/a agents/ci-2/b", volume_->path()).exit_code, 0);
    ebbctl_ = std::string(std::getenv("EBBFS_BIN_DIR")) + "/ebbctl";
  }
  std::string ebbctl_;
};

TEST_F(TopTest, TellsScriptsWhoWroteHowMuch) {
  const Ran ran = shell(
      "(sleep 0.3; head -c 8M /dev/zero >agents/ci-1/a/f; head -c 2M /dev/zero >agents/ci-2/b/f;"
      " rm agents/ci-1/a/f) & '" +
          ebbctl_ + "' top --json --interval 1500ms .; wait",
      volume_->path());
  ASSERT_EQ(ran.exit_code, 0) << ran.out;
  const auto top = nlohmann::json::parse(ran.out);
  ASSERT_EQ(top["jobs"].size(), 2U) << ran.out;
  EXPECT_EQ(top["jobs"][0]["name"], "ci-1");
  EXPECT_EQ(top["jobs"][0]["bytes_new"], 8 << 20);
  EXPECT_EQ(top["jobs"][0]["bytes_net"], 0);
  EXPECT_EQ(top["jobs"][1]["bytes_net"], 2 << 20);
  EXPECT_EQ(top["users"][0]["name"], "root");
  const double seconds = top["interval_seconds"];
  EXPECT_NEAR(top["jobs"][1]["bytes_new_per_second"].get<double>() * seconds, 2 << 20, 1.0);
  EXPECT_EQ(top["fullest"][0]["scope"], "job:ci-2");
  EXPECT_EQ(top["next"].size(), 2U);
}

TEST_F(TopTest, CountsTheOperationsOfAJob) {
  const Ran ran = shell("(sleep 0.3; for i in $(seq 100); do : >agents/ci-1/a/$i; done) & '" +
                            ebbctl_ + "' top --json --interval 2s .; wait",
                        volume_->path());
  const auto top = nlohmann::json::parse(ran.out);
  EXPECT_GE(top["jobs"][0]["ops"], 100);
  EXPECT_LE(top["jobs"][0]["ops"], 500);
}

TEST_F(TopTest, ShowsAScreenThatFitsAndFollowsTheSizeOfTheTerminal) {
  InTerminal top({ebbctl_, "top", volume_->path()}, 80, 24);
  std::string shown = top.until("EXPIRES");
  for (int frame = 0; frame < 2; ++frame) shown += top.until("\x1b[J");
  const auto screen = last_screen(shown);
  EXPECT_LE(screen.size(), 24U);
  EXPECT_GE(screen.size(), 12U);
  for (const std::string& line : screen) EXPECT_LE(line.size(), 80U) << line;
  top.resize(44, 12);
  shown.clear();
  for (int frame = 0; frame < 3; ++frame) shown += top.until("\x1b[J");
  const auto narrow = last_screen(shown);
  EXPECT_EQ(narrow.size(), 12U);
  top.type("q");
  EXPECT_EQ(top.exit_code(), 0);
}

TEST_F(TopTest, GivesTheTerminalBack) {
  for (const char* key : {"q", "\x03"}) {
    InTerminal top({ebbctl_, "top", volume_->path()}, 80, 24);
    EXPECT_TRUE(top.until("EXPIRES").contains("\x1b[?1049h"));
    top.type(key);
    const std::string end = top.until("\x1b[?1049l");
    EXPECT_TRUE(end.contains("\x1b[?25h")) << "the cursor is back";
    EXPECT_EQ(top.exit_code(), 0);
  }
}

TEST_F(TopTest, EndsWithAMessageWhenTheDaemonDies) {
  InTerminal top({ebbctl_, "top", volume_->path()}, 80, 24);
  (void)top.until("EXPIRES");
  volume_->leave_dead_mount();
  EXPECT_TRUE(top.until("has gone").contains("has gone"));
  EXPECT_EQ(top.exit_code(), 3);
  volume_->kill_daemon();
  volume_->mount();
}

TEST_F(TopTest, SaysHowItIsUsed) {
  EXPECT_EQ(volume_->ebbctl("top --interval 1ms").exit_code, 2);
  EXPECT_NE(volume_->ebbctl("top --once --interval 100ms").out.find("NEW"), std::string::npos);
}

}  // namespace
}  // namespace ebbfs::test
