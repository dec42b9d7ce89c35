// SPDX-License-Identifier: Apache-2.0
//
// What the operations of fs/filesystem.h take and give: who asks, and the answers. Values, but for
// an open file, which belongs to the kernel's handle of it. Threading: none of their own.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "fs/backing.h"
#include "fs/inode_table.h"
#include "fs/unique_fd.h"

namespace ebbfs {

// Who asks. `tid` is a thread id in our pid namespace, 0 when not visible.
struct Caller {
  uid_t uid = 0;
  gid_t gid = 0;
  pid_t tid = 0;
  mode_t umask = 0;
  bool may_block = false;
};

// Everything changes through this mount, so what was said stays true until we say otherwise.
inline constexpr double kForeverSeconds = 3600.0;

// The answer to a lookup or to making a name. `id` kNoNode is a name that does not exist.
struct Entry {
  NodeId id = kNoNode;
  std::uint64_t generation = 0;
  Attributes attributes{};
  double entry_seconds = kForeverSeconds;
  InodeRef inode;  // keeps the object until the reply is out
};

// An open file. `fh` of the kernel is its address.
class OpenFile {
 public:
  OpenFile(UniqueFd fd, InodeRef inode) : fd_(std::move(fd)), inode_(std::move(inode)) {}
  ~OpenFile() { leave(); }  // where it failed just after, with the lock still held
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] Inode& inode() const { return *inode_; }

  bool writable = false;
  bool syncs = false;  // O_SYNC or O_DSYNC: writes wait for the disk
  OpenMode mode = OpenMode::none;

  // Among those of its inode; with its size_mu held.
  void enter(OpenFile*& first) {
    next_ = std::exchange(first, this);
    if (next_ != nullptr) next_->link_ = &next_;
    link_ = &first;
  }
  void leave() {
    if (link_ == nullptr) return;
    *link_ = next_;
    if (next_ != nullptr) next_->link_ = link_;
    link_ = nullptr;
  }

 private:
  UniqueFd fd_;
  InodeRef inode_;
  OpenFile* next_ = nullptr;
  OpenFile** link_ = nullptr;  // what points here
};

// What the kernel is to do with an open file.
struct Opened {
  std::unique_ptr<OpenFile> file;
  bool direct_io = false;
  bool keep_cache = false;
  std::int32_t backing_id = 0;  // passthrough when > 0
};
struct Created {
  Entry entry;
  Opened opened;
};

// Which attributes to set; those absent stay.
struct AttributeChange {
  std::optional<mode_t> mode;
  std::optional<uid_t> uid;
  std::optional<gid_t> gid;
  std::optional<std::int64_t> size;
  timespec times[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}};  // access, modification
  bool times_set = false;
  bool clear_privileges = false;  // setuid and setgid bits go (a chown or truncate by a user)
};

}  // namespace ebbfs
