// SPDX-License-Identifier: Apache-2.0
//
// The table of operations that libfuse calls: decode, call one method, reply. No rule lives here.
// A call that answers kDefer is made again from the worker pool, with its arguments copied: the
// request's buffer is gone once the handler returns. One that answers ENOSPC is, when space may yet
// be freed, parked with the evictor and made again once more.
#pragma once

#include <fuse_lowlevel.h>

#include "fs/evictor.h"
#include "fs/filesystem.h"
#include "fs/request_counts.h"
#include "fs/request_times.h"
#include "fs/tracer.h"
#include "fs/virtual_files.h"
#include "fs/workers.h"

namespace ebbfs {

// What the handlers need; the session's user data. Outlives the session.
struct OpsContext {
  Filesystem& filesystem;
  VirtualFiles& virtual_files;
  Workers& workers;
  Evictor& evictor;
  Tracer& tracer;
  // Of an inode, or of a name in it, for people; empty where there is none to tell.
  std::function<std::string(NodeId, const std::string& name)> path_of;
  // Answers all that has been begun; what comes later is answered by the thread that brings it. Any
  // thread, more than once.
  std::function<void()> finish_requests;
  bool passthrough_wanted = true;
  // Set by INIT, read by status.
  std::atomic<bool> passthrough{false};
  std::atomic<bool> io_uring{false};
  RequestCounts requests{};
  RequestTimes times{};
};

[[nodiscard]] const fuse_lowlevel_ops& operations();

}  // namespace ebbfs
