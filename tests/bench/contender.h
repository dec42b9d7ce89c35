// SPDX-License-Identifier: Apache-2.0
//
// What is measured: a directory of a backing filesystem, as it is or seen through a FUSE filesystem
// that mirrors it. Each contender of one ground has a directory of its own on the same filesystem.
// Threading: one thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace ebbfs::bench {

// Runs `command` in `directory`; throws std::runtime_error with what it said when it fails.
void must(const std::string& command, const std::string& directory = "/");

struct Contender {
  std::string name;   // column of the table: "ebbfs"
  std::string color;  // of its bars
  // Command that serves `{backing}` at `{mount}` in the foreground; empty: nothing is mounted.
  std::string command;
  bool in_place = false;  // `{mount}` is `{backing}` itself

  // Why it cannot take part here; empty when it can.
  [[nodiscard]] std::string missing() const;
};

// Native first. `binaries`: the directory of ebbfs.
[[nodiscard]] std::vector<Contender> contenders(const std::string& binaries,
                                                const std::string& scratch);

// The filesystem that all contenders of one ground share: a tmpfs, or an XFS in a loop image below
// `scratch`. Throws std::runtime_error.
class Ground {
 public:
  Ground(const std::string& filesystem, const std::string& scratch, const std::string& size);
  ~Ground();
  Ground(const Ground&) = delete;
  Ground& operator=(const Ground&) = delete;
  // Makes a directory there.
  [[nodiscard]] std::string directory(const std::string& name) const;

 private:
  std::string path_;
  std::string image_;
};

// A contender at work on `backing`. Throws std::runtime_error when it does not come up.
class Served {
 public:
  Served(const Contender& contender, const std::string& backing);
  ~Served();
  Served(const Served&) = delete;
  Served& operator=(const Served&) = delete;

  [[nodiscard]] const std::string& path() const { return mount_; }
  // Of the daemon; 0 where there is none.
  [[nodiscard]] std::int64_t resident_bytes() const;
  [[nodiscard]] std::int64_t descriptors() const;

 private:
  void stop();

  std::string mount_;
  pid_t daemon_ = 0;
};

}  // namespace ebbfs::bench
