// SPDX-License-Identifier: Apache-2.0
//
// Locks with the annotations that let clang check lock discipline (-Wthread-safety); the standard
// library's own carry none. Use only these types for locks, and only the scoped ones to take them.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <shared_mutex>

#if defined(__SANITIZE_THREAD__)
#define EBBFS_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define EBBFS_TSAN 1
#endif
#endif

#if defined(__clang__)
#define EBBFS_TSA(x) __attribute__((x))
#else
#define EBBFS_TSA(x)
#endif

#define CAPABILITY(x) EBBFS_TSA(capability(x))
#define SCOPED_CAPABILITY EBBFS_TSA(scoped_lockable)
#define GUARDED_BY(x) EBBFS_TSA(guarded_by(x))
#define PT_GUARDED_BY(x) EBBFS_TSA(pt_guarded_by(x))
#define REQUIRES(...) EBBFS_TSA(requires_capability(__VA_ARGS__))
#define REQUIRES_SHARED(...) EBBFS_TSA(requires_shared_capability(__VA_ARGS__))
#define EXCLUDES(...) EBBFS_TSA(locks_excluded(__VA_ARGS__))
#define ACQUIRE(...) EBBFS_TSA(acquire_capability(__VA_ARGS__))
#define ACQUIRE_SHARED(...) EBBFS_TSA(acquire_shared_capability(__VA_ARGS__))
#define TRY_ACQUIRE(...) EBBFS_TSA(try_acquire_capability(__VA_ARGS__))
#define RELEASE(...) EBBFS_TSA(release_capability(__VA_ARGS__))
#define RELEASE_GENERIC(...) EBBFS_TSA(release_generic_capability(__VA_ARGS__))
#define RETURN_CAPABILITY(x) EBBFS_TSA(lock_returned(x))
#define NO_THREAD_SAFETY_ANALYSIS EBBFS_TSA(no_thread_safety_analysis)

namespace ebbfs {

#ifdef EBBFS_TSAN
inline constexpr bool kUnderThreadSanitizer = true;
#else
inline constexpr bool kUnderThreadSanitizer = false;
#endif

#ifdef EBBFS_TSAN
// So that the sanitizer sees who takes which lock after which.
using PlainMutex = std::mutex;
#else
// As std::mutex, in 4 bytes and not 40: there are two in each inode and each unit. Free, held, or
// held with somebody waiting (U. Drepper, "Futexes Are Tricky", the third of its kind).
class PlainMutex {
 public:
  void lock() {
    if (try_lock()) return;
    while (state_.exchange(kAwaited, std::memory_order_acquire) != kFree) {
      state_.wait(kAwaited, std::memory_order_relaxed);
    }
  }
  bool try_lock() {
    int free = kFree;
    return state_.compare_exchange_strong(free, kHeld, std::memory_order_acquire,
                                          std::memory_order_relaxed);
  }
  void unlock() {
    // By then it may be gone, with all around it: waking up needs no more than its address.
    if (state_.exchange(kFree, std::memory_order_release) == kAwaited) state_.notify_one();
  }

 private:
  static constexpr int kFree = 0;
  static constexpr int kHeld = 1;
  static constexpr int kAwaited = 2;
  std::atomic<int> state_{kFree};
};
static_assert(sizeof(PlainMutex) == 4);
#endif

// Exclusive lock.
class CAPABILITY("mutex") Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void lock() ACQUIRE() { mu_.lock(); }
  void unlock() RELEASE() { mu_.unlock(); }
  bool try_lock() TRY_ACQUIRE(true) { return mu_.try_lock(); }

 private:
  friend class CondVar;
  PlainMutex mu_;
};

// Reader-writer lock.
class CAPABILITY("shared_mutex") SharedMutex {
 public:
  SharedMutex() = default;
  SharedMutex(const SharedMutex&) = delete;
  SharedMutex& operator=(const SharedMutex&) = delete;

  void lock() ACQUIRE() { mu_.lock(); }
  void unlock() RELEASE() { mu_.unlock(); }
  void lock_shared() ACQUIRE_SHARED() { mu_.lock_shared(); }
  void unlock_shared() RELEASE_GENERIC() { mu_.unlock_shared(); }

 private:
  std::shared_mutex mu_;
};

class SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mu) ACQUIRE(mu) : mu_(mu) { mu_.lock(); }
  ~MutexLock() RELEASE() { mu_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mu_;
};

// Takes the lock, or, when `wait` is false and it is held, does not: then `!lock` is true and the
// caller must return at once without touching what the lock guards (clang is told it is held).
class SCOPED_CAPABILITY PatientLock {
 public:
  PatientLock(Mutex& mu, bool wait) ACQUIRE(mu) NO_THREAD_SAFETY_ANALYSIS : mu_(mu) {
    held_ = wait ? (mu_.lock(), true) : mu_.try_lock();
  }
  ~PatientLock() RELEASE() NO_THREAD_SAFETY_ANALYSIS {
    if (held_) mu_.unlock();
  }
  PatientLock(const PatientLock&) = delete;
  PatientLock& operator=(const PatientLock&) = delete;
  explicit operator bool() const { return held_; }

 private:
  Mutex& mu_;
  bool held_;
};

class SCOPED_CAPABILITY WriterLock {
 public:
  explicit WriterLock(SharedMutex& mu) ACQUIRE(mu) : mu_(mu) { mu_.lock(); }
  ~WriterLock() RELEASE() { mu_.unlock(); }
  WriterLock(const WriterLock&) = delete;
  WriterLock& operator=(const WriterLock&) = delete;

 private:
  SharedMutex& mu_;
};

class SCOPED_CAPABILITY ReaderLock {
 public:
  explicit ReaderLock(SharedMutex& mu) ACQUIRE_SHARED(mu) : mu_(mu) { mu_.lock_shared(); }
  ~ReaderLock() RELEASE_GENERIC() { mu_.unlock_shared(); }
  ReaderLock(const ReaderLock&) = delete;
  ReaderLock& operator=(const ReaderLock&) = delete;

 private:
  SharedMutex& mu_;
};

// Condition variable bound to Mutex. Waits may wake spuriously: call them in a loop.
class CondVar {
 public:
  void wait(Mutex& mu) REQUIRES(mu) NO_THREAD_SAFETY_ANALYSIS { cv_.wait(mu.mu_); }
  // False when `deadline` passed without a wake-up.
  template <typename Clock, typename Duration>
  bool wait_until(Mutex& mu, std::chrono::time_point<Clock, Duration> deadline)
      REQUIRES(mu) NO_THREAD_SAFETY_ANALYSIS {
    return cv_.wait_until(mu.mu_, deadline) == std::cv_status::no_timeout;
  }
  void notify_one() { cv_.notify_one(); }
  void notify_all() { cv_.notify_all(); }

 private:
  std::condition_variable_any cv_;
};

}  // namespace ebbfs
