// SPDX-License-Identifier: Apache-2.0
#include "policy/toml_parse.h"

#include <string>

namespace ebbfs {

std::expected<toml::table, Complaint> parse_toml(std::string_view text) {
  toml::parse_result parsed = toml::parse(text);
  if (parsed) return std::move(parsed).table();
  const toml::parse_error& error = parsed.error();
  const toml::source_position& at = error.source().begin;
  return std::unexpected(
      Complaint{{.line = at.line, .column = at.column},
                "syntax: expected TOML, got: " + std::string(error.description())});
}

}  // namespace ebbfs
