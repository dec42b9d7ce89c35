// SPDX-License-Identifier: Apache-2.0
//
// A directory of its own for one test, removed at the end with all that is in it. Paths are given
// relative to it; what cannot be done fails the test. Threading: none of its own.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace ebbfs {

class TempTree {
 public:
  TempTree();  // below $TMPDIR, else /tmp
  explicit TempTree(const std::filesystem::path& parent);
  ~TempTree();
  TempTree(const TempTree&) = delete;
  TempTree& operator=(const TempTree&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::filesystem::path at(std::string_view relative) const;

  // Makes missing parents.
  void make_dir(std::string_view relative) const;
  void write_file(std::string_view relative, std::string_view content) const;

  [[nodiscard]] std::string read_file(std::string_view relative) const;
  [[nodiscard]] bool exists(std::string_view relative) const;  // of a symlink: itself
  // Names in one directory, sorted.
  [[nodiscard]] std::vector<std::string> list(std::string_view relative = "") const;

 private:
  std::filesystem::path path_;
};

}  // namespace ebbfs
