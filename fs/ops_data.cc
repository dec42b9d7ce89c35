// SPDX-License-Identifier: Apache-2.0
//
// Handlers about open files.
#include <span>
#include <vector>

#include "fs/ops_run.h"

namespace ebbfs {
namespace {

void op_open(fuse_req_t request, fuse_ino_t inode, fuse_file_info* info) {
  if (id_of(inode) == kVirtualControl) {
    info->fh = reinterpret_cast<std::uint64_t>(new VirtualFiles::Exchange);
    info->direct_io = 1;
    info->noflush = 1;
    tells_kernel();
    fuse_reply_open(request, info);
    return;
  }
  const bool clear = info->kill_suidgid != 0;
  run(
      request,
      [inode, flags = info->flags, clear](Filesystem& fs, const Caller& caller) {
        return fs.open(caller, id_of(inode), flags, clear);
      },
      [info = *info](Reply reply, Result<Opened> opened) mutable {
        reply.opened(std::move(opened), info);
      });
}

void op_create(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode,
               fuse_file_info* info) {
  run_named(
      request,
      [parent, mode, flags = info->flags](Filesystem& fs, const Caller& caller, const char* leaf) {
        return fs.create(caller, id_of(parent), leaf, mode, flags);
      },
      [info = *info](Reply reply, Result<Created> created) mutable {
        reply.created(std::move(created), info);
      },
      name);
}

void op_tmpfile(fuse_req_t request, fuse_ino_t parent, mode_t mode, fuse_file_info* info) {
  run(
      request,
      [parent, mode, flags = info->flags](Filesystem& fs, const Caller& caller) {
        return fs.make_temporary(caller, id_of(parent), mode, flags);
      },
      [info = *info](Reply reply, Result<Created> created) mutable {
        reply.created(std::move(created), info);
      });
}

void op_release(fuse_req_t request, fuse_ino_t inode, fuse_file_info* info) {
  if (id_of(inode) == kVirtualControl) {
    delete &exchange_of(info);
    fuse_reply_err(request, 0);
    return;
  }
  run(
      request,
      [file = &file_of(info)](Filesystem& fs, const Caller& caller) {
        return fs.release(caller, file);
      },
      answer_status);
}

void op_read(fuse_req_t request, fuse_ino_t inode, std::size_t size, off_t offset,
             fuse_file_info* info) {
  if (id_of(inode) == kVirtualControl) {
    const auto text = exchange_of(info).read(size, offset);
    if (!text) return Reply(request).error(text.error());
    return Reply(request).data(std::as_bytes(std::span(*text)));
  }
  // On a ring the reply's buffer is the request's own: the backing file is read right into it.
  char* payload = nullptr;
  std::size_t payload_size = 0;
  if (fuse_req_is_uring(request) &&
      fuse_req_get_payload(request, &payload, &payload_size, nullptr) == 0 &&
      payload_size >= size) {
    const std::span into(reinterpret_cast<std::byte*>(payload), size);
    const auto count = context_of(request).filesystem.read(file_of(info), into, offset);
    if (!count) return Reply(request).error(count.error());
    return Reply(request).data(into.first(*count));
  }
  std::vector<std::byte> into(size);
  const auto count = context_of(request).filesystem.read(file_of(info), into, offset);
  if (!count) return Reply(request).error(count.error());
  Reply(request).data(std::span(into).first(*count));
}

// `answer(reply, size)` when the request has been answered.
template <typename Answer>
void ask_control(fuse_req_t request, std::string text, fuse_file_info* info, Access access,
                 Answer answer) {
  OpsContext& context = context_of(request);
  const Caller caller = caller_of(request);
  context.workers.run([&context, caller, access, answer, &exchange = exchange_of(info),
                       reply = Reply(request), text = std::move(text)]() mutable {
    const auto asked =
        guarded([&] { return exchange.ask(context.virtual_files.answer(), caller, text, access); });
    if (!asked) return reply.error(asked.error());
    answer(reply, text.size());
  });
}

void op_write(fuse_req_t request, fuse_ino_t inode, const char* buffer, std::size_t size,
              off_t offset, fuse_file_info* info) {
  if (id_of(inode) == kVirtualControl) {
    return ask_control(request, std::string(buffer, size), info, Access::read_write,
                       [](Reply& reply, std::size_t count) { reply.written(count); });
  }
  const bool clear = info->kill_suidgid != 0;
  OpenFile* file = &file_of(info);
  const auto write = [=](Filesystem& fs, const Caller& caller, std::span<const std::byte> from) {
    return fs.write(caller, *file, from, offset, clear);
  };
  const auto bytes = std::as_bytes(std::span(buffer, size));
  run(
      request, [&](Filesystem& fs, const Caller& caller) { return write(fs, caller, bytes); },
      [&] {
        return [write, owned = std::vector<std::byte>(bytes.begin(), bytes.end())](
                   Filesystem& fs, const Caller& caller) { return write(fs, caller, owned); };
      },
      answer_count);
}

void op_fsync(fuse_req_t request, fuse_ino_t, int data_only, fuse_file_info* info) {
  run(
      request,
      [file = &file_of(info), data_only](Filesystem& fs, const Caller& caller) {
        return fs.sync(caller, *file, data_only != 0);
      },
      answer_status);
}

void op_fsyncdir(fuse_req_t request, fuse_ino_t inode, int data_only, fuse_file_info*) {
  run(
      request,
      [inode, data_only](Filesystem& fs, const Caller& caller) {
        return fs.sync_directory(caller, id_of(inode), data_only != 0);
      },
      answer_status);
}

void op_fallocate(fuse_req_t request, fuse_ino_t, int mode, off_t offset, off_t length,
                  fuse_file_info* info) {
  run(
      request,
      [file = &file_of(info), mode, offset, length](Filesystem& fs, const Caller& caller) {
        return fs.allocate(caller, *file, mode, offset, length);
      },
      answer_status);
}

void op_copy_file_range(fuse_req_t request, fuse_ino_t, off_t from_offset, fuse_file_info* from,
                        fuse_ino_t, off_t to_offset, fuse_file_info* to, std::size_t length, int) {
  run(
      request,
      [=, source = &file_of(from), target = &file_of(to)](Filesystem& fs, const Caller& caller) {
        return fs.copy(caller, *source, from_offset, *target, to_offset, length);
      },
      answer_count);
}

void op_lseek(fuse_req_t request, fuse_ino_t, off_t offset, int whence, fuse_file_info* info) {
  Reply(request).position(context_of(request).filesystem.seek(file_of(info), offset, whence));
}

// Only the control file has any. ENOSYS is what the kernel makes ENOTTY of.
void op_ioctl(fuse_req_t request, fuse_ino_t inode, unsigned command, void*, fuse_file_info* info,
              unsigned flags, const void* in, std::size_t in_size, std::size_t) {
  const bool ours = id_of(inode) == kVirtualControl && (flags & FUSE_IOCTL_DIR) == 0 &&
                    in_size > 0 && command == control_ioctl(in_size);
  if (!ours) return Reply(request).error(Errno{ENOSYS});
  ask_control(request, std::string(static_cast<const char*>(in), in_size), info, Access::read_only,
              [](Reply& reply, std::size_t) { reply.controlled(); });
}

}  // namespace

void add_data_operations(fuse_lowlevel_ops& table) {
  table.open = kCounted<RequestKind::open, op_open>;
  table.create = kCounted<RequestKind::create, op_create>;
  table.tmpfile = kCounted<RequestKind::tmpfile, op_tmpfile>;
  table.release = kCounted<RequestKind::release, op_release>;
  table.read = kCounted<RequestKind::read, op_read>;
  table.write = kCounted<RequestKind::write, op_write>;
  table.fsync = kCounted<RequestKind::fsync, op_fsync>;
  table.fsyncdir = kCounted<RequestKind::fsyncdir, op_fsyncdir>;
  table.fallocate = kCounted<RequestKind::fallocate, op_fallocate>;
  table.copy_file_range = kCounted<RequestKind::copy_file_range, op_copy_file_range>;
  table.ioctl = kCounted<RequestKind::ioctl, op_ioctl>;
  table.lseek = kCounted<RequestKind::lseek, op_lseek>;
}

}  // namespace ebbfs
