// SPDX-License-Identifier: Apache-2.0
//
// TOML text to a table, whatever the text: a broken file is refused with its place, as the daemon
// that reloads it must live on. Pure.
#pragma once

#include <expected>
#include <string_view>

#include "policy/toml_reader.h"

namespace ebbfs {

[[nodiscard]] std::expected<toml::table, Complaint> parse_toml(std::string_view text);

}  // namespace ebbfs
