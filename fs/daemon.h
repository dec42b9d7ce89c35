// SPDX-License-Identifier: Apache-2.0
//
// One mounted volume from start to end: builds every object in order, serves, and takes all down in
// the opposite order, leaving an exact index and a clean mark.
#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <string>

#include "fs/backing.h"
#include "fs/options.h"
#include "index/store.h"

namespace ebbfs {

// The two doors to the disk, for a program that puts something of its own before them.
struct Seams {
  std::function<Result<std::unique_ptr<Backing>>(const std::string& directory,
                                                 const AccessTimes& access)>
      open_backing = Backing::open;
  // What stands before `store`; both outlive the daemon.
  std::function<Store&(Store& store)> before_store = [](Store& store) -> Store& { return store; };
};

// Mounts and serves until unmounted or told to stop (SIGTERM, SIGINT; SIGHUP reloads the policy).
// `ready` is called once, when requests are about to be served. The value is the process's exit
// code; the error is one line for people, when it could not be mounted.
//
// Signals must be blocked in the calling thread, and no other thread may exist.
[[nodiscard]] std::expected<int, std::string> run_daemon(const Options& options,
                                                         const std::function<void()>& ready,
                                                         const Seams& seams = {});

}  // namespace ebbfs
