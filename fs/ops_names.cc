// SPDX-License-Identifier: Apache-2.0
//
// Handlers about names: look up, make, remove, rename, list.
#include <chrono>
#include <span>
#include <thread>
#include <vector>

#include "fs/ops_run.h"

namespace ebbfs {
namespace {

void op_lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
  if (VirtualFiles::owns(id_of(parent), name)) {
    return Reply(request).entry(context_of(request).virtual_files.lookup(id_of(parent), name));
  }
  run_named(
      request,
      [parent](Filesystem& fs, const Caller& caller, const char* leaf) {
        return fs.lookup(caller, id_of(parent), leaf);
      },
      answer_entry, name);
}

void op_forget(fuse_req_t request, fuse_ino_t inode, std::uint64_t lookups) {
  if (!VirtualFiles::owns(id_of(inode))) {
    context_of(request).filesystem.forget(id_of(inode), lookups);
  }
  fuse_reply_none(request);
}

void op_forget_multi(fuse_req_t request, std::size_t count, fuse_forget_data* forgets) {
  for (const fuse_forget_data& one : std::span(forgets, count)) {
    if (!VirtualFiles::owns(id_of(one.ino))) {
      context_of(request).filesystem.forget(id_of(one.ino), one.nlookup);
    }
  }
  fuse_reply_none(request);
}

// FORGETs never come over a ring. Where all else does, each would wake the thread that reads
// /dev/fuse, once for each name removed: so it rests after one, and what has gathered meanwhile
// comes as one. An INTERRUPT, which comes this way, too, may wait as long.
constexpr std::chrono::milliseconds kForgetsGather{2};

template <auto handler, typename... Args>
void run_and_gather(fuse_req_t request, Args... args) {
  const OpsContext& context = context_of(request);
  kCounted<RequestKind::forget, handler>(request, args...);
  if (context.io_uring.load(std::memory_order_relaxed)) std::this_thread::sleep_for(kForgetsGather);
}

void op_readlink(fuse_req_t request, fuse_ino_t inode) {
  run(
      request, [inode](Filesystem& fs, const Caller&) { return fs.read_link(id_of(inode)); },
      [](Reply reply, const Result<std::string>& target) { reply.link_target(target); });
}

void op_mknod(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode, dev_t device) {
  run_named(
      request,
      [=](Filesystem& fs, const Caller& caller, const char* leaf) {
        return fs.make_node(caller, id_of(parent), leaf, mode, device);
      },
      answer_entry, name);
}

void op_mkdir(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode) {
  run_named(
      request,
      [=](Filesystem& fs, const Caller& caller, const char* leaf) {
        return fs.make_directory(caller, id_of(parent), leaf, mode);
      },
      answer_entry, name);
}

void op_symlink(fuse_req_t request, const char* target, fuse_ino_t parent, const char* name) {
  run_named(
      request,
      [=](Filesystem& fs, const Caller& caller, const char* leaf, const char* to) {
        return fs.make_symlink(caller, id_of(parent), leaf, to);
      },
      answer_entry, name, target);
}

void op_link(fuse_req_t request, fuse_ino_t inode, fuse_ino_t parent, const char* name) {
  run_named(
      request,
      [=](Filesystem& fs, const Caller& caller, const char* leaf) {
        return fs.link(caller, id_of(inode), id_of(parent), leaf);
      },
      answer_entry, name);
}

void op_unlink(fuse_req_t request, fuse_ino_t parent, const char* name) {
  run_named(
      request,
      [=](Filesystem& fs, const Caller& caller, const char* leaf) {
        return fs.unlink(caller, id_of(parent), leaf);
      },
      answer_status, name);
}

void op_rmdir(fuse_req_t request, fuse_ino_t parent, const char* name) {
  run_named(
      request,
      [=](Filesystem& fs, const Caller& caller, const char* leaf) {
        return fs.remove_directory(caller, id_of(parent), leaf);
      },
      answer_status, name);
}

void op_rename(fuse_req_t request, fuse_ino_t parent, const char* name, fuse_ino_t to_parent,
               const char* to_name, unsigned flags) {
  run_named(
      request,
      [=](Filesystem& fs, const Caller& caller, const char* from, const char* to) {
        return fs.rename(caller, id_of(parent), from, id_of(to_parent), to, flags);
      },
      answer_status, name, to_name);
}

void list_directory(fuse_req_t request, fuse_ino_t inode, std::size_t size, off_t offset,
                    bool plus) {
  if (VirtualFiles::owns(id_of(inode))) return Reply(request).data({});
  std::vector<char> buffer(size);
  std::size_t used = 0;
  const auto add = [&](Filesystem::Listed& listed) {
    char* at = buffer.data() + used;
    const std::size_t room = buffer.size() - used;
    fuse_entry_param param = to_entry_param(listed.entry);
    std::size_t need = 0;
    if (plus) {
      if (listed.entry.id == kNoNode) {
        param.attr.st_ino = listed.inode;
        param.attr.st_mode = listed.type;
      }
      need = fuse_add_direntry_plus(request, at, room, listed.name, &param, listed.next);
    } else {
      param.attr.st_ino = listed.inode;
      param.attr.st_mode = listed.type;
      need = fuse_add_direntry(request, at, room, listed.name, &param.attr, listed.next);
    }
    if (need > room) return false;
    if (listed.entry.inode) listed.entry.inode.add_lookup();
    used += need;
    return true;
  };
  const auto listed = guarded([&] {
    return context_of(request).filesystem.list(caller_of(request), id_of(inode), offset, plus, add);
  });
  // Entries once counted must be sent: an error now would lose their lookups.
  if (!listed && used == 0) return Reply(request).error(listed.error());
  Reply(request).data(std::as_bytes(std::span(buffer).first(used)));
}

void op_readdir(fuse_req_t request, fuse_ino_t inode, std::size_t size, off_t offset,
                fuse_file_info*) {
  list_directory(request, inode, size, offset, false);
}

void op_readdirplus(fuse_req_t request, fuse_ino_t inode, std::size_t size, off_t offset,
                    fuse_file_info*) {
  list_directory(request, inode, size, offset, true);
}

}  // namespace

void add_name_operations(fuse_lowlevel_ops& table) {
  table.lookup = kCounted<RequestKind::lookup, op_lookup>;
  table.forget = run_and_gather<op_forget, fuse_ino_t, std::uint64_t>;
  table.forget_multi = run_and_gather<op_forget_multi, std::size_t, fuse_forget_data*>;
  table.readlink = kCounted<RequestKind::readlink, op_readlink>;
  table.mknod = kCounted<RequestKind::mknod, op_mknod>;
  table.mkdir = kCounted<RequestKind::mkdir, op_mkdir>;
  table.symlink = kCounted<RequestKind::symlink, op_symlink>;
  table.link = kCounted<RequestKind::link, op_link>;
  table.unlink = kCounted<RequestKind::unlink, op_unlink>;
  table.rmdir = kCounted<RequestKind::rmdir, op_rmdir>;
  table.rename = kCounted<RequestKind::rename, op_rename>;
  table.readdir = kCounted<RequestKind::readdir, op_readdir>;
  table.readdirplus = kCounted<RequestKind::readdirplus, op_readdirplus>;
}

}  // namespace ebbfs
