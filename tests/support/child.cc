// SPDX-License-Identifier: Apache-2.0
#include "tests/support/child.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <thread>

namespace ebbfs {
namespace {

constexpr int kWaitMs = 5000;

void require(bool done, const char* what) {
  if (done) return;
  std::perror(what);
  std::abort();
}

// With a number of its own choosing; EEXIST where that is taken.
pid_t fork_with_pid(pid_t pid) {
  if (pid == 0) return ::fork();
  clone_args args{};
  args.exit_signal = SIGCHLD;
  args.set_tid = reinterpret_cast<std::uintptr_t>(&pid);
  args.set_tid_size = 1;
  return static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof args));
}

// A thread that was joined keeps its number for another moment.
pid_t fork_once_free(pid_t pid) {
  pid_t child = fork_with_pid(pid);
  for (int waited = 0; child < 0 && errno == EEXIST && waited < kWaitMs; ++waited) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    child = fork_with_pid(pid);
  }
  return child;
}

// In a child: runs `body` and ends without the parent's exit handlers.
[[noreturn]] void run_and_end(const std::function<int()>& body, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // The parent may have died before that call.
  if (parent != 0 && ::getppid() != parent) std::_Exit(120);
  std::_Exit(body());
}

}  // namespace

void ChildProcess::Talk::tell(pid_t number) const {
  require(::write(out_, &number, sizeof number) == sizeof number, "tell");
}

void ChildProcess::Talk::wait() const {
  char byte = 0;
  if (::read(in_, &byte, 1) != 1) std::_Exit(121);  // the test has ended
}

void ChildProcess::Talk::wait_for_ever() const {
  for (;;) wait();
}

ChildProcess::ChildProcess(const std::function<int(const Talk&)>& body, pid_t pid) {
  std::array<int, 2> down{};
  std::array<int, 2> up{};
  require(::pipe2(down.data(), O_CLOEXEC) == 0 && ::pipe2(up.data(), O_CLOEXEC) == 0, "pipe2");
  const UniqueFd child_in(down[0]);
  const UniqueFd child_out(up[1]);
  out_.reset(down[1]);
  in_.reset(up[0]);
  const pid_t self = ::getpid();
  pid_ = fork_once_free(pid);
  require(pid_ >= 0, "fork");
  if (pid_ != 0) return;
  in_.reset();
  out_.reset();
  run_and_end([&] { return body(Talk(child_in.get(), child_out.get())); }, self);
}

ChildProcess::ChildProcess()
    : ChildProcess([](const Talk& talk) -> int { talk.wait_for_ever(); }) {}

bool ChildProcess::can_choose_pid() {
  // One that is in use is refused for another reason.
  const pid_t pid = fork_with_pid(::getpid());
  if (pid == 0) std::_Exit(0);
  return pid < 0 && errno == EEXIST;
}

ChildProcess::~ChildProcess() {
  if (reaped_) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

pid_t ChildProcess::hear() const {
  require(becomes_readable(in_.get()), "child says nothing");
  pid_t number = 0;
  require(::read(in_.get(), &number, sizeof number) == sizeof number, "hear");
  return number;
}

void ChildProcess::go_on() const { require(::write(out_.get(), "", 1) == 1, "go_on"); }

void ChildProcess::kill(int signal) const {
  require(::kill(pid_, signal) == 0, "kill");
  wait_end();
}

void ChildProcess::wait_end() const {
  siginfo_t info{};
  require(::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT) == 0, "waitid");
}

int ChildProcess::reap() {
  int status = 0;
  require(::waitpid(pid_, &status, 0) == pid_, "waitpid");
  reaped_ = true;
  return status;
}

pid_t fork_again(const std::function<int()>& body) {
  // No look at the parent: in a new pid namespace it has no number.
  const pid_t pid = ::fork();
  require(pid >= 0, "fork");
  if (pid == 0) run_and_end(body, 0);
  return pid;
}

int run_with_thread(const ChildProcess::Talk& talk) {
  std::thread([&] {
    talk.tell(::gettid());
    talk.wait();
  }).join();
  talk.tell(0);
  talk.wait_for_ever();
}

void exec_command(std::vector<std::string> command) {
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (auto& word : command) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  ::execvp(arguments.front(), arguments.data());
  std::_Exit(127);
}

bool becomes_readable(int fd) {
  pollfd poll_fd{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&poll_fd, 1, kWaitMs) == 1;
}

bool is_readable(int fd) {
  pollfd poll_fd{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&poll_fd, 1, 0) == 1;
}

bool becomes_true(const std::function<bool()>& condition) {
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::milliseconds(kWaitMs);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > give_up) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace ebbfs
