// SPDX-License-Identifier: Apache-2.0
//
// A small process beside the daemon that frees its users should it die at the wrong moment.
//
// While the daemon tells the kernel to forget a name, it waits in the kernel for the directory of
// that name, where no signal reaches it. A request may hold that directory. If the daemon is killed
// now, nobody will answer the request, so the directory is never free; and the kernel does not take
// the connection for dead as long as a thread of the daemon has it open. All who use the mount hang
// until the connection is aborted from outside. That is what the guardian does, whenever the daemon
// ends without having said so.
//
// It has nothing open but its orders and the abort switch of that one connection (fusectl), and
// works in "/": it keeps no mount alive, nor what is mounted below. Where there is no fusectl (a
// container without CAP_SYS_ADMIN of its host) it says so in the log and does nothing.
// Threading: one thread at a time.
#pragma once

#include <sys/types.h>

#include "fs/unique_fd.h"
#include "index/result.h"

namespace ebbfs {

class Guardian {
 public:
  // Forks, so no other thread may exist, and the calling one has to live as long as the daemon.
  // Errors: those of fork(2) and pipe(2).
  [[nodiscard]] static Result<Guardian> start();
  // Lets it go, and waits until it has.
  ~Guardian();
  Guardian(Guardian&& other) noexcept;
  Guardian& operator=(Guardian&&) = delete;
  Guardian(const Guardian&) = delete;
  Guardian& operator=(const Guardian&) = delete;

  // To be called once mounted; `device`: st_dev of the mount.
  void watch(dev_t device) const;

 private:
  Guardian(UniqueFd orders, pid_t process) : orders_(std::move(orders)), process_(process) {}

  UniqueFd orders_;
  pid_t process_;
};

}  // namespace ebbfs
