// SPDX-License-Identifier: Apache-2.0
//
// Takes a lock in a way that a shell cannot, then waits to be killed:
//   lock_holder thread PATH       made by a thread that has ended since
//   lock_holder user UID PATH     made after giving up root
// Prints "ready" when the lock is there.
#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace {

int take(const char* path) {
  const int fd = ::open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
  if (fd < 0) {
    std::perror(path);
    return 1;
  }
  return ::close(fd);
}

}  // namespace

int main(int argc, char** argv) {
  int failed = 1;
  if (argc == 3 && std::strcmp(argv[1], "thread") == 0) {
    std::thread([&] { failed = take(argv[2]); }).join();
  } else if (argc == 4 && std::strcmp(argv[1], "user") == 0) {
    const auto uid = static_cast<uid_t>(std::strtoul(argv[2], nullptr, 10));
    if (::setgid(uid) == 0 && ::setuid(uid) == 0) failed = take(argv[3]);
  } else {
    std::fputs("usage: lock_holder thread PATH | user UID PATH\n", stderr);
    return 2;
  }
  if (failed != 0) return 1;
  std::puts("ready");
  std::fflush(stdout);
  for (;;) ::pause();
}
