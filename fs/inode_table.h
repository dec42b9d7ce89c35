// SPDX-License-Identifier: Apache-2.0
//
// Two lifetimes. What the kernel calls an inode (NodeId) belongs to the kernel: from the first
// reply that names it until the FORGET that takes the lookup count to zero. The inode *object*
// (Inode) belongs to us: it lives while the kernel knows the node, a file of it is open, or a
// reference is held. RELEASE may arrive after FORGET, hence one count for all three.
//
// A number can be used again by the backing filesystem while the kernel still knows it. Then the
// object of the old file retires: it keeps its node and its handle, which is stale, for requests
// that are on their way and for FORGET; the new file gets an object and a node of its own.
//
// Threading: all from any thread. The table is sharded. Lock order, outer to inner:
//   Inode::size_mu         held over backing calls
//     Inode::mu_           copying a Place, nothing else
//   InodeTable::Shard::mu  its map, and counts that may become zero; never held together with the
//                          two above, so finding an inode never waits for a backing call
#pragma once

#include <sys/stat.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "fs/node_id.h"
#include "fs/unit_table.h"
#include "index/mutex.h"
#include "index/types.h"
#include "index/usage.h"
#include "policy/classifier.h"

namespace ebbfs {

// How the kernel has a regular file open (fs/data.cc explains the rules).
enum class OpenMode : std::uint8_t { none, cached, passthrough };

class OpenFile;
class Standpoint;

class Inode {
 public:
  const InodeId id;

  // What the number stands for and where it belongs; short critical sections only.
  struct Place {
    FileHandle handle;
    UnitRef unit;
    MatchState state = kDeadState;  // of a directory, in all class globs
    std::uint32_t mode = 0;         // type and, for directories, the setgid bit
    gid_t gid = 0;                  // of a directory, for setgid inheritance
    bool unit_top = false;

    bool operator==(const Place&) const = default;
  };
  // `use`: of the number, as in node_of.
  Inode(InodeId number, std::uint32_t use, const Place& place)
      : id(number), use_(use), place_(place) {}
  Inode(const Inode&) = delete;
  Inode& operator=(const Inode&) = delete;

  [[nodiscard]] NodeId node() const {
    return node_of(id, use_.load(std::memory_order_relaxed) & ~kRetired);
  }
  // The number stands for another file by now.
  [[nodiscard]] bool retired() const {
    return (use_.load(std::memory_order_acquire) & kRetired) != 0;
  }
  [[nodiscard]] Place place() const EXCLUDES(mu_) {
    const MutexLock lock(mu_);
    return place_;
  }
  [[nodiscard]] bool is_in(const Unit& unit) const EXCLUDES(mu_) {
    const MutexLock lock(mu_);
    return place_.unit.get() == &unit;
  }
  [[nodiscard]] UnitRef unit() const EXCLUDES(mu_) {
    const MutexLock lock(mu_);
    return place_.unit;
  }
  [[nodiscard]] FileHandle handle() const EXCLUDES(mu_) {
    const MutexLock lock(mu_);
    return place_.handle;
  }
  // Another number after each move.
  [[nodiscard]] std::uint32_t moves() const { return moves_.load(std::memory_order_acquire); }
  // After a change of attributes: what new names below a directory inherit.
  void set_mode_and_gid(std::uint32_t mode, gid_t gid) EXCLUDES(mu_) {
    const MutexLock lock(mu_);
    place_.mode = mode;
    place_.gid = gid;
  }
  // Moves the object to another unit (rename between units, with both units frozen), a directory
  // before what is in it.
  void move_to(const UnitRef& unit, MatchState state, bool unit_top) EXCLUDES(mu_) {
    const MutexLock lock(mu_);
    place_.unit = unit;
    place_.state = state;
    place_.unit_top = unit_top;
    moves_.fetch_add(1, std::memory_order_release);
  }

  // Size, owner and openness of a regular file, with the charge that follows from them. The lock is
  // held over the backing call that changes the size (extending write, truncate, fallocate, copy,
  // last unlink, chown): the kernel serialises these on one inode, so it is not contended; who may
  // not block takes it by PatientLock.
  mutable Mutex size_mu;

 private:
  static constexpr std::uint32_t kRetired = 1U << 31;
  std::atomic<std::uint32_t> use_;  // here, as there is room for it; kRetired under Shard::mu

 public:
  struct Extent {
    std::int64_t size = 0;
    uid_t uid = 0;
    gid_t gid = 0;
    std::uint32_t opens = 0;
    std::uint32_t moded_opens = 0;  // in `mode`
    std::int32_t backing_id = 0;    // of the kernel, while mode is passthrough
    OpenMode mode = OpenMode::none;
    bool known = false;              // size, uid and gid are right: kept so while the file is open
    bool unlinked = false;           // no name left; charged until the last release
    bool page_cache_stale = false;   // written past the kernel's page cache of this inode
    bool mapped_below = false;       // who reads and writes had it in passthrough mode
    OpenFile* first_open = nullptr;  // of `opens`, each knows the next
  };
  Extent extent GUARDED_BY(size_mu);

 private:
  friend class InodeRef;
  friend class InodeTable;
  // Puts the object at `place` where that has the same handle, unless `from`, when given, no longer
  // holds.
  enum class Bound : std::uint8_t { yes, from_elsewhere, other_handle };
  [[nodiscard]] Bound bind(const Place& place, const Standpoint* from) EXCLUDES(mu_);
  // Makes it the object of another file, of which nothing is known yet, where a number cannot have
  // another node. No file of the old one can be open: as long as one is, its number is not used.
  void bind_anew(const Place& place, const Standpoint* from) EXCLUDES(mu_, size_mu);

  mutable Mutex mu_;
  std::atomic<std::uint32_t> moves_{0};  // changed with mu_ held
  Place place_ GUARDED_BY(mu_);
  // Atomics, because references come and go on every request. Lookups, opens and references
  // together; changed to zero only under the shard's mutex.
  std::atomic<std::uint64_t> refs_{0};
  std::atomic<std::uint64_t> lookups_{0};
};

// The place of a directory, as it was when somebody looked at names in it, and whether it is still
// there. A rename of a tree to another unit moves its directories before what is in them, so what
// is bound while the standpoint holds is either right or moved by the rename later.
class Standpoint {
 public:
  Standpoint() = default;
  // `directory` outlives the object.
  explicit Standpoint(const Inode& directory) : directory_(&directory) { look_again(); }
  [[nodiscard]] const Inode::Place& place() const { return place_; }
  [[nodiscard]] bool holds() const { return directory_->moves() == moves_; }
  void look_again() {
    moves_ = directory_->moves();
    place_ = directory_->place();
  }

 private:
  const Inode* directory_ = nullptr;
  std::uint32_t moves_ = 0;
  Inode::Place place_;
};

class InodeTable;

// A counted reference; keeps the object, not the kernel's number.
class InodeRef {
 public:
  InodeRef() = default;
  InodeRef(InodeRef&& other) noexcept
      : table_(std::exchange(other.table_, nullptr)),
        inode_(std::exchange(other.inode_, nullptr)) {}
  InodeRef& operator=(InodeRef&& other) noexcept;
  InodeRef(const InodeRef&) = delete;
  InodeRef& operator=(const InodeRef&) = delete;
  ~InodeRef();

  explicit operator bool() const { return inode_ != nullptr; }
  Inode& operator*() const { return *inode_; }
  Inode* operator->() const { return inode_; }
  // The kernel was told this number once more.
  void add_lookup() const;

 private:
  friend class InodeTable;
  InodeRef(InodeTable* table, Inode* inode) : table_(table), inode_(inode) {}
  InodeTable* table_ = nullptr;
  Inode* inode_ = nullptr;
};

class InodeTable {
 public:
  InodeTable() = default;
  InodeTable(const InodeTable&) = delete;
  InodeTable& operator=(const InodeTable&) = delete;

  // The file that has the number now; empty when it is not known.
  [[nodiscard]] InodeRef find(InodeId id);
  // What the kernel means; it may be retired. Empty when the node is not known.
  [[nodiscard]] InodeRef find(NodeId node);
  // Of the file that has the number now; kNoNode when the kernel cannot know it.
  [[nodiscard]] NodeId node_for(InodeId id);
  // The object of `id`, made when there is none with `place.handle`, which is of a file that cannot
  // go meanwhile: what had the number before retires. The unit and state of an object that is there
  // are those of `place` too: the caller has just looked.
  [[nodiscard]] InodeRef intern(InodeId id, const Inode::Place& place) {
    return intern(id, place, nullptr, nullptr);
  }
  // The same for who is not inside the unit and has worked out `place` from `from`. Empty, and
  // nothing has changed, where the caller has to look again: `from` no longer holds, or another
  // file has the number, which then is `other`. Only that one retires: who comes a second time
  // keeps a descriptor of the file from before it looked, so that the number is its own.
  [[nodiscard]] InodeRef intern(InodeId id, const Inode::Place& place, const Standpoint& from,
                                InodeRef& other) {
    return intern(id, place, &from, &other);
  }
  // FORGET. A count larger than what was given out is a broken invariant and aborts: the object may
  // be in use under a number that the kernel believes dead.
  void forget(NodeId node, std::uint64_t lookups);
  // Those that are known now.
  [[nodiscard]] std::vector<InodeRef> all();
  [[nodiscard]] std::size_t size() const { return size_.load(std::memory_order_relaxed); }
  // Unmounted: nothing is known to the kernel any more.
  void clear_lookups();

 private:
  friend class InodeRef;
  static constexpr std::size_t kShards = 64;
  using Inodes = std::unordered_map<std::uint64_t, Inode>;  // addresses are stable
  struct Shard {
    Mutex mu;
    Inodes inodes GUARDED_BY(mu);   // by raw InodeId
    Inodes retired GUARDED_BY(mu);  // by raw NodeId
    std::uint32_t next_use GUARDED_BY(mu) = 1;
  };
  Shard& shard(InodeId id) { return shards_[(raw(id) * 0x9E3779B97F4A7C15ULL) >> 58]; }
  [[nodiscard]] InodeRef intern(InodeId id, const Inode::Place& place, const Standpoint* from,
                                InodeRef* other);
  [[nodiscard]] static Inode* known(Shard& shard, NodeId node) REQUIRES(shard.mu);
  // One more reference; of an inode whose shard's mutex is held, so that it cannot die meanwhile.
  [[nodiscard]] InodeRef hold(Inode& inode);
  // Of `id`, such that no retired object has the node: retire() leaves one.
  [[nodiscard]] static std::uint32_t free_use(Shard& shard, InodeId id) REQUIRES(shard.mu);
  // `inode` no longer has its number: false where that leaves no node for who has it now.
  [[nodiscard]] bool retire(Inode& inode);
  // Gives back one reference, and the object with the last of all.
  void drop(Inode& inode);
  // The same for `count` references, none left to anybody else when they are all.
  [[nodiscard]] Inodes::node_type drop_locked(Shard& shard, Inode& inode, std::uint64_t count)
      REQUIRES(shard.mu);

  std::array<Shard, kShards> shards_;
  std::atomic<std::size_t> size_{0};
};

// What the kernel is told to tell two uses of one inode number apart; never 0. The kernel keeps the
// low 32 bits, which are as good as the rest.
[[nodiscard]] std::uint64_t generation_of(const FileHandle& handle);

}  // namespace ebbfs
