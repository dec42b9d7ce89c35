// SPDX-License-Identifier: Apache-2.0
//
// A real ebbfs mount for a test: a fresh filesystem (tmpfs, or ext4 or XFS in a loop image) with
// the daemon under test mounted in place over it. Everything is taken down at the end, whatever the
// test did; a hung mount is freed by killing its daemon. The test program gets a mount namespace of
// its own, so that no mount is left should it die. Threading: one thread.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "fs/unique_fd.h"

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

// The number in the environment variable `name`, `otherwise` where there is none.
[[nodiscard]] unsigned from_environment(const char* name, unsigned otherwise);

struct VolumeOptions {
  std::string filesystem = "tmpfs";  // "tmpfs", "ext4" or "xfs"
  std::string size = "512M";
  int inodes = 0;                           // of the filesystem, tmpfs and ext4; 0: as it comes
  std::string policy = {};                  // TOML; empty: the built-in default
  std::string transport = {};               // of --transport; empty: auto
  std::vector<std::string> arguments = {};  // further ones for ebbfs
  std::string program = "ebbfs";
  std::string launcher = {};  // runs ebbfs in its place: "prlimit --nofile=4096"
  bool bare = false;          // mount() is left to the test
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
  [[nodiscard]] pid_t daemon() const { return daemon_; }  // 0 while there is none
  [[nodiscard]] bool ended() const;                       // the daemon has, by itself

  // Unmounts ebbfs only: the volume is then to be seen as the plain filesystem it is.
  void unmount();
  void mount();
  // kill -9, and the dead mount taken away.
  void kill_daemon();
  // kill -9 only: what is left answers ENOTCONN.
  void leave_dead_mount();
  // How often a killed daemon could not die until the test aborted its connection.
  [[nodiscard]] int hung() const { return hung_; }
  void set_policy(const std::string& policy);

  [[nodiscard]] Ran ebbctl(const std::string& arguments) const;
  [[nodiscard]] nlohmann::json json(const std::string& arguments) const;  // of `ebbctl ... --json`

  // What the daemon answers to a request that is only its name, in the order that is its choice.
  [[nodiscard]] nlohmann::json asked(std::string_view what) const;
  // The lists in those for units, locks and events.
  [[nodiscard]] nlohmann::json units() const;
  [[nodiscard]] nlohmann::json locks() const;
  [[nodiscard]] nlohmann::json events() const;

  // bytes (DESIGN 4.4) and inodes of `relative` with all that is below, counted file by file; the
  // root itself is not charged.
  struct Counted {
    std::int64_t bytes = 0;
    std::int64_t inodes = 0;
    bool operator==(const Counted&) const = default;
    friend std::ostream& operator<<(std::ostream& out, const Counted& counted) {
      return out << counted.bytes << " bytes, " << counted.inodes << " inodes";
    }
  };
  [[nodiscard]] Counted count(const std::string& relative = "") const;
  // What ebbfs says it holds, of everybody or of one user, as soon as it is exact; -1 where it does
  // not come to be.
  [[nodiscard]] Counted charged(std::optional<uid_t> user = {}) const;
  // Whether charged() comes to equal count(): files are released a little after their close.
  [[nodiscard]] bool counts_right() const;

 private:
  void take_down() const;
  void make_filesystem();
  void run_daemon();

  const VolumeOptions options_;
  // Run through this: other users may not get to the directory that it is in.
  const UniqueFd ebbctl_;
  std::string scratch_;  // directory that holds image, policy file and mountpoint
  std::string path_;
  pid_t daemon_ = 0;
  int hung_ = 0;
  bool mounted_ = false;
};

using Counted = MountedVolume::Counted;

}  // namespace ebbfs::test
