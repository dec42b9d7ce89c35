// SPDX-License-Identifier: Apache-2.0
//
// One mounted volume from start to end: builds every object in order, serves, and takes all down in
// the opposite order, leaving an exact index and a clean mark.
#pragma once

#include <expected>
#include <functional>
#include <string>

#include "fs/options.h"

namespace ebbfs {

// Mounts and serves until unmounted or told to stop (SIGTERM, SIGINT; SIGHUP reloads the policy).
// `ready` is called once, when requests are about to be served. The value is the process's exit
// code; the error is one line for people, when it could not be mounted.
//
// Signals must be blocked in the calling thread, and no other thread may exist.
[[nodiscard]] std::expected<int, std::string> run_daemon(const Options& options,
                                                         const std::function<void()>& ready);

}  // namespace ebbfs
