// SPDX-License-Identifier: Apache-2.0
//
// ebbfs as it is, in the foreground, with kill points before its two doors to the disk.
#include <execinfo.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <variant>

#include "fs/daemon.h"
#include "tests/crash/daemon/kill_points.h"

// A thread that nobody joined says nothing of where it was.
[[noreturn]] static void tell_where() {
  void* frames[64];
  ::backtrace_symbols_fd(frames, ::backtrace(frames, 64), 2);
  std::abort();
}

int main(int argc, char** argv) {
  const auto parsed = ebbfs::parse_options(argc, argv);
  if (const auto* stop = std::get_if<ebbfs::OptionsExit>(&parsed)) {
    std::fputs(stop->text.c_str(), stderr);
    return stop->exit_code;
  }
  spdlog::set_default_logger(spdlog::stderr_color_mt("ebbfs"));
  std::set_terminate(tell_where);
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, number);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  const ebbfs::test::KillPoints points;
  std::unique_ptr<ebbfs::test::KillingStore> store;
  ebbfs::Seams seams;
  seams.open_backing = [&](const std::string& directory, const ebbfs::AccessTimes& access) {
    return ebbfs::test::open_killing_backing(points, directory, access);
  };
  seams.before_store = [&](ebbfs::Store& below) -> ebbfs::Store& {
    store = std::make_unique<ebbfs::test::KillingStore>(points, below);
    return *store;
  };
  const auto ended = ebbfs::run_daemon(std::get<ebbfs::Options>(parsed), [] {}, seams);
  if (ended) return *ended;
  std::fprintf(stderr, "ebbfs: %s\n", ended.error().c_str());
  return 1;
}
