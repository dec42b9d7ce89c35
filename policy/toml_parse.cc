// SPDX-License-Identifier: Apache-2.0
#include "policy/toml_parse.h"

#include <algorithm>
#include <optional>
#include <string>

namespace ebbfs {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool is_ascii(char c) { return static_cast<unsigned char>(c) < 0x80; }
bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// Where the text is, as far as it matters here: what ends the string or comment that it is in.
class Lexer {
 public:
  [[nodiscard]] bool in_string_or_comment() const { return !end_.empty(); }

  // Takes what stands at the front of `rest`; returns its length.
  std::size_t take(std::string_view rest) {
    if (end_.empty()) return open(rest);
    if (rest.front() == '\\' && end_.front() == '"') return std::min<std::size_t>(2, rest.size());
    if (rest.starts_with(end_)) return close(rest);
    if (rest.front() == '\n' && end_.size() == 1) end_ = {};  // a string that was not closed
    return 1;
  }

 private:
  std::size_t open(std::string_view rest) {
    if (rest.starts_with(R"(""")") || rest.starts_with("'''")) {
      end_ = rest.substr(0, 3);
    } else if (rest.front() == '"' || rest.front() == '\'') {
      end_ = rest.substr(0, 1);
    } else if (rest.front() == '#') {
      end_ = "\n";
    }
    return std::max<std::size_t>(end_.size(), 1);
  }
  // Up to two quotes may stand in front of the three that close.
  std::size_t close(std::string_view rest) {
    std::size_t length = end_.size();
    while (end_.size() == 3 && length < 5 && length < rest.size() && rest[length] == end_[0]) {
      ++length;
    }
    end_ = {};
    return length;
  }

  std::string_view end_;
};

// The first character outside strings and comments that is not ASCII. TOML has none there, and
// toml++ 3.3 runs into undefined behaviour on some of them (U+00A1 to U+0499).
std::optional<FilePlace> stray_character(std::string_view text) {
  FilePlace at{.line = 1, .column = 1};
  Lexer lexer;
  while (!text.empty()) {
    if (!lexer.in_string_or_comment() && !is_ascii(text.front())) return at;
    const std::size_t length = lexer.take(text);
    for (const char c : text.substr(0, length)) {
      if (c == '\n') {
        at = {.line = at.line + 1, .column = 1};
      } else if (!continues_character(c)) {
        ++at.column;
      }
    }
    text.remove_prefix(length);
  }
  return std::nullopt;
}

}  // namespace

std::expected<toml::table, Complaint> parse_toml(std::string_view text) {
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  if (const auto place = stray_character(text)) {
    return std::unexpected(
        Complaint{*place, "syntax: expected TOML, got a character that belongs between quotes"});
  }
  toml::parse_result parsed = toml::parse(text);
  if (parsed) return std::move(parsed).table();
  const toml::parse_error& error = parsed.error();
  const toml::source_position& at = error.source().begin;
  return std::unexpected(
      Complaint{{.line = at.line, .column = at.column},
                "syntax: expected TOML, got: " + std::string(error.description())});
}

}  // namespace ebbfs
