// SPDX-License-Identifier: Apache-2.0
#include "tests/mount/torture_workers.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "fs/unique_fd.h"
#include "tests/support/plain_files.h"

namespace ebbfs::test {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kPiece = 64 << 10;
// A pause after ENOSPC, which has had its reclaim and its deadline already.
constexpr auto kWhenFull = 20ms;

// One worker's view of the volume.
class Worker {
 public:
  Worker(std::string root, TortureBoard& board) : board_(board), root_(std::move(root)) {}

 protected:
  [[nodiscard]] std::string at(const std::string& relative) const { return root_ + "/" + relative; }
  void wrong(const std::string& what) const {
    std::fprintf(stderr, "torture: %s: %s\n", what.c_str(), std::strerror(errno));
    ++board_.wrong;
  }
  void require(bool holds, const std::string& what) const {
    if (!holds) wrong(what);
  }
  // Opens, which no cache answers.
  [[nodiscard]] static bool there(const std::string& path) {
    return UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)).valid();
  }

  // Appends `size` bytes, waiting while there is no space. False when another error comes.
  [[nodiscard]] bool append(int fd, std::size_t size) const {
    static const std::string kBytes(kPiece, 'x');
    while (size > 0) {
      const ssize_t done = ::write(fd, kBytes.data(), std::min(size, kPiece));
      if (done > 0) {
        size -= static_cast<std::size_t>(done);
      } else if (errno == ENOSPC) {
        ++board_.full;
        std::this_thread::sleep_for(kWhenFull);
      } else {
        return false;
      }
    }
    return true;
  }

  // A file that is new: waits for space for its inode, too.
  [[nodiscard]] UniqueFd created(const std::string& path) const {
    for (;;) {
      UniqueFd fd(::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644));
      if (fd.valid() || errno != ENOSPC) return fd;
      ++board_.full;
      std::this_thread::sleep_for(kWhenFull);
    }
  }
  [[nodiscard]] bool made(const std::string& directory) const {
    while (::mkdir(directory.c_str(), 0755) != 0) {
      if (errno != ENOSPC) return false;
      ++board_.full;
      std::this_thread::sleep_for(kWhenFull);
    }
    return true;
  }
  // Never has to wait for space.
  void take_lock(const std::string& path, std::size_t size) const {
    const std::string content(size, '\n');
    const UniqueFd fd(::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644));
    require(fd.valid(), "no lock " + path);
    require(::write(fd.get(), content.data(), size) == static_cast<ssize_t>(size),
            "nothing can be written to lock " + path);
  }

  TortureBoard& board_;

 private:
  const std::string root_;
};

class Writer : Worker {
 public:
  Writer(const std::string& root, TortureBoard& board, int writer, unsigned seed)
      : Worker(root, board),
        mine_(board.writers.at(static_cast<std::size_t>(writer))),
        writer_(writer),
        random_(seed) {}

  void make_a_unit() {
    const std::string name = torture_name(writer_, ++mine_.n);
    const std::string unit = at("worktrees/" + name);
    const std::string lock = at("locks/" + name);
    take_lock(lock, 6);
    require(made(unit), "no unit " + unit);
    std::vector<std::string> files;
    Clock::time_point last_use{};
    {
      const UniqueFd held = created(unit + "/held");
      require(held.valid(), "no file in unit " + unit);
      const auto count = 2 + random_() % 6;
      while (files.size() < count) {
        last_use = Clock::now();
        files.push_back(unit + "/" + std::to_string(files.size()));
        fill(files.back());
      }
      // Room or not: removing works.
      require(::unlink(files.back().c_str()) == 0, "cannot remove " + files.back());
      files.pop_back();
      require(whole(files), "what is busy was removed: " + unit);
    }
    require(there(lock), "the lock of a live process was removed: " + lock);
    std::this_thread::sleep_for(std::chrono::milliseconds(random_() % 100));
    const bool left = whole(files);
    // Looked at too late, it may well be gone.
    require(left || Clock::now() - last_use >= kTortureKeep, "what is young was removed: " + unit);
    require(there(lock), "the lock of a live process was removed: " + lock);
    require(::unlink(lock.c_str()) == 0, "cannot remove lock " + lock);
    ++mine_.units;
  }

 private:
  void fill(const std::string& path) {
    const std::size_t size = kPiece + random_() % (16 * kPiece);
    const UniqueFd fd = created(path);
    require(fd.valid() && append(fd.get(), size), "cannot write " + path);
    mine_.bytes += static_cast<std::int64_t>(size);
  }
  [[nodiscard]] static bool whole(const std::vector<std::string>& files) {
    for (const std::string& file : files) {
      if (!there(file)) return false;
    }
    return true;
  }

  TortureBoard::Writer& mine_;
  const int writer_;
  std::mt19937 random_;
};

class Locker : Worker {
 public:
  using Worker::Worker;
  void cycle() {
    const int full_before = board_.full;
    const std::string file = at("locks/file");
    take_lock(file, 4096);
    require(there(file), "the lock of a live process was removed: " + file);
    require(::unlink(file.c_str()) == 0, "cannot remove lock " + file);
    const std::string directory = at("locks/directory");
    require(::mkdir(directory.c_str(), 0755) == 0, "no lock " + directory);
    require(::rmdir(directory.c_str()) == 0, "cannot remove lock " + directory);
    ++board_.lock_cycles;
    if (board_.full != full_before) ++board_.locks_at_full;
    std::this_thread::sleep_for(1ms);
  }
};

class Hog : Worker {
 public:
  using Worker::Worker;
  void take_all() {
    const std::string unit = at("worktrees/hog" + std::to_string(++n_));
    const std::string path = unit + "/all";
    require(made(unit), "no unit " + unit);
    {
      const UniqueFd fd = created(path);
      const std::string bytes(kPiece, 'h');
      while (::write(fd.get(), bytes.data(), bytes.size()) > 0) {
      }
      require(errno == ENOSPC, "cannot write " + path);
      ++board_.full;
      std::this_thread::sleep_for(100ms);
      require(there(path), "what is busy was removed: " + path);
      require(::unlink(path.c_str()) == 0, "cannot remove " + path);
    }
    require(::rmdir(unit.c_str()) == 0, "cannot remove " + unit);
    // The others' turn.
    std::this_thread::sleep_for(1s);
  }

 private:
  int n_ = 0;
};

class Limited : Worker {
 public:
  using Worker::Worker;
  void reach_the_limit() {
    const std::string path = at("worktrees/limited/file");
    const UniqueFd fd(::open(path.c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644));
    require(fd.valid() || errno == ENOSPC, "cannot open " + path);
    if (fd.valid()) {
      if (append(fd.get(), 2 * kTortureLimit)) wrong("the limit was passed");
      require(errno == EDQUOT, "cannot write " + path);
      ++board_.met_limit;
      struct stat status{};
      require(::fstat(fd.get(), &status) == 0 && status.st_size <= kTortureLimit,
              "the limit was passed");
    }
    std::this_thread::sleep_for(50ms);
  }
};

}  // namespace

TortureBoard& TortureBoard::make() {
  void* memory = ::mmap(nullptr, sizeof(TortureBoard), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) std::abort();
  return *new (memory) TortureBoard{};
}

std::string torture_name(int writer, int n) {
  return "w" + std::to_string(writer) + "-" + std::to_string(n);
}

void write_for_ever(const std::string& root, TortureBoard& board, int writer, unsigned seed) {
  for (Writer worker(root, board, writer, seed);;) worker.make_a_unit();
}
void lock_for_ever(const std::string& root, TortureBoard& board) {
  for (Locker worker(root, board);;) worker.cycle();
}
void hog_for_ever(const std::string& root, TortureBoard& board) {
  for (Hog worker(root, board);;) worker.take_all();
}
void reach_limit_for_ever(const std::string& root, TortureBoard& board) {
  for (Limited worker(root, board);;) worker.reach_the_limit();
}

}  // namespace ebbfs::test
