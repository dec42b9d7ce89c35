// SPDX-License-Identifier: Apache-2.0
//
// A real ebbfs mount for a test: a fresh filesystem (tmpfs, or ext4 or XFS in a loop image) with the
// daemon under test mounted in place over it. Everything is taken down at the end, whatever the test
// did; a hung mount is freed by killing its daemon. Threading: one thread.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace ebbfs::test {

// What a command printed and how it ended.
struct Ran {
  int exit_code = -1;  // 128 + signal when killed
  std::string out;     // stdout and stderr together
};
// Runs `command` with bash in `directory`.
[[nodiscard]] Ran shell(const std::string& command, const std::string& directory = "/");

// Polls until `condition` holds; false when it did not within `patience`.
[[nodiscard]] bool eventually(const std::function<bool()>& condition,
                              std::chrono::milliseconds patience);

struct VolumeOptions {
  std::string filesystem = "tmpfs";  // "tmpfs", "ext4" or "xfs"
  std::string size = "512M";
  std::string policy;     // TOML; empty: the built-in default
  std::string transport;  // of --transport; empty: auto
  std::vector<std::string> arguments;  // further ones for ebbfs
};

class MountedVolume {
 public:
  // Why real mounts cannot be made here, for GTEST_SKIP; nothing when they can.
  [[nodiscard]] static std::optional<std::string> cannot_run(const std::string& filesystem);

  // Makes the filesystem and mounts. Throws std::runtime_error when that fails.
  explicit MountedVolume(VolumeOptions options = {});
  ~MountedVolume();
  MountedVolume(const MountedVolume&) = delete;
  MountedVolume& operator=(const MountedVolume&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string at(const std::string& relative) const { return path_ + "/" + relative; }
  [[nodiscard]] pid_t daemon() const { return daemon_; }

  // Unmounts ebbfs only: the volume is then to be seen as the plain filesystem it is.
  void unmount();
  void mount();
  // kill -9, and the dead mount taken away.
  void kill_daemon();
  void set_policy(const std::string& policy);

  [[nodiscard]] Ran ebbctl(const std::string& arguments) const;
  [[nodiscard]] nlohmann::json json(const std::string& arguments) const;  // of `ebbctl ... --json`

  // bytes (DESIGN 4.4) and inodes below `relative`, counted by find.
  struct Counted {
    std::int64_t bytes = 0;
    std::int64_t inodes = 0;
    bool operator==(const Counted&) const = default;
  };
  [[nodiscard]] Counted count(const std::string& relative = "") const;

 private:
  void make_filesystem();

  const VolumeOptions options_;
  std::string scratch_;  // directory that holds image, policy file and mountpoint
  std::string path_;
  pid_t daemon_ = 0;
  bool mounted_ = false;
};

}  // namespace ebbfs::test
