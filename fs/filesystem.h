// SPDX-License-Identifier: Apache-2.0
//
// The meaning of each operation. Knows no wire format and no libfuse type; ops.cc decodes, calls
// one method here, and replies. The lock order stands in fs/volume.h.
//
// A call that would have to block (a slow operation, a lock that is held, a unit that is frozen)
// with `caller.may_block` false returns kDefer and has changed nothing: it is made again from a
// worker. One that finds its inode in another unit by the time it has the inode's lock returns
// kDefer in any case. Errors are errno as the backing filesystem gave it, or: EDQUOT a quota,
// ENOSPC the volume is full, ESTALE the unit or inode is gone, EXDEV a link between units, EPERM
// the state directory.
//
// Threading: all methods from any thread. The kernel serialises changes of one directory's names,
// and size-changing operations on one file.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "fs/function_ref.h"
#include "fs/removed_directories.h"
#include "fs/request.h"
#include "fs/volume.h"

namespace ebbfs {

class Subtree;

class Filesystem {
 public:
  // `volume` and the rest outlive the filesystem. `passthrough_from`: regular files of at least
  // this many bytes are read by the kernel itself; < 0 never. `open_files_max`: more are refused
  // with ENFILE, so that other requests find a descriptor.
  Filesystem(Volume& volume, Agenda& agenda, BackingIds& backing_ids, std::int64_t passthrough_from,
             std::uint64_t open_files_max);
  Filesystem(const Filesystem&) = delete;
  Filesystem& operator=(const Filesystem&) = delete;

  // Called with the handle of a directory that was renamed while its unit was being counted.
  void on_directory_moved(std::function<void(const FileHandle&)> hook) {
    directory_moved_ = std::move(hook);
  }

  // Names (names.cc, rename.cc).
  [[nodiscard]] Result<Entry> lookup(const Caller& caller, NodeId parent, const char* name);
  [[nodiscard]] Result<Entry> make_directory(const Caller& caller, NodeId parent, const char* name,
                                             mode_t mode);
  [[nodiscard]] Result<Entry> make_node(const Caller& caller, NodeId parent, const char* name,
                                        mode_t mode, dev_t device);
  [[nodiscard]] Result<Entry> make_symlink(const Caller& caller, NodeId parent, const char* name,
                                           const char* target);
  [[nodiscard]] Result<Entry> link(const Caller& caller, NodeId inode, NodeId parent,
                                   const char* name);
  [[nodiscard]] Status unlink(const Caller& caller, NodeId parent, const char* name);
  [[nodiscard]] Status remove_directory(const Caller& caller, NodeId parent, const char* name);
  [[nodiscard]] Status rename(const Caller& caller, NodeId parent, const char* name,
                              NodeId to_parent, const char* to_name, unsigned flags);
  // `visit` gets each entry but the dots; it returns false when its buffer is full. With `plus` the
  // entry carries attributes and an inode; the visitor adds the lookup when it took the entry.
  struct Listed {
    const char* name;
    std::uint64_t inode;
    std::uint32_t type;  // S_IFMT part
    off_t next;          // offset to continue from
    Entry entry;         // id 0 without plus, or when it vanished
  };
  using Visitor = FunctionRef<bool(Listed&)>;
  [[nodiscard]] Status list(const Caller& caller, NodeId directory, off_t from, bool plus,
                            Visitor visit);
  [[nodiscard]] Result<std::string> read_link(NodeId inode);

  // Data (data.cc, open.cc).
  [[nodiscard]] Result<Created> create(const Caller& caller, NodeId parent, const char* name,
                                       mode_t mode, int flags);
  [[nodiscard]] Result<Created> make_temporary(const Caller& caller, NodeId parent, mode_t mode,
                                               int flags);
  [[nodiscard]] Result<Opened> open(const Caller& caller, NodeId inode, int flags,
                                    bool clear_privileges);
  // Closes and frees `file`, unless the answer is kDefer.
  [[nodiscard]] Status release(const Caller& caller, OpenFile* file);
  // The same for all that are open: the kernel is gone, and asks for none any more.
  void release_all();
  [[nodiscard]] Result<std::size_t> read(OpenFile& file, std::span<std::byte> into, off_t offset);
  [[nodiscard]] Result<std::size_t> write(const Caller& caller, OpenFile& file,
                                          std::span<const std::byte> from, off_t offset,
                                          bool clear_privileges);
  [[nodiscard]] Status allocate(const Caller& caller, OpenFile& file, int mode, off_t offset,
                                off_t length);
  [[nodiscard]] Result<std::size_t> copy(const Caller& caller, OpenFile& from, off_t from_offset,
                                         OpenFile& to, off_t to_offset, std::size_t length);
  [[nodiscard]] Result<off_t> seek(OpenFile& file, off_t offset, int whence);
  [[nodiscard]] Status sync(const Caller& caller, OpenFile& file, bool data_only);
  [[nodiscard]] Status sync_directory(const Caller& caller, NodeId directory, bool data_only);

  // Attributes (attributes.cc). `file` may be null.
  [[nodiscard]] Result<Attributes> get_attributes(NodeId inode, OpenFile* file);
  [[nodiscard]] Result<Attributes> set_attributes(const Caller& caller, NodeId inode,
                                                  OpenFile* file, const AttributeChange& change);
  [[nodiscard]] Result<std::size_t> get_xattr(NodeId inode, const char* name,
                                              std::span<std::byte> into);
  [[nodiscard]] Result<std::size_t> list_xattr(NodeId inode, std::span<std::byte> into);
  // `groups`: those of a caller who may not keep the set-group-ID bit of a file of another group
  // (chmod(2)); null when the bit stays.
  [[nodiscard]] Status set_xattr(const Caller& caller, NodeId inode, const char* name,
                                 std::span<const std::byte> value, int flags,
                                 const std::vector<gid_t>* groups = nullptr);
  [[nodiscard]] Status remove_xattr(const Caller& caller, NodeId inode, const char* name);
  [[nodiscard]] Result<struct statvfs> filesystem_stat(NodeId inode);

  void forget(NodeId node, std::uint64_t lookups);
  [[nodiscard]] std::uint64_t open_files() const { return open_files_.load(); }

 private:
  // A directory about to get, lose or change a name: entered, open, and what the name would be.
  struct Parent {
    InodeRef inode;
    Inode::Place place;
    SharedFd fd;
    UnitUse use;
    Match match;
    LockId intent{};  // of a lock that is about to be made there
  };
  [[nodiscard]] static bool is_reserved(NodeId parent, const char* name);
  [[nodiscard]] Result<Parent> enter_parent(const Caller& caller, NodeId id, const char* name);
  [[nodiscard]] Result<UnitUse> use(const Caller& caller, const UnitRef& unit);
  [[nodiscard]] Result<InodeRef> find(NodeId id);
  // A descriptor for attribute calls: a directory's from the cache, a file's O_PATH by handle.
  struct AnyFd {
    SharedFd shared = nullptr;
    UniqueFd own = {};
    const UniqueFd* operator->() const { return shared ? shared.get() : &own; }
  };
  [[nodiscard]] Result<AnyFd> any_fd(Inode& inode);

  // Making names: `make` does the backing call under the caller's credentials.
  using Make = FunctionRef<Status(int dir, const char* name)>;
  [[nodiscard]] Result<Entry> make_name(const Caller& caller, NodeId parent, const char* name,
                                        Make make, bool directory = false);
  // After the backing call: looks at the new name, binds it, settles the charge, records a new unit
  // or lock. On failure the name is taken back.
  [[nodiscard]] Result<Child> settle_new(const Caller& caller, Parent& parent, const char* name,
                                         Reservation reservation);
  [[nodiscard]] Result<Child> adopt_new(const Caller& caller, Parent& parent, const char* name);
  [[nodiscard]] Status charge_new(const Caller& caller, const Parent& parent, const Child& child,
                                  Reservation reservation);
  [[nodiscard]] Entry entry_of(Child child);
  [[nodiscard]] gid_t new_gid(const Caller& caller, const Parent& parent) const;

  // Locks.
  [[nodiscard]] const ClassRule* lock_rule(const Policy& policy, const Parent& parent,
                                           const char* name);
  [[nodiscard]] LockRef suspect_lock(NodeId parent, const char* name);
  // All of the record but what the name stands for; nothing when it is no lock.
  [[nodiscard]] Result<std::optional<LockRecord>> describe_lock(const Caller& caller,
                                                                const Parent& parent,
                                                                const char* name);
  // `name` is about to become a directory: says so in the index where it is to be a lock, because
  // one that is found without a record is taken for an ordinary directory, for ever.
  [[nodiscard]] Status intend_lock(const Caller& caller, Parent& parent, const char* name);
  void abandon_lock(const Parent& parent);
  [[nodiscard]] Status take_lock(const Caller& caller, const Parent& parent, const char* name,
                                 const Child& child);
  // A suspect lock was opened for writing by somebody: whoever it is holds it now.
  void retake_lock(const Caller& caller, NodeId node);
  void drop_lock(NodeId parent, const char* name);
  // Directories were renamed that had these paths: what was a lock below is one of another path,
  // class and unit, or none. What was none stays none: nothing is removed that nobody took.
  void move_locks_below(std::span<const std::string> directories);
  // `name` is about to be made: when it is a suspect lock whose time is over, it is removed. To be
  // called inside no unit.
  [[nodiscard]] Status clear_way(const Caller& caller, NodeId parent, const char* name);
  [[nodiscard]] Owner owner_of(const Caller& caller, std::string_view job,
                               std::vector<ProcessSeen>* ancestors);

  // Taking away the last name of something in `unit`.
  struct Victim {
    Attributes attributes;
    InodeRef inode;  // empty when the kernel does not know it
    UnitRef unit;
    bool unit_top = false;
    int directory = -1;  // where it is, borrowed; and by which name
    const char* name = nullptr;
  };
  [[nodiscard]] Result<Victim> victim(const Parent& parent, const char* name);
  // Runs `remove` (the backing call) and settles: locks held as the order demands.
  [[nodiscard]] Status remove_victim(const Caller& caller, Victim& victim,
                                     FunctionRef<Status()> remove);
  // Counts what is about to be found at a name that the census may have passed already: it stands
  // at `attributes` now, in `unit`.
  void count_in_sight(Unit& unit, const Attributes& attributes);
  void settle_gone(Victim& victim);

  // Renaming (rename.cc, rename_across.cc).
  struct RenameSide;
  struct RenamePlan;
  [[nodiscard]] Result<RenameSide> rename_side(NodeId parent, const char* name);
  [[nodiscard]] Result<std::string> child_path(const RenameSide& side);
  [[nodiscard]] Status rename_in_place(const Caller& caller, RenamePlan& plan);
  [[nodiscard]] Status rename_exchange(const Caller& caller, RenamePlan& plan);
  [[nodiscard]] Status rename_file_across(const Caller& caller, RenamePlan& plan);
  [[nodiscard]] Status rename_tree_across(const Caller& caller, RenamePlan& plan);
  // The backing rename, with what it replaces settled.
  [[nodiscard]] Status rename_backing(const Caller& caller, RenamePlan& plan);
  // The paths that they had; none where no lock can lie below.
  [[nodiscard]] std::vector<std::string> renamed_directories(const RenamePlan& plan);
  // Locks follow the names.
  [[nodiscard]] Status settle_names(const Caller& caller, const RenamePlan& plan);
  void update_paths_below(const std::string& from, const std::string& to);
  [[nodiscard]] Result<UnitRef> new_unit_for(const Caller& caller, const RenamePlan& plan);
  // Those with anything at `path`, which is to move, or around it, or where it goes.
  [[nodiscard]] std::vector<UnitRef> concerned_units(const RenamePlan& plan,
                                                     const std::string& path);
  [[nodiscard]] Status mark_concerned(const RenamePlan& plan, Subtree& tree);
  [[nodiscard]] Status make_destinations(Subtree& tree);
  [[nodiscard]] Status move_tree(const Caller& caller, RenamePlan& plan, Subtree& tree);
  void rebind_tree(Subtree& tree);

  // Room on the volume (room.cc): ENOSPC where it would be taken from the reserve, which serves
  // locks alone. For a name that is about to be made, and for `length` bytes at `offset`.
  [[nodiscard]] Status room_for_name(const Parent& parent, const char* name);
  [[nodiscard]] Status room_for_data(Inode& inode, int fd, off_t offset, std::int64_t length)
      REQUIRES(inode.size_mu);
  // Charges in advance. Whoever makes room is told what a limit on the volume has refused.
  [[nodiscard]] Result<Reservation> reserve(const Payer& payer, const Usage& usage);

  // Opening (open.cc).
  // A part of the descriptors is for locks alone.
  [[nodiscard]] bool may_open(bool lock) const {
    constexpr std::uint64_t kLocksShare = 32;
    const std::uint64_t max =
        lock ? open_files_max_ : open_files_max_ - open_files_max_ / kLocksShare;
    return open_files_.load(std::memory_order_relaxed) < max;
  }
  [[nodiscard]] Result<Opened> register_open(Inode& inode, std::unique_ptr<OpenFile> file,
                                             const Attributes& attributes, int flags)
      REQUIRES(inode.size_mu);
  [[nodiscard]] Status truncate_open(Inode& inode, int fd, std::int64_t size, Unit& unit)
      REQUIRES(inode.size_mu);
  [[nodiscard]] Status ensure_known(Inode& inode, int fd) REQUIRES(inode.size_mu);
  // Whether its last name went, and its charge with it, while a request was on its way to
  // `inode.size_mu`: nothing may be charged to it any more. The kernel looks the name up again on
  // ESTALE.
  [[nodiscard]] static bool lost_to_unlink(const Inode& inode, const Attributes& attributes)
      REQUIRES(inode.size_mu);
  // What a change of the content by somebody without CAP_FSETID does to setuid and setgid.
  [[nodiscard]] Status drop_privileges(NodeId node, int fd);
  [[nodiscard]] Status drop_privileges(NodeId node, int fd, const Attributes& attributes);
  // Charges growth to `size`, runs `act`, keeps what `act` says the size has become; where it
  // fails, what the backing file `fd` says.
  [[nodiscard]] Status resize(Inode& inode, Unit& unit, int fd, std::int64_t size,
                              FunctionRef<Result<std::int64_t>()> act) REQUIRES(inode.size_mu);

  // Attributes (attributes.cc).
  [[nodiscard]] Status change_size(const Caller& caller, Inode& inode, Unit& unit, OpenFile* file,
                                   std::int64_t size);
  [[nodiscard]] Status change_owner(const Caller& caller, Inode& inode, Unit& unit, int fd,
                                    const AttributeChange& change);

  Volume& volume_;
  Agenda& agenda_;
  BackingIds& backing_ids_;
  const std::int64_t passthrough_from_;
  const std::uint64_t open_files_max_;
  std::function<void(const FileHandle&)> directory_moved_;  // set before requests are served
  std::atomic<std::uint64_t> open_files_{0};
  RemovedDirectories removed_;
};

}  // namespace ebbfs
