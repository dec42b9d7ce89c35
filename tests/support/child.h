// SPDX-License-Identifier: Apache-2.0
//
// A real child process that a test runs, asks and ends. What cannot be done aborts the test
// program: nothing after it would mean anything. Killed and reaped when it goes out of scope, and
// killed by the kernel should the test program die. Threading: none of its own.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "fs/unique_fd.h"

namespace ebbfs {

class ChildProcess {
 public:
  // The child's end of the conversation.
  class Talk {
   public:
    Talk(int in, int out) : in_(in), out_(out) {}
    void tell(pid_t number) const;  // what hear() in the parent returns
    void wait() const;              // for the parent's go_on()
    // Never returns.
    [[noreturn]] void wait_for_ever() const;

   private:
    int in_;
    int out_;
  };

  // Runs `body` in a child; its result is the exit status. `pid`: the number that the child must
  // have, which must be free (clone3 set_tid, needs CAP_CHECKPOINT_RESTORE); 0 for any.
  explicit ChildProcess(const std::function<int(const Talk&)>& body, pid_t pid = 0);
  // A child that only waits.
  ChildProcess();
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // Whether a number may be asked for.
  [[nodiscard]] static bool can_choose_pid();

  [[nodiscard]] pid_t pid() const { return pid_; }
  // The next number that it tells.
  pid_t hear() const;
  void go_on() const;
  // Ends it and waits until it is a zombie.
  void kill(int signal = 9) const;
  // Waits until it is a zombie.
  void wait_end() const;
  // Its wait status; it is gone altogether afterwards.
  int reap();

 private:
  pid_t pid_ = 0;
  bool reaped_ = false;
  UniqueFd in_;
  UniqueFd out_;
};

// As ChildProcess::ChildProcess, for a child's child: forks, runs `body`, and returns the pid. Dies
// with its parent.
pid_t fork_again(const std::function<int()>& body);

// For a child: runs a second thread, tells its id, lets it end when told to go on, tells 0, and
// stays.
int run_with_thread(const ChildProcess::Talk& talk);

// Replaces the calling process by `command`, found in $PATH.
[[noreturn]] void exec_command(std::vector<std::string> command);

// Whether `fd` becomes readable within 5 s.
[[nodiscard]] bool becomes_readable(int fd);
[[nodiscard]] bool is_readable(int fd);

// Whether `condition` becomes true within 5 s; asked every millisecond.
[[nodiscard]] bool becomes_true(const std::function<bool()>& condition);

}  // namespace ebbfs
