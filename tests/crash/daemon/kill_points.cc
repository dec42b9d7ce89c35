// SPDX-License-Identifier: Apache-2.0
#include "tests/crash/daemon/kill_points.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <type_traits>

#include "index/schema.h"

namespace ebbfs::test {
namespace {

class KillingBacking final : public Backing {
 public:
  explicit KillingBacking(const KillPoints& points) : points_(points) {}
  [[nodiscard]] Status attach_to(const std::string& directory, const AccessTimes& access) {
    return attach(directory, access);
  }

  [[nodiscard]] Result<UniqueFd> open_at(int dir, const char* name, int flags,
                                         mode_t mode) const override {
    const bool makes = (flags & (O_CREAT | O_TRUNC)) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
    if (!makes) return look("open", [&] { return Backing::open_at(dir, name, flags, mode); });
    return change("create", name, [&] { return Backing::open_at(dir, name, flags, mode); });
  }
  [[nodiscard]] Status make_directory(int dir, const char* name, mode_t mode) const override {
    points_.hold();
    return change("mkdir", name, [&] { return Backing::make_directory(dir, name, mode); });
  }
  [[nodiscard]] Status make_node(int dir, const char* name, mode_t mode, dev_t dev) const override {
    return change("mknod", name, [&] { return Backing::make_node(dir, name, mode, dev); });
  }
  [[nodiscard]] Status make_symlink(const char* target, int dir, const char* name) const override {
    return change("symlink", name, [&] { return Backing::make_symlink(target, dir, name); });
  }
  [[nodiscard]] Status link(int fd, int dir, const char* name) const override {
    return change("link", name, [&] { return Backing::link(fd, dir, name); });
  }
  [[nodiscard]] Status unlink(int dir, const char* name) const override {
    return change("unlink", name, [&] { return Backing::unlink(dir, name); });
  }
  [[nodiscard]] Status remove_directory(int dir, const char* name) const override {
    return change("rmdir", name, [&] { return Backing::remove_directory(dir, name); });
  }
  [[nodiscard]] Status rename(int dir, const char* name, int to_dir, const char* to_name,
                              unsigned flags) const override {
    return change("rename", std::string(name) + ">" + to_name,
                  [&] { return Backing::rename(dir, name, to_dir, to_name, flags); });
  }
  [[nodiscard]] Result<std::size_t> write(int fd, std::span<const std::byte> from,
                                          off_t offset) const override {
    const std::size_t length = points_.length("write", from.size());
    return change("write", {}, [&] { return Backing::write(fd, from.first(length), offset); });
  }
  [[nodiscard]] Status truncate(int fd, off_t size) const override {
    return change("truncate", {}, [&] { return Backing::truncate(fd, size); });
  }
  [[nodiscard]] Status allocate(int fd, int mode, off_t offset, off_t length) const override {
    return change("fallocate", {}, [&] { return Backing::allocate(fd, mode, offset, length); });
  }
  [[nodiscard]] Result<std::size_t> copy(int from, off_t from_offset, int to, off_t to_offset,
                                         std::size_t length) const override {
    return change("copy", {},
                  [&] { return Backing::copy(from, from_offset, to, to_offset, length); });
  }
  [[nodiscard]] Status change_mode(int fd, mode_t mode) const override {
    return change("chmod", {}, [&] { return Backing::change_mode(fd, mode); });
  }
  [[nodiscard]] Status change_owner(int fd, uid_t uid, gid_t gid) const override {
    return change("chown", {}, [&] { return Backing::change_owner(fd, uid, gid); });
  }
  [[nodiscard]] Status change_times(int fd, const timespec times[2]) const override {
    return change("utimens", {}, [&] { return Backing::change_times(fd, times); });
  }
  [[nodiscard]] Status set_xattr(int fd, const char* name, std::span<const std::byte> value,
                                 int flags) const override {
    return change("setxattr", name, [&] { return Backing::set_xattr(fd, name, value, flags); });
  }
  [[nodiscard]] Status remove_xattr(int fd, const char* name) const override {
    return change("removexattr", name, [&] { return Backing::remove_xattr(fd, name); });
  }

  // What changes nothing.
  [[nodiscard]] Result<UniqueFd> open_handle(const FileHandle& handle, int flags) const override {
    return look("open_handle", [&] { return Backing::open_handle(handle, flags); });
  }
  [[nodiscard]] Result<Attributes> stat(int fd, const char* name) const override {
    return look("stat", [&] { return Backing::stat(fd, name); });
  }
  [[nodiscard]] Result<std::string> read_link(int fd) const override {
    return look("readlink", [&] { return Backing::read_link(fd); });
  }
  [[nodiscard]] Result<std::size_t> read(int fd, std::span<std::byte> into,
                                         off_t offset) const override {
    const std::size_t length = points_.length("read", into.size());
    return look("read", [&] { return Backing::read(fd, into.first(length), offset); });
  }
  [[nodiscard]] Result<off_t> seek(int fd, off_t offset, int whence) const override {
    return look("seek", [&] { return Backing::seek(fd, offset, whence); });
  }
  [[nodiscard]] Status sync(int fd, bool data_only) const override {
    points_.hold();
    return look("sync", [&] { return Backing::sync(fd, data_only); });
  }
  [[nodiscard]] Result<std::size_t> get_xattr(int fd, const char* name,
                                              std::span<std::byte> into) const override {
    return look("getxattr", [&] { return Backing::get_xattr(fd, name, into); });
  }
  [[nodiscard]] Result<std::size_t> list_xattr(int fd, std::span<std::byte> into) const override {
    return look("listxattr", [&] { return Backing::list_xattr(fd, into); });
  }

 private:
  template <typename Act>
  std::invoke_result_t<const Act&> look(const char* call, const Act& act) const {
    if (const auto fault = points_.fault(call); !fault) return std::unexpected(fault.error());
    return act();
  }

  // What is refused has changed nothing.
  template <typename Act>
  std::invoke_result_t<const Act&> change(const char* call, std::string_view name,
                                          const Act& act) const {
    if (const auto fault = points_.fault(call); !fault) return std::unexpected(fault.error());
    points_.before();
    auto result = act();
    if (result) points_.after(name.empty() ? call : std::string(call) + " " + std::string(name));
    return result;
  }

  const KillPoints& points_;
};

std::string tables_of(const Batch& batch) {
  std::string text;
  for (const Batch::Op& op : batch.ops()) {
    const std::string table(kTableNames[static_cast<std::size_t>(op.table)]);
    const std::string one = (op.value ? "+" : "-") + (table == "default" ? "meta" : table);
    if (text.find(one) == std::string::npos) text += " " + one;
  }
  return text;
}

}  // namespace

KillPoints::KillPoints() {
  const char* file = std::getenv(kBoardVariable);
  if (file == nullptr) return;
  const UniqueFd fd(::open(file, O_RDWR | O_CLOEXEC));
  void* const memory =
      ::mmap(nullptr, sizeof(KillBoard), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (memory != MAP_FAILED) board_ = static_cast<KillBoard*>(memory);
}

void KillPoints::before() const {
  if (board_ == nullptr || board_->die_after != 0 || board_->passed != 0) return;
  board_->died = true;
  ::kill(::getpid(), SIGKILL);
}

void KillPoints::after(const std::string& what) const {
  if (board_ == nullptr || board_->die_after == KillBoard::kNever) return;
  const std::uint32_t number = board_->passed.fetch_add(1);
  if (number < KillBoard::kSeenMax) {
    KillBoard::Name& name = board_->seen[number];
    const std::size_t length = std::min(what.size(), name.size() - 1);
    std::memcpy(name.data(), what.data(), length);
    name[length] = '\0';
  }
  if (number + 1 != board_->die_after) return;
  board_->died = true;
  ::kill(::getpid(), SIGKILL);
}

bool KillPoints::at_fault(std::string_view call) const {
  return board_ != nullptr && board_->fault_left != 0 && call == board_->fault_call.data();
}

Status KillPoints::fault(std::string_view call) const {
  if (!at_fault(call)) return {};
  ++board_->faults;
  std::this_thread::sleep_for(std::chrono::milliseconds(board_->fault_ms));
  const int error = board_->fault_errno;
  return error == 0 ? Status{} : Status(std::unexpected(Errno{error}));
}

std::size_t KillPoints::length(std::string_view call, std::size_t wanted) const {
  const std::size_t most = at_fault(call) ? board_->fault_bytes.load() : 0;
  return most == 0 ? wanted : std::min(wanted, most);
}

void KillPoints::hold() const {
  if (board_ == nullptr || !board_->hold) return;
  ++board_->held;
  while (board_->hold) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  --board_->held;
}

Result<std::unique_ptr<Backing>> open_killing_backing(const KillPoints& points,
                                                      const std::string& directory,
                                                      const AccessTimes& access) {
  auto backing = std::make_unique<KillingBacking>(points);
  points.before();
  if (const auto attached = backing->attach_to(directory, access); !attached) {
    return std::unexpected(attached.error());
  }
  points.after("attach");
  return backing;
}

Status KillingStore::commit(const Batch& batch, Durability durability) {
  if (const auto fault = points_.fault("commit"); !fault) return fault;
  points_.before();
  auto done = below_.commit(batch, durability);
  if (done) points_.after("commit" + tables_of(batch));
  return done;
}

}  // namespace ebbfs::test
