// SPDX-License-Identifier: Apache-2.0
//
// How messages name a word that somebody wrote, and the one that was meant. Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ebbfs {

// `text` between double quotes, fit for one line of a message.
[[nodiscard]] std::string quoted(std::string_view text);
// "; did you mean X?" for the word that `word` is most like, empty when it is like none.
[[nodiscard]] std::string did_you_mean(std::string_view word,
                                       const std::vector<std::string>& known);

}  // namespace ebbfs
