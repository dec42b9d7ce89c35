// SPDX-License-Identifier: Apache-2.0
#include "tests/mount/random_session.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <random>

#include "tests/support/plain_files.h"

namespace ebbfs::test {
namespace {

class Session {
 public:
  Session(std::string root, unsigned seed) : root_(std::move(root)), random_(seed) {}

  // Whether something was done.
  bool step() {
    constexpr std::array kOperations{
        &Session::make_dir, &Session::write,    &Session::write,    &Session::write,
        &Session::append,   &Session::resize,   &Session::allocate, &Session::punch,
        &Session::remove,   &Session::remove,   &Session::move,     &Session::move,
        &Session::exchange, &Session::link,     &Session::symlink,  &Session::special,
        &Session::own,      &Session::hold,     &Session::release,  &Session::copy,
        &Session::nameless, &Session::attribute};
    return (this->*kOperations[below(kOperations.size())])();
  }

 private:
  std::size_t below(std::size_t limit) { return random_() % limit; }

  // Few names, so that they meet.
  std::string name() { return std::string(1, static_cast<char>('a' + below(8))); }
  std::string path() {
    constexpr std::array kTops{"units/", "units/", "other/", "plain/", "locks/"};
    std::string path = root_ + "/" + kTops[below(kTops.size())] + name();
    for (std::size_t depth = below(4); depth > 0; --depth) path += "/" + name();
    return path;
  }
  off_t size() { return static_cast<off_t>(below(3) == 0 ? below(400000) : below(9000)); }
  UniqueFd open(int flags) {
    return UniqueFd(::open(path().c_str(), flags | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW, 0666));
  }

  bool make_dir() { return ::mkdir(path().c_str(), 0777) == 0; }
  bool write() {
    const UniqueFd fd = open(O_WRONLY | O_CREAT | (below(2) == 0 ? O_TRUNC : 0));
    const std::string bytes(below(20000), 'w');
    return fd.valid() && ::pwrite(fd.get(), bytes.data(), bytes.size(), size()) >= 0;
  }
  bool append() {
    const UniqueFd fd = open(O_WRONLY | O_APPEND);
    const std::string bytes(below(5000), 'a');
    return fd.valid() && ::write(fd.get(), bytes.data(), bytes.size()) >= 0;
  }
  bool resize() { return ::truncate(path().c_str(), size()) == 0; }
  bool allocate() {
    const UniqueFd fd = open(O_WRONLY);
    return fd.valid() && ::fallocate(fd.get(), 0, size(), size() + 1) == 0;
  }
  bool punch() {
    const UniqueFd fd = open(O_WRONLY);
    constexpr int kMode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    return fd.valid() && ::fallocate(fd.get(), kMode, size(), size() + 1) == 0;
  }
  bool remove() { return std::remove(path().c_str()) == 0; }
  bool move() { return ::rename(path().c_str(), path().c_str()) == 0; }
  bool exchange() {
    return ::renameat2(AT_FDCWD, path().c_str(), AT_FDCWD, path().c_str(), RENAME_EXCHANGE) == 0;
  }
  bool link() { return ::link(path().c_str(), path().c_str()) == 0; }
  bool symlink() { return ::symlink("target", path().c_str()) == 0; }
  bool special() {
    const mode_t kind = below(2) == 0 ? S_IFIFO : S_IFREG;
    return ::mknod(path().c_str(), kind | 0666, 0) == 0;
  }
  bool own() {
    const uid_t user = below(2) == 0 ? kAlice : kBob;
    return ::lchown(path().c_str(), user, below(2) == 0 ? kAlice : kBob) == 0;
  }
  // Files that stay open while their names move and go.
  bool hold() {
    held_[below(held_.size())] = open(O_RDWR | O_CREAT);
    return true;
  }
  bool release() {
    UniqueFd& fd = held_[below(held_.size())];
    const bool written = fd.valid() && ::pwrite(fd.get(), "held", 4, size()) == 4;
    if (below(2) == 0) fd.reset();
    return written;
  }
  bool copy() {
    const UniqueFd from = open(O_RDONLY);
    const UniqueFd to = open(O_WRONLY | O_CREAT);
    off_t offset = size();
    return from.valid() && to.valid() &&
           ::copy_file_range(from.get(), nullptr, to.get(), &offset, 100000, 0) >= 0;
  }
  bool nameless() {
    const UniqueFd fd(::open(path().c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0666));
    if (!fd.valid() || ::ftruncate(fd.get(), size()) != 0) return false;
    const std::string self = "/proc/self/fd/" + std::to_string(fd.get());
    return ::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path().c_str(), AT_SYMLINK_FOLLOW) == 0;
  }
  bool attribute() {
    const std::string target = path();
    return ::lsetxattr(target.c_str(), "user.a", "value", 5, 0) == 0;
  }

  const std::string root_;
  std::mt19937 random_;
  std::array<UniqueFd, 5> held_;
};

// A stretch of steps of one user; what succeeded, up to 200.
int run_stretch(const std::string& root, unsigned seed, int steps, const Identity& who) {
  return as(who, [&] {
    ::umask(0);
    Session session(root, seed);
    int done = 0;
    for (int step = 0; step < steps; ++step) done += session.step() ? 1 : 0;
    return std::min(done, 200);
  });
}

}  // namespace

bool run_random_session(const std::string& root, unsigned seed, int steps) {
  constexpr int kStretch = 250;
  int done = 0;
  unsigned round = 0;
  for (int step = 0; step < steps; step += kStretch, ++round) {
    if (::access(root.c_str(), F_OK) != 0) break;
    // Every third stretch as root, who may also give files away.
    const Identity who = round % 3 == 0 ? Identity{} : round % 3 == 1 ? alice() : bob();
    done += run_stretch(root, seed + round * 7919, std::min(kStretch, steps - step), who);
  }
  return done > steps / 20;
}

}  // namespace ebbfs::test
