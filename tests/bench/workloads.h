// SPDX-License-Identifier: Apache-2.0
//
// What is done to each contender, in rounds that alternate between them. Threading: one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "tests/bench/contender.h"
#include "tests/bench/figures.h"

namespace ebbfs::bench {

// How much of everything.
struct Scale {
  int rounds = 5;
  int repository_files = 5'000;
  int operations = 2'000;         // of a loop
  int directory_files = 100'000;  // in one directory
  int walked_files = 300'000;
  std::int64_t large_bytes = std::int64_t{512} << 20;  // fio with 1 MiB
  std::int64_t small_bytes = std::int64_t{96} << 20;   // fio with 4 KiB
  bool fio = true;
};
[[nodiscard]] Scale quick_scale();

// Made once, outside of all contenders.
struct Material {
  std::string repository;  // bare
  std::string archive;     // tar of its files
};
// Throws std::runtime_error.
[[nodiscard]] Material make_material(const std::string& directory, const Scale& scale);

using Report = std::function<void(const Line& line, double value)>;

// Before the contender is mounted, on its backing directory.
void prepare(const std::string& backing, const Material& material, const Scale& scale);
// What is looked at for the first time after mounting.
void run_cold(const Served& served, const Scale& scale, const Report& report);
void run_git(const Served& served, int round, const Report& report);
void run_tar(const Served& served, const Material& material, int round, const Report& report);
void run_loops(const Served& served, const Scale& scale, int round, const Report& report);
void run_fio(const Served& served, const Scale& scale, const Report& report);
// Many files known to the daemon: the last, as it fills its memory.
void run_walk(const Served& served, const Scale& scale, const Report& report);

}  // namespace ebbfs::bench
