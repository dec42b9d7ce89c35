// SPDX-License-Identifier: Apache-2.0
#include "tests/support/temp_tree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <system_error>

namespace ebbfs {
namespace fs = std::filesystem;

TempTree::TempTree() : TempTree(fs::temp_directory_path()) {}

TempTree::TempTree(const fs::path& parent) {
  std::string name = (parent / "ebbfs-test-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) {
    ADD_FAILURE() << "mkdtemp " << name << ": " << std::generic_category().message(errno);
    std::abort();  // anything else would work on, and remove, the wrong place
  }
  path_ = name;
}

TempTree::~TempTree() {
  std::error_code error;
  fs::remove_all(path_, error);
  EXPECT_FALSE(error) << path_ << ": " << error.message();
}

fs::path TempTree::at(std::string_view relative) const { return path_ / relative; }

void TempTree::make_dir(std::string_view relative) const {
  std::error_code error;
  fs::create_directories(at(relative), error);
  EXPECT_FALSE(error) << relative << ": " << error.message();
}

void TempTree::write_file(std::string_view relative, std::string_view content) const {
  std::error_code error;
  fs::create_directories(at(relative).parent_path(), error);
  std::ofstream out(at(relative), std::ios::binary | std::ios::trunc);
  out.write(content.data(), static_cast<std::streamsize>(content.size()));
  out.close();
  EXPECT_TRUE(out) << relative;
}

std::string TempTree::read_file(std::string_view relative) const {
  std::ifstream in(at(relative), std::ios::binary);
  EXPECT_TRUE(in) << relative;
  return {std::istreambuf_iterator<char>(in), {}};
}

bool TempTree::exists(std::string_view relative) const {
  std::error_code error;
  return fs::exists(fs::symlink_status(at(relative), error));
}

std::vector<std::string> TempTree::list(std::string_view relative) const {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(at(relative), error)) {
    names.push_back(entry.path().filename().string());
  }
  EXPECT_FALSE(error) << relative << ": " << error.message();
  std::ranges::sort(names);
  return names;
}

}  // namespace ebbfs
