// SPDX-License-Identifier: Apache-2.0
//
// The text form of what outlives a lost index: `.ebbfs/pins`, a path a line, and `.ebbfs/quotas`,
// a scope a line with its limits before it. Lines that begin with # are comments; in a path or a
// scope a control character, a backslash and a leading # are \xHH. What cannot be read is left out.
// Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "index/record.h"

namespace ebbfs {

[[nodiscard]] std::string pins_text(const std::vector<std::string>& paths);
[[nodiscard]] std::vector<std::string> parse_pins(std::string_view text);

// Exceptions only; how long soft limits have been passed is not kept.
[[nodiscard]] std::string quotas_text(const std::vector<QuotaRecord>& quotas);
[[nodiscard]] std::vector<QuotaRecord> parse_quotas(std::string_view text);

}  // namespace ebbfs
