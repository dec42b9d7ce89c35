// SPDX-License-Identifier: Apache-2.0
//
// Waits for signals on a thread of its own, as a handler could do next to nothing: SIGTERM and
// SIGINT ask the daemon to stop, SIGHUP to read its policy again. All three are blocked in every
// thread. Threading: made and destroyed by one thread; the callbacks run on its own.
#pragma once

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <csignal>
#include <functional>
#include <thread>
#include <utility>

namespace ebbfs {

class SignalThread {
 public:
  SignalThread(std::function<void()> stop, std::function<void()> reload)
      : stop_(std::move(stop)), reload_(std::move(reload)), thread_([this] { wait(); }) {}
  ~SignalThread() {
    ending_.store(true);
    // Blocked in every thread: it only ends the sigwait.
    ::pthread_kill(thread_.native_handle(), SIGTERM);  // NOLINT(bugprone-bad-signal-to-kill-thread)
    thread_.join();
  }
  SignalThread(const SignalThread&) = delete;
  SignalThread& operator=(const SignalThread&) = delete;

 private:
  void wait() {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, number);
    for (;;) {
      int number = 0;
      if (::sigwait(&signals, &number) != 0) continue;
      if (ending_.load()) return;
      if (number == SIGHUP) {
        reload_();
      } else {
        spdlog::info("event=stopping signal={}", number);
        stop_();
      }
    }
  }

  const std::function<void()> stop_;
  const std::function<void()> reload_;
  std::atomic<bool> ending_{false};  // set by another thread, once
  std::thread thread_;
};

}  // namespace ebbfs
