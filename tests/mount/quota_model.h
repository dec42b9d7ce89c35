// SPDX-License-Identifier: Apache-2.0
//
// What a volume with limits should do, in a few maps: names, inodes, limits. Slow and plain, so
// that it can be believed. Nothing here knows how ebbfs counts: usage is counted anew from the maps
// whenever it is asked for. Threading: none of its own.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/mount/quota_scopes.h"

namespace ebbfs::test {

struct ModelInode {
  char kind = 'f';  // f, d, l (symlink), p (fifo)
  std::int64_t size = 0;
  Paying who = {};
  int links = 1;
  int opens = 0;
  UnitPlace place = {};  // of one of its names, or the last that it had
};

struct ModelLimit {
  std::int64_t bytes = kUnlimited;
  std::int64_t inodes = kUnlimited;
};

class QuotaModel {
 public:
  std::map<std::string, int> names;  // path to inode
  std::map<int, ModelInode> inodes;
  Counted trash;

  [[nodiscard]] ByScope usage() const;
  [[nodiscard]] ModelInode* at(const std::string& path);
  [[nodiscard]] const ModelInode* at(const std::string& path) const;
  [[nodiscard]] std::vector<std::string> below(const std::string& path) const;  // not itself
  [[nodiscard]] bool empty(const std::string& path) const { return below(path).empty(); }
  // Some file below `path`, or itself, that is no directory and has several names.
  [[nodiscard]] bool has_linked(const std::string& path) const;
  // Whether each inode has a name, so that a walk of the tree finds it.
  [[nodiscard]] bool only_named() const;
  [[nodiscard]] bool has_open(const UnitPlace& place) const;

  int make(const std::string& path, const ModelInode& inode);
  void link(int inode, const std::string& path);
  // The name only; the inode goes with its last name and close.
  void unlink(const std::string& path);
  void close(int inode);
  void move(const std::string& from, const std::string& to);
  void exchange(const std::string& one, const std::string& other);
  // To the trash.
  void expire(const std::string& unit);

 private:
  void drop_if_gone(int inode);
  // The unit is no more; files of it that are open still count for its class and job.
  void dissolve(const std::string& unit);
  void rename_unit(const std::string& from, const std::string& to);
  // Open files without a name go where the top of their unit goes.
  void carry_nameless(const std::string& from, const std::string& to);
  void place_names();
};

// Whether a unit that is renamed so stays the same unit.
[[nodiscard]] bool keeps_unit(const UnitPlace& from, const UnitPlace& to);

using Limits = std::map<std::string, ModelLimit>;
// 0, EDQUOT or ENOSPC for a change of usage from `before` to `peak`.
[[nodiscard]] int refusal(const Limits& limits, const ByScope& before, const ByScope& peak);

}  // namespace ebbfs::test
