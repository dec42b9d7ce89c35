// SPDX-License-Identifier: Apache-2.0
#include "policy/words.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace ebbfs {
namespace {

// Edit distance: how many bytes to add, drop or change.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t change = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = std::exchange(row[j + 1], std::min({change, row[j] + 1, row[j + 1] + 1}));
    }
  }
  return row.back();
}

}  // namespace

std::string quoted(std::string_view text) {
  constexpr std::size_t kShown = 80;
  std::string out = "\"";
  for (const char c : text.substr(0, kShown)) {
    out += static_cast<unsigned char>(c) < ' ' || c == '\x7f' ? '?' : c;
  }
  return out + (text.size() > kShown ? "...\"" : "\"");
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& known) {
  constexpr std::size_t kWorst = 3;
  const std::string* best = nullptr;
  std::size_t best_distance = std::min(kWorst, (word.size() + 1) / 2);
  for (const std::string& candidate : known) {
    const std::size_t d = distance(word, candidate);
    if (d > best_distance || (d == best_distance && best != nullptr)) continue;
    best = &candidate;
    best_distance = d;
  }
  return best == nullptr ? "" : "; did you mean " + *best + "?";
}

}  // namespace ebbfs
