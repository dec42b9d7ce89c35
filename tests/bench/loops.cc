// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/loops.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>

#include "fs/unique_fd.h"

namespace ebbfs::bench {
namespace {

void check(bool done, const char* what) {
  if (!done) throw std::runtime_error(std::string(what) + ": " + std::strerror(errno));
}

class Watch {
 public:
  [[nodiscard]] double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// Names "f0", "f1"... without an allocation in the loop.
struct Name {
  explicit Name(int number) { std::snprintf(text, sizeof text, "f%d", number); }
  char text[16];
};

UniqueFd open_directory(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  check(fd.valid(), "open directory");
  return fd;
}

void write_new(int dir, const char* name, const char* data, std::size_t bytes) {
  const UniqueFd fd(::openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  check(fd.valid(), "create");
  check(::write(fd.get(), data, bytes) == static_cast<ssize_t>(bytes), "write");
}

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};
using Listing = std::unique_ptr<DIR, CloseDirectory>;

Listing listing_of(int fd) {
  Listing listing(::fdopendir(fd));
  check(listing != nullptr, "fdopendir");
  return listing;
}

bool is_dot(const char* name) {
  return std::strcmp(name, ".") == 0 || std::strcmp(name, "..") == 0;
}

int walk_below(int fd) {
  const Listing listing = listing_of(fd);
  int files = 0;
  while (const dirent* entry = ::readdir(listing.get())) {
    if (is_dot(entry->d_name)) continue;
    struct stat found;
    check(::fstatat(::dirfd(listing.get()), entry->d_name, &found, AT_SYMLINK_NOFOLLOW) == 0,
          "stat");
    if (S_ISDIR(found.st_mode)) {
      const int child = ::openat(::dirfd(listing.get()), entry->d_name, O_RDONLY | O_DIRECTORY);
      check(child >= 0, "open directory");
      files += walk_below(child);
    } else {
      ++files;
    }
  }
  return files;
}

void check_count(int found, int expected) {
  if (found == expected) return;
  throw std::runtime_error("found " + std::to_string(found) + " files, expected " +
                           std::to_string(expected));
}

}  // namespace

double make_files(const std::string& directory, int count, std::size_t bytes) {
  check(::mkdir(directory.c_str(), 0755) == 0, "mkdir");
  const UniqueFd dir = open_directory(directory);
  const std::string data(bytes, 'x');
  const Watch watch;
  for (int i = 0; i < count; ++i) write_new(dir.get(), Name(i).text, data.data(), bytes);
  return watch.seconds();
}

double read_files(const std::string& directory, int count, std::size_t bytes) {
  const UniqueFd dir = open_directory(directory);
  std::string data(bytes, '\0');
  const Watch watch;
  for (int i = 0; i < count; ++i) {
    const UniqueFd fd(::openat(dir.get(), Name(i).text, O_RDONLY | O_CLOEXEC));
    check(fd.valid(), "open");
    check(::read(fd.get(), data.data(), bytes) == static_cast<ssize_t>(bytes), "read");
  }
  return watch.seconds();
}

double statfs_calls(const std::string& directory, int count) {
  const UniqueFd dir = open_directory(directory);
  const Watch watch;
  for (int i = 0; i < count; ++i) {
    struct statvfs space;
    check(::fstatvfs(dir.get(), &space) == 0, "statvfs");
  }
  return watch.seconds();
}

double stat_files(const std::string& directory, int count) {
  const UniqueFd dir = open_directory(directory);
  const Watch watch;
  for (int i = 0; i < count; ++i) {
    struct stat found;
    check(::fstatat(dir.get(), Name(i).text, &found, AT_SYMLINK_NOFOLLOW) == 0, "stat");
  }
  return watch.seconds();
}

double remove_files(const std::string& directory, int count) {
  const UniqueFd dir = open_directory(directory);
  const Watch watch;
  for (int i = 0; i < count; ++i) check(::unlinkat(dir.get(), Name(i).text, 0) == 0, "unlink");
  return watch.seconds();
}

double lock_cycles(const std::string& directory, int count) {
  const UniqueFd dir = open_directory(directory);
  const std::string name = "job-" + std::to_string(::getpid()) + ".lock";
  const std::string pid = std::to_string(::getpid()) + "\n";
  const Watch watch;
  for (int i = 0; i < count; ++i) {
    write_new(dir.get(), name.c_str(), pid.data(), pid.size());
    check(::unlinkat(dir.get(), name.c_str(), 0) == 0, "unlink");
  }
  return watch.seconds();
}

double list_names(const std::string& directory, int expected) {
  const Watch watch;
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  check(fd >= 0, "open directory");
  const Listing listing = listing_of(fd);
  int names = 0;
  while (const dirent* entry = ::readdir(listing.get())) names += is_dot(entry->d_name) ? 0 : 1;
  const double seconds = watch.seconds();
  check_count(names, expected);
  return seconds;
}

double walk(const std::string& directory, int expected) {
  const Watch watch;
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  check(fd >= 0, "open directory");
  const int files = walk_below(fd);
  const double seconds = watch.seconds();
  check_count(files, expected);
  return seconds;
}

double in_processes(int processes, const std::function<void(int)>& work) {
  // All start when the pipe's writing end is closed.
  int ends[2];
  check(::pipe(ends) == 0, "pipe");
  for (int i = 0; i < processes; ++i) {
    const pid_t child = ::fork();
    check(child >= 0, "fork");
    if (child != 0) continue;
    ::close(ends[1]);
    char nothing;
    (void)!::read(ends[0], &nothing, 1);
    int status = 0;
    try {
      work(i);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s\n", error.what());
      status = 1;
    }
    ::_exit(status);
  }
  ::close(ends[0]);
  const Watch watch;
  ::close(ends[1]);
  bool done = true;
  for (int i = 0; i < processes; ++i) {
    int status = 0;
    check(::wait(&status) > 0, "wait");
    done &= status == 0;
  }
  const double seconds = watch.seconds();
  if (!done) throw std::runtime_error("a process failed");
  return seconds;
}

void fill(const std::string& directory, int directories, int files) {
  for (int d = 0; d < directories; ++d) {
    const std::string path = directory + "/d" + std::to_string(d);
    check(::mkdir(path.c_str(), 0755) == 0, "mkdir");
    const UniqueFd dir = open_directory(path);
    for (int f = 0; f < files; ++f) {
      check(::mknodat(dir.get(), Name(f).text, S_IFREG | 0644, 0) == 0, "mknod");
    }
  }
}

}  // namespace ebbfs::bench
