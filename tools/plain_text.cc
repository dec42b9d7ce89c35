// SPDX-License-Identifier: Apache-2.0
//
// The part of render.h that knows characters: what is safe to show and how wide it is.
#include <fmt/format.h>

#include <algorithm>
#include <cwchar>
#include <vector>

#include "fs/control_json.h"
#include "tools/render.h"

namespace ebbfs {
namespace {

struct Character {
  std::string_view bytes;
  char32_t code = 0;
  bool valid = false;  // else one byte that is not UTF-8
};

// The first character of `text`, which is not empty.
Character next_character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const std::size_t length = utf8_length(text);
  if (length == 0) return {text.substr(0, 1), byte(0), false};
  if (length == 1) return {text.substr(0, 1), byte(0), true};
  char32_t code = byte(0) & (0x7FU >> length);
  for (std::size_t i = 1; i < length; ++i) code = (code << 6) | (byte(i) & 0x3FU);
  return {text.substr(0, length), code, true};
}

bool in(char32_t code, char32_t first, char32_t last) { return code >= first && code <= last; }

// Controls, and what is invisible or turns the direction of the text around it.
bool must_escape(char32_t code) {
  return code < 0x20 || in(code, 0x7F, 0x9F) || code == 0xAD || code == 0x61C ||
         in(code, 0x200B, 0x200F) || in(code, 0x2028, 0x202E) || in(code, 0x2060, 0x206F) ||
         code == 0xFEFF || in(code, 0xFFF9, 0xFFFB) || in(code, 0xE0000, 0xE007F);
}

std::string escaped(const Character& character) {
  if (!character.valid) return fmt::format("\\x{:02x}", static_cast<unsigned>(character.code));
  switch (character.code) {
    case '\n':
      return "\\n";
    case '\t':
      return "\\t";
    case '\r':
      return "\\r";
    default:
      break;
  }
  const auto code = static_cast<unsigned>(character.code);
  return code < 0x80 ? fmt::format("\\x{:02x}", code) : fmt::format("\\u{{{:x}}}", code);
}

std::size_t columns(const Character& character) {
  if (!character.valid) return 1;
  const int width = ::wcwidth(static_cast<wchar_t>(character.code));
  // -1: the locale does not know the character; most take one column.
  return width < 0 ? 1 : static_cast<std::size_t>(width);
}

std::vector<Character> characters(std::string_view text) {
  std::vector<Character> all;
  while (!text.empty()) {
    all.push_back(next_character(text));
    text.remove_prefix(all.back().bytes.size());
  }
  return all;
}

}  // namespace

std::string plain(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const Character& character : characters(text)) {
    if (character.valid && !must_escape(character.code)) {
      out += character.bytes;
    } else {
      out += escaped(character);
    }
  }
  return out;
}

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  for (const Character& character : characters(text)) width += columns(character);
  return width;
}

std::string shorten(std::string_view text, std::size_t width, bool unicode) {
  if (display_width(text) <= width) return std::string(text);
  const std::string_view ellipsis = unicode ? "…" : "...";
  const std::size_t kept = width - display_width(ellipsis);
  const std::vector<Character> all = characters(text);
  std::string head;
  std::size_t used = 0;
  auto it = all.begin();
  for (; it != all.end() && used + columns(*it) <= kept / 2; ++it) {
    head += it->bytes;
    used += columns(*it);
  }
  auto tail = all.end();
  while (tail != it && used + columns(*(tail - 1)) <= kept) {
    --tail;
    used += columns(*tail);
  }
  std::string out = head;
  out += ellipsis;
  for (; tail != all.end(); ++tail) out += tail->bytes;
  return out;
}

}  // namespace ebbfs
