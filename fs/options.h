// SPDX-License-Identifier: Apache-2.0
//
// The command line of ebbfs(8) as values.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "fs/backing.h"

namespace ebbfs {

struct Options {
  std::string mountpoint;          // absolute, without a trailing slash
  std::string backing;             // absolute; equal to mountpoint when mounted in place
  std::string policy;              // file, empty: the built-in default
  std::string metrics;             // ADDR:PORT, empty: none
  std::string transport = "auto";  // "auto", "io_uring" or "dev"
  std::string log_level = "info";
  bool foreground = false;
  bool forget = false;                // remove .ebbfs/ of `mountpoint`, mount nothing
  bool yes = false;                   // without asking
  std::int64_t passthrough_from = 0;  // bytes; < 0: never
  AccessTimes access_times;
  std::vector<std::string> mount_options;
};

// What main is to do instead of mounting: `text` is help (exit code 0) or what is wrong (2).
struct OptionsExit {
  int exit_code = 0;
  std::string text;
};

// Of -o, ours are taken out: policy=FILE, backing=DIR, metrics=ADDR, transport=NAME,
// passthrough_from=BYTES, and those about access times, of which noatime and nodiratime go to the
// kernel as well; those that only mount(8) knows (defaults, noauto, _netdev, x-*...) dropped.
[[nodiscard]] std::variant<Options, OptionsExit> parse_options(int argc, const char* const* argv);

}  // namespace ebbfs
