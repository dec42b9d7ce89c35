// SPDX-License-Identifier: Apache-2.0
//
// What a thread of libfuse does to its end. Threading: begins and ends on the thread it is about.
#pragma once

#include <pthread.h>

namespace ebbfs {

// libfuse ends the threads of its rings by pthread_cancel(3), at the next call that may block. In a
// handler, or in what logs for libfuse, that would unwind through destructors and catch clauses,
// and std::terminate; so it has to wait.
class NotCancelled {
 public:
  NotCancelled() { ::pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before_); }
  ~NotCancelled() { ::pthread_setcancelstate(before_, nullptr); }
  NotCancelled(const NotCancelled&) = delete;
  NotCancelled& operator=(const NotCancelled&) = delete;

 private:
  int before_ = PTHREAD_CANCEL_ENABLE;
};

}  // namespace ebbfs
