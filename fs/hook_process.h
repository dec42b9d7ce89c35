// SPDX-License-Identifier: Apache-2.0
//
// One command of a hook while it runs: a process of its own session and user, with the end of what
// it prints. The daemon keeps none of its own rights in it, nor any descriptor. Not for sharing
// between threads.
#pragma once

#include <sys/types.h>

#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "fs/unique_fd.h"

namespace ebbfs {

// Whom a hook runs as, with all groups.
struct HookUser {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
  std::string home = "/";
};
// Nothing when the host knows no such user. May ask name services. A uid without a name is in no
// group but that of its number.
[[nodiscard]] std::optional<HookUser> find_hook_user(const std::string& name_or_uid);

class HookProcess {
 public:
  // Runs `words` in `directory`, with nothing on standard input, and the environment of a service.
  // The error is for people.
  [[nodiscard]] static std::expected<HookProcess, std::string> start(
      const std::vector<std::string>& words, const HookUser& user, const std::string& directory);
  HookProcess(HookProcess&& other) noexcept;
  HookProcess& operator=(HookProcess&&) = delete;
  HookProcess(const HookProcess&) = delete;
  HookProcess& operator=(const HookProcess&) = delete;
  ~HookProcess();  // kills

  [[nodiscard]] pid_t pid() const { return pid_; }
  // Readable when it has ended.
  [[nodiscard]] int ended_fd() const { return pidfd_.get(); }
  // Readable when there is something to take; -1 once nobody writes any more.
  [[nodiscard]] int output_fd() const { return output_.get(); }
  void take_output();
  // Its wait status, once it has ended.
  [[nodiscard]] std::optional<int> reap();
  // Its whole session at once.
  void kill();
  // The last line that it has printed.
  [[nodiscard]] std::string last_line() const;

  static constexpr std::size_t kKeptMax = 512;  // bytes of what it prints

 private:
  HookProcess(pid_t pid, UniqueFd pidfd, UniqueFd output)
      : pid_(pid), pidfd_(std::move(pidfd)), output_(std::move(output)) {}

  pid_t pid_;  // 0 once reaped
  UniqueFd pidfd_;
  UniqueFd output_;
  std::string printed_;  // the end of it
};

}  // namespace ebbfs
