// SPDX-License-Identifier: Apache-2.0
//
// The virtual directory `.ebbfs` in the root of the mount, and `control` in it: one exchange per
// open file, a JSON request written (or, on a read-only mount, handed over by ioctl), a JSON reply
// read. Not on the volume; absent from readdir of the root, so that `rm -rf` and `git status` do
// not meet it.
//
// Threading: all from any thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "fs/backing.h"
#include "fs/control_protocol.h"
#include "fs/filesystem.h"
#include "index/mutex.h"
#include "index/result.h"

namespace ebbfs {

inline constexpr NodeId kVirtualDirectory{0xFFFF'FFFF'FFFF'FF01};
inline constexpr NodeId kVirtualControl{0xFFFF'FFFF'FFFF'FF02};

class VirtualFiles {
 public:
  // `answer` runs a request (JSON text, as from `caller`) and returns the reply; it may take long
  // and is called without locks.
  using Answer =
      std::function<std::string(const Caller& caller, std::string_view request, Access access)>;
  explicit VirtualFiles(Answer answer);

  [[nodiscard]] static bool owns(NodeId inode) { return raw(inode) >= raw(kVirtualDirectory); }
  // Whether `name` in `parent` is for us.
  [[nodiscard]] static bool owns(NodeId parent, const char* name);

  [[nodiscard]] Result<Entry> lookup(NodeId parent, const char* name) const;
  [[nodiscard]] Result<Attributes> attributes(NodeId inode) const;

  // One exchange. The longest request is kRequestMax (fs/control_protocol.h) bytes (EMSGSIZE
  // beyond).
  class Exchange {
   public:
    [[nodiscard]] Status ask(const Answer& answer, const Caller& caller, std::string_view text,
                             Access access);
    // Up to `size` bytes of the reply from `offset` on; empty at its end. EINVAL before a request.
    [[nodiscard]] Result<std::string> read(std::size_t size, off_t offset) const;

   private:
    mutable Mutex mu_;
    bool asked_ GUARDED_BY(mu_) = false;
    std::string reply_ GUARDED_BY(mu_);
  };
  [[nodiscard]] const Answer& answer() const { return answer_; }

 private:
  const Answer answer_;
  const std::int64_t started_;  // seconds; the files' times
};

}  // namespace ebbfs
