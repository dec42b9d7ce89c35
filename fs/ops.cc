// SPDX-License-Identifier: Apache-2.0
#include "fs/ops.h"

#include "fs/ops_run.h"

namespace ebbfs {
namespace {

// At the end of the thread that has answered INIT. libfuse waits for that before it frees its
// rings: whatever would still be answered over one later, by a thread of ours, would be written to
// memory that is gone.
struct LastOfSession {
  OpsContext* context = nullptr;
  LastOfSession() = default;
  LastOfSession(const LastOfSession&) = delete;
  LastOfSession& operator=(const LastOfSession&) = delete;
  ~LastOfSession() {
    if (context != nullptr) context->finish_requests();
  }
};

void op_init(void* data, fuse_conn_info* connection) {
  auto& context = *static_cast<OpsContext*>(data);
  thread_local LastOfSession last;
  last.context = &context;
  for (const std::uint64_t wanted :
       {FUSE_CAP_PARALLEL_DIROPS, FUSE_CAP_CACHE_SYMLINKS, FUSE_CAP_READDIRPLUS,
        FUSE_CAP_NO_OPENDIR_SUPPORT, FUSE_CAP_HANDLE_KILLPRIV_V2, FUSE_CAP_POSIX_ACL,
        FUSE_CAP_DONT_MASK, FUSE_CAP_ATOMIC_O_TRUNC, FUSE_CAP_DIRECT_IO_ALLOW_MMAP,
        FUSE_CAP_ASYNC_READ, FUSE_CAP_OVER_IO_URING}) {
    fuse_set_feature_flag(connection, wanted);
  }
  // Nothing changes behind this mount; locks are the kernel's own; the daemon copies no pages.
  // After a direct write that is asynchronous the kernel leaves cached pages as they were.
  for (const std::uint64_t unwanted :
       {FUSE_CAP_AUTO_INVAL_DATA, FUSE_CAP_ASYNC_DIO, FUSE_CAP_READDIRPLUS_AUTO,
        FUSE_CAP_WRITEBACK_CACHE, FUSE_CAP_POSIX_LOCKS, FUSE_CAP_FLOCK_LOCKS, FUSE_CAP_SPLICE_READ,
        FUSE_CAP_SPLICE_WRITE, FUSE_CAP_SPLICE_MOVE, FUSE_CAP_HANDLE_KILLPRIV}) {
    fuse_unset_feature_flag(connection, unwanted);
  }
  if (context.passthrough_wanted && fuse_set_feature_flag(connection, FUSE_CAP_PASSTHROUGH)) {
    connection->max_backing_stack_depth = 1;
    context.passthrough.store(true);
  }
  connection->no_interrupt = 1;
  connection->time_gran = 1;
}

fuse_lowlevel_ops make_operations() {
  fuse_lowlevel_ops table{};
  table.init = op_init;
  add_name_operations(table);
  add_data_operations(table);
  add_attribute_operations(table);
  return table;
}

}  // namespace

const fuse_lowlevel_ops& operations() {
  static const fuse_lowlevel_ops kOperations = make_operations();
  return kOperations;
}

}  // namespace ebbfs
