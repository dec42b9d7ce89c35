// SPDX-License-Identifier: Apache-2.0
#include "fs/proc_scan.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <linux/nsfs.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "fs/backing.h"
#include "fs/mount_table.h"
#include "fs/whole_number.h"

namespace ebbfs {
namespace {

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};
using Dir = std::unique_ptr<DIR, CloseDir>;

Result<Dir> open_dir(int at, const char* path) {
  UniqueFd fd(::openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return fail_errno();
  Dir dir(::fdopendir(fd.get()));
  if (!dir) return fail_errno();
  [[maybe_unused]] const int owned_by_dir = fd.release();
  return dir;
}

// The next name that is a number; nothing at the end.
Result<std::optional<pid_t>> next_number(DIR* dir) {
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(dir);
    if (entry == nullptr) {
      if (errno != 0) return fail_errno();
      return std::nullopt;
    }
    const auto number = whole_number<pid_t>(static_cast<const char*>(entry->d_name));
    if (number) return number;
  }
}

bool vanished(int error) { return error == ENOENT || error == ESRCH; }

constexpr std::size_t kMapsMax = std::size_t{64} << 20U;  // some 600,000 mappings or mounts
constexpr int kLooksMax = 20;
constexpr auto kBetweenLooks = std::chrono::milliseconds(5);

class Scan {
 public:
  Scan(const ProcFiles& proc, const Devices& devices, ProcessLook look, pid_t but)
      : proc_(proc), devices_(devices), look_(look), but_(but) {}

  Result<ProcessUse> run() {
    const auto root = open_dir(proc_.fd(), ".");
    if (!root) return std::unexpected(root.error());
    for (;;) {
      const auto pid = next_number(root->get());
      if (!pid) return std::unexpected(pid.error());
      if (!*pid) return std::move(found_);
      if (**pid == but_) continue;
      if (const auto done = look_into(**pid); !done) {
        spdlog::debug("what=use_unknown pid={} errno={}", **pid, code(done.error()));
        return std::unexpected(done.error());
      }
    }
  }

 private:
  // One process with its threads. The children of a hidden init are hidden as well until they have
  // executed their program, so one that does not show itself is given a moment.
  Status look_into(pid_t pid) {
    for (int look = 1;; ++look) {
      auto done = add_process(pid);
      // A leader that has ended says nothing of its threads.
      if (done || (gone(pid, done.error()) && threads(pid) <= 1)) return {};
      if (!may_look_ || code(done.error()) != EACCES || look == kLooksMax) return done;
      if (pid == 1) return {};
      std::this_thread::sleep_for(kBetweenLooks);
    }
  }

  // Whether a process or thread that could not be read because of `error` has ended.
  [[nodiscard]] bool gone(pid_t tid, Errno error) const {
    if (vanished(code(error))) return true;
    const auto stat = proc_.stat(tid);
    return stat ? stat->state == 'Z' || stat->state == 'X' : vanished(code(stat.error()));
  }

  [[nodiscard]] std::size_t threads(pid_t pid) const {
    struct stat tasks{};
    if (::fstatat(proc_.fd(), fmt::format("{}/task", pid).c_str(), &tasks, 0) != 0) return 0;
    return tasks.st_nlink > 2 ? tasks.st_nlink - 2 : 0;
  }

  Status add_process(pid_t pid) {
    if (auto added = add_links(fmt::format("{}", pid)); !added) return added;
    if (auto added = add_files(fmt::format("{}/fd", pid)); !added) return added;
    if (auto added = add_mounts(fmt::format("{}", pid)); !added) return added;
    const auto maps = add_mapped(fmt::format("{}", pid));
    if (!maps) return std::unexpected(maps.error());
    if (threads(pid) <= 1) return {};
    return add_threads(pid, *maps);
  }

  // Directories and files of threads that do not share them with their leader: all threads, when
  // the leader alone has ended. `mapped`: the memory of all has been looked at.
  Status add_threads(pid_t pid, bool mapped) {
    const auto tasks = open_dir(proc_.fd(), fmt::format("{}/task", pid).c_str());
    if (!tasks) return std::unexpected(tasks.error());
    for (;;) {
      const auto tid = next_number(tasks->get());
      if (!tid) return std::unexpected(tid.error());
      if (!*tid) return {};
      if (**tid == pid) continue;
      const auto path = fmt::format("{}/task/{}", pid, **tid);
      Status added;
      if (!shared(pid, **tid, KCMP_FS)) {
        added = add_links(path);
        if (added) added = add_mounts(path);
      }
      if (added && !shared(pid, **tid, KCMP_FILES)) added = add_files(path + "/fd");
      if (added && !mapped) {
        const auto maps = add_mapped(path);
        if (maps) mapped = *maps;
        if (!maps) added = std::unexpected(maps.error());
      }
      if (!added && !gone(**tid, added.error())) return added;
    }
  }

  static bool shared(pid_t one, pid_t other, int what) {
    return ::syscall(SYS_kcmp, one, other, what, 0, 0) == 0;
  }

  Status add_links(std::string process) {
    const auto size = process.size();
    for (const char* link : {"/cwd", "/root", "/exe"}) {
      process.resize(size);
      process += link;
      // A kernel thread has no exe, a leader that ended before its threads has none of the three.
      if (auto added = add(proc_.fd(), process.c_str()); !added) return added;
    }
    return {};
  }

  Status add_files(const std::string& path) {
    const auto dir = open_dir(proc_.fd(), path.c_str());
    if (!dir) return std::unexpected(dir.error());
    for (;;) {
      const auto fd = next_number(dir->get());
      if (!fd) return std::unexpected(fd.error());
      if (!*fd) return {};
      const fmt::format_int name(**fd);
      if (auto added = add(::dirfd(dir->get()), name.c_str()); !added) return added;
    }
  }

  // Mapped files. False for what has no memory: a kernel thread, a thread that has ended.
  Result<bool> add_mapped(const std::string& process) {
    if (look_ != ProcessLook::all) return true;
    const auto text = read_file_at(proc_.fd(), (process + "/maps").c_str(), kMapsMax);
    if (!text) {
      if (code(text.error()) == ESRCH) return false;
      return std::unexpected(text.error());
    }
    if (text->size() == kMapsMax) return fail(EFBIG);
    for (std::string_view left = *text; !left.empty();) {
      const auto mapped = parse_mapping(take_until(left, '\n'));
      if (!mapped || !is_ours(mapped->device)) continue;
      const auto link = fmt::format("{}/map_files/{:x}-{:x}", process, mapped->start, mapped->end);
      auto added = add(mapped->device, mapped->inode, proc_.fd(), link.c_str());
      // What was mapped before is followed only by privilege over the whole host.
      if (!added && code(added.error()) == EPERM) {
        found_.inodes.insert(mapped->inode);
      } else if (!added) {
        return std::unexpected(added.error());
      }
    }
    return !text->empty();
  }

  // What is mounted upon our filesystem where this process sees it. Processes of one namespace see
  // the same, but for those that have another root.
  Status add_mounts(const std::string& process) {
    if (look_ != ProcessLook::all) return {};
    const auto space = read_link(process + "/ns/mnt");
    if (!space) return unless_vanished(space.error());
    if (own_space_ && *space == *own_space_) return {};
    struct statx root{};
    (void)::statx(proc_.fd(), (process + "/root").c_str(), AT_STATX_DONT_SYNC, STATX_INO, &root);
    auto seen = fmt::format("{} {}:{}:{}", *space, root.stx_dev_major, root.stx_dev_minor,
                            std::uint64_t{root.stx_ino});
    if (spaces_.contains(seen)) return {};
    const auto text = read_file_at(proc_.fd(), (process + "/mountinfo").c_str(), kMapsMax);
    // EINVAL: it has ended, and is in no namespace any more.
    if (!text && code(text.error()) == EINVAL) return {};
    if (!text) return unless_vanished(text.error());
    auto mounted = mounted_upon(*text, devices_.mount);
    if (!mounted || text->size() == kMapsMax) return fail(EBADMSG);
    for (std::string& path : *mounted) found_.mounted_upon.push_back(std::move(path));
    spaces_.insert(std::move(seen));
    return {};
  }

  static Status unless_vanished(Errno error) {
    return vanished(code(error)) ? Status{} : std::unexpected(error);
  }

  [[nodiscard]] Result<std::string> read_link(const std::string& path) const {
    std::array<char, 64> text{};
    const ssize_t size = ::readlinkat(proc_.fd(), path.c_str(), text.data(), text.size());
    if (size < 0) return fail_errno();
    return std::string(text.data(), static_cast<std::size_t>(size));
  }

  // What the link at `path` leads to, if on one of our filesystems.
  Status add(int at, const char* path) {
    struct statx info{};
    constexpr int kFlags = AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT;
    if (::statx(at, path, kFlags, STATX_INO, &info) != 0) {
      const int error = errno;
      if (vanished(error)) return {};
      // A FUSE mount of another user tells root nothing but, when asked for nothing, its device.
      if (error != EACCES || ::statx(at, path, kFlags, 0, &info) != 0 || is_ours(device_of(info))) {
        return fail(error);
      }
      return {};
    }
    return is_ours(device_of(info)) ? add(device_of(info), info.stx_ino, at, path) : Status{};
  }

  // The inode `number` on `device`, one of ours, which the link at `path` leads to.
  Status add(dev_t device, std::uint64_t number, int at, const char* path) {
    if (device == devices_.mount) {
      found_.inodes.insert(number);
      return {};
    }
    if (!beneath_.insert(number).second) return {};
    const auto handle = handle_at(at, path, AT_SYMLINK_FOLLOW);
    if (!handle) {
      beneath_.erase(number);
      return unless_vanished(handle.error());
    }
    found_.inodes.insert(number);
    found_.beneath.push_back(*handle);
    return {};
  }

  static dev_t device_of(const struct statx& info) {
    return makedev(info.stx_dev_major, info.stx_dev_minor);
  }
  [[nodiscard]] bool is_ours(dev_t device) const {
    return device == devices_.mount || (device == devices_.backing && devices_.backing != 0);
  }

  const ProcFiles& proc_;
  const Devices devices_;
  const ProcessLook look_;
  const pid_t but_;
  const bool may_look_ = has_ptrace_capability();
  const Result<std::string> own_space_ = read_link("self/ns/mnt");
  std::unordered_set<std::string> spaces_;  // whose mounts have been looked at
  ProcessUse found_;
  std::unordered_set<std::uint64_t> beneath_;  // numbers of found_.beneath
};

// How many levels the pid namespace `at` lies below `pid_ns`, 0 when it is that one; nothing when
// it does not lie in it.
std::optional<std::size_t> levels_below(UniqueFd at, std::uint64_t pid_ns) {
  for (std::size_t levels = 0; at.valid(); ++levels) {
    struct stat is{};
    if (::fstat(at.get(), &is) != 0) return std::nullopt;
    if (is.st_ino == pid_ns) return levels;
    at = UniqueFd(::ioctl(at.get(), NS_GET_PARENT));  // ends at our own
  }
  return std::nullopt;
}

}  // namespace

std::optional<pid_t> find_in_pid_namespace(const ProcFiles& proc, pid_t ns_pid,
                                           std::uint64_t pid_ns) {
  const auto root = open_dir(proc.fd(), ".");
  if (!root) return std::nullopt;
  std::unordered_map<std::uint64_t, std::optional<std::size_t>> levels;  // by namespace
  for (;;) {
    const auto pid = next_number(root->get());
    if (!pid || !*pid) return std::nullopt;
    const auto own = proc.pid_namespace(**pid);
    if (!own) continue;
    auto below = levels.find(*own);
    if (below == levels.end()) {
      UniqueFd at(
          ::openat(proc.fd(), fmt::format("{}/ns/pid", **pid).c_str(), O_RDONLY | O_CLOEXEC));
      if (!at.valid()) continue;  // it ends, or does not show itself
      below = levels.emplace(*own, levels_below(std::move(at), pid_ns)).first;
    }
    if (!below->second) continue;
    const auto status = proc.status(**pid);
    if (!status || status->ns_pids.size() <= *below->second) continue;
    if (status->ns_pids.rbegin()[static_cast<std::ptrdiff_t>(*below->second)] == ns_pid) {
      return *pid;
    }
  }
}

Result<ProcessUse> scan_in_use(const ProcFiles& proc, const Devices& devices, ProcessLook look,
                               pid_t but) {
  return Scan(proc, devices, look, but).run();
}

pid_t own_pid(const ProcFiles& proc) {
  std::array<char, 32> text{};
  const ssize_t size = ::readlinkat(proc.fd(), "self", text.data(), text.size());
  pid_t pid = 0;
  if (size > 0) std::from_chars(text.data(), text.data() + size, pid);
  return pid;
}

}  // namespace ebbfs
