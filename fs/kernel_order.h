// SPDX-License-Identifier: Apache-2.0
//
// What the thread sanitizer cannot see: the kernel sends a request on an open file only after it
// has been told that the file is open, and its release after the answers to all others. Nothing in
// any other build.
#pragma once

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define EBBFS_THREAD_SANITIZER
#endif
#elif defined(__SANITIZE_THREAD__)
#define EBBFS_THREAD_SANITIZER
#endif

#ifdef EBBFS_THREAD_SANITIZER
#include <sanitizer/tsan_interface.h>
#endif

namespace ebbfs {

#ifdef EBBFS_THREAD_SANITIZER
inline char kernel_order;
// Before an answer.
inline void tells_kernel() { __tsan_release(&kernel_order); }
// In a request that follows from an answer.
inline void told_by_kernel() { __tsan_acquire(&kernel_order); }
#else
inline void tells_kernel() {}
inline void told_by_kernel() {}
#endif

}  // namespace ebbfs
