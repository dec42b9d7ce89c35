// SPDX-License-Identifier: Apache-2.0
//
// What requests tell the reaper, and what everybody tells the kernel. Two small seams that keep the
// request path free of threads and of libfuse.
#pragma once

#include <string>

#include "fs/lock_table.h"
#include "fs/node_id.h"
#include "fs/unit_table.h"
#include "index/types.h"

namespace ebbfs {

// The reaper as requests see it. Calls return at once, from any thread.
class Agenda {
 public:
  virtual ~Agenda() = default;
  Agenda(const Agenda&) = delete;
  Agenda& operator=(const Agenda&) = delete;

  // Something is due at `when`: wakes the timer when that is earlier than what it sleeps for.
  virtual void due_at(WallTime when) = 0;
  // The last open file of a unit that was due has been closed.
  virtual void unit_closed(UnitId unit) = 0;
  // A request met the name of a suspect lock. Judges it now and, when its time is over, removes it:
  // true when the name is free. Does not tell the kernel: the request is about that very name.
  // Needs no lock held.
  [[nodiscard]] virtual bool reclaim_if_due(const LockRef& lock) = 0;

 protected:
  Agenda() = default;
};

// The kernel's caches of names and attributes. From threads that serve no request, holding no lock.
class Invalidator {
 public:
  virtual ~Invalidator() = default;
  Invalidator(const Invalidator&) = delete;
  Invalidator& operator=(const Invalidator&) = delete;

  // `name` in `parent` was removed by the daemon and was `child`, kNoNode if the kernel did not
  // know it: watchers see a deletion. Asked for while it was there, as its number may be another's
  // now.
  virtual void removed(InodeId parent, NodeId child, const std::string& name) = 0;
  // `name` in `parent` must be looked up again (it appeared, or is to be judged at each look).
  virtual void changed(InodeId parent, const std::string& name) = 0;
  // `name` was put into `parent` by the daemon: lists and attributes of `parent` are read anew too.
  virtual void appeared(InodeId parent, const std::string& name) = 0;

 protected:
  Invalidator() = default;
};

// Registers backing files with the kernel for passthrough (FUSE_DEV_IOC_BACKING_OPEN).
class BackingIds {
 public:
  virtual ~BackingIds() = default;
  BackingIds(const BackingIds&) = delete;
  BackingIds& operator=(const BackingIds&) = delete;

  // A positive id, or 0 when passthrough cannot be had for this file.
  [[nodiscard]] virtual std::int32_t open(int fd) = 0;
  virtual void close(std::int32_t id) = 0;

 protected:
  BackingIds() = default;
};

}  // namespace ebbfs
