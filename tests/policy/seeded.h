// SPDX-License-Identifier: Apache-2.0
//
// Random input for tests that compare with a model. The seed is new in each run and part of every
// failure message; EBBFS_TEST_SEED=N replays one. For one thread.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace ebbfs {

class Seeded {
 public:
  Seeded() : seed_(choose_seed()), engine_(seed_) {}

  [[nodiscard]] std::string message() const {
    return "replay with EBBFS_TEST_SEED=" + std::to_string(seed_);
  }

  // 0..bound-1; `bound` > 0.
  std::size_t below(std::size_t bound) {
    return std::uniform_int_distribution<std::size_t>(0, bound - 1)(engine_);
  }
  std::int64_t between(std::int64_t least, std::int64_t most) {
    return std::uniform_int_distribution<std::int64_t>(least, most)(engine_);
  }
  bool one_in(std::size_t n) { return below(n) == 0; }

  template <typename T>
  const T& pick(const std::vector<T>& from) {
    return from[below(from.size())];
  }
  // `least`..`most` characters of `alphabet`.
  std::string text(std::string_view alphabet, std::size_t least, std::size_t most) {
    std::string out(least + below(most - least + 1), ' ');
    for (char& c : out) c = alphabet[below(alphabet.size())];
    return out;
  }

 private:
  static std::uint64_t choose_seed() {
    const char* const given = std::getenv("EBBFS_TEST_SEED");
    return given == nullptr ? std::random_device{}() : std::strtoull(given, nullptr, 10);
  }

  std::uint64_t seed_;
  std::mt19937_64 engine_;
};

}  // namespace ebbfs
