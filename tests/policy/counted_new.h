// SPDX-License-Identifier: Apache-2.0
//
// operator new of this test program, replaced: counts what a thread allocates, and can stop a
// thread inside, and so inside whatever lock it allocates under. Any thread; one at a time stopped.
#pragma once

namespace ebbfs {

// False where a sanitizer has put its own operator new in place: nothing below works then.
[[nodiscard]] bool allocations_are_counted();

// How often the calling thread has allocated so far.
[[nodiscard]] long allocations_of_this_thread();

// The calling thread stops in its next allocation until let_stopped_thread_go().
void stop_this_thread_in_next_allocation();
// Waits until a thread has stopped.
void wait_for_stopped_thread();
void let_stopped_thread_go();

}  // namespace ebbfs
