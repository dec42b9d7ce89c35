// SPDX-License-Identifier: Apache-2.0
//
// ebbfs: reads the options, goes to the background when asked, runs the daemon.
#include <fcntl.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/sinks/syslog_sink.h>
#include <spdlog/spdlog.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <variant>

#include "fs/daemon.h"
#include "fs/forget.h"
#include "fs/unique_fd.h"

namespace ebbfs {
namespace {

void set_up_log(const Options& options) {
  auto logger = options.foreground ? spdlog::stderr_color_mt("ebbfs")
                                   : spdlog::syslog_logger_mt("ebbfs", "ebbfs", LOG_PID);
  spdlog::set_default_logger(logger);
  if (options.foreground) spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
  spdlog::set_level(spdlog::level::from_str(options.log_level));
}

// Every thread inherits this; one thread of the daemon waits for them.
void block_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, number);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

int run(const Options& options, const std::function<void()>& ready,
        const std::function<void(const std::string&)>& complain) {
  set_up_log(options);
  block_signals();
  const auto result = run_daemon(options, ready);
  if (result) return *result;
  complain(result.error());
  return 1;
}

void write_all(int fd, const std::string& text) {
  [[maybe_unused]] const ssize_t written = ::write(fd, text.data(), text.size());
}

// The child mounts and stays. It says one line through the pipe: nothing when mounted, else why
// not.
int run_in_background(const Options& options) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    std::perror("ebbfs: pipe");
    return 1;
  }
  UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) {
    std::perror("ebbfs: fork");
    return 1;
  }
  if (child == 0) {
    reader.reset();
    // Whoever supervises the one that started us is not told of us.
    ::unsetenv("NOTIFY_SOCKET");
    ::setsid();
    [[maybe_unused]] const int moved = ::chdir("/");
    const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    for (const int standard : {0, 1, 2}) ::dup2(null.get(), standard);
    const auto ready = [&] {
      write_all(writer.get(), "mounted\n");
      writer.reset();
    };
    return run(options, ready, [&](const std::string& why) { write_all(writer.get(), why); });
  }
  writer.reset();
  std::string said;
  char buffer[4096];
  for (ssize_t count = 0; (count = ::read(reader.get(), buffer, sizeof buffer)) > 0;) {
    said.append(buffer, static_cast<std::size_t>(count));
  }
  if (said == "mounted\n") {
    // Returns when the mount answers.
    struct statvfs ignored;
    if (::statvfs(options.mountpoint.c_str(), &ignored) == 0) return 0;
    said = "mounted, but it does not answer; see the log";
  }
  if (said.empty()) said = "the daemon ended while mounting; see the log (journalctl -t ebbfs)";
  std::fprintf(stderr, "ebbfs: %s\n", said.c_str());
  return 1;
}

}  // namespace
}  // namespace ebbfs

int main(int argc, char** argv) {
  const auto parsed = ebbfs::parse_options(argc, argv);
  if (const auto* stop = std::get_if<ebbfs::OptionsExit>(&parsed)) {
    std::fputs(stop->text.c_str(), stop->exit_code == 0 ? stdout : stderr);
    return stop->exit_code;
  }
  const auto& options = std::get<ebbfs::Options>(parsed);
  if (options.forget) return ebbfs::forget_volume(options.mountpoint, options.yes);
  if (!options.foreground) return ebbfs::run_in_background(options);
  return ebbfs::run(
      options, [] {},
      [](const std::string& why) { std::fprintf(stderr, "ebbfs: %s\n", why.c_str()); });
}
