// SPDX-License-Identifier: Apache-2.0
#include "tests/policy/counted_new.h"

#include <cstdlib>
#include <new>
#include <semaphore>

namespace ebbfs {
namespace {

thread_local long allocations = 0;
thread_local bool stop_in_next = false;
std::binary_semaphore stopped{0};
std::binary_semaphore go_on{0};

void* allocate(std::size_t size) {
  ++allocations;
  if (stop_in_next) {
    stop_in_next = false;
    stopped.release();
    go_on.acquire();
  }
  void* const memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

bool allocations_are_counted() {
  const long before = allocations;
  operator delete(operator new(1));
  return allocations > before;
}
long allocations_of_this_thread() { return allocations; }
void stop_this_thread_in_next_allocation() { stop_in_next = true; }
void wait_for_stopped_thread() { stopped.acquire(); }
void let_stopped_thread_go() { go_on.release(); }

}  // namespace ebbfs

// Weak, as the runtime of a sanitizer may bring its own and then has to win.
[[gnu::weak]] void* operator new(std::size_t size) { return ebbfs::allocate(size); }
[[gnu::weak]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::weak]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
