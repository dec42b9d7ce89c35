// SPDX-License-Identifier: Apache-2.0
//
// Takes typed values out of one table of a policy file. Each method knows one form of value; what
// is wrong is noted, with its place, and the value left as it was. Every key that a method is asked
// for is a known one, so the list of known keys cannot fall behind. Not for sharing between
// threads.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/limits.h"

// Settings of the library, in front of the one include of it. Errors as values: this is code
// without exceptions. And no assertions, which a malformed file trips ("[/x]" does) where the
// parser goes on to report an error; NDEBUG would turn them into promises to the compiler instead.
#undef NDEBUG
#define TOML_ASSERT(expr) static_cast<void>(0)
#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

namespace ebbfs {

// Line and column in the file, from 1.
struct FilePlace {
  std::uint32_t line = 0;
  std::uint32_t column = 0;

  auto operator<=>(const FilePlace&) const = default;
};

struct Complaint {
  FilePlace place;
  std::string what;  // "key: expected this, got that"
};

struct PlacedString {
  std::string text;
  FilePlace place;
};

class TableReader {
 public:
  // Both outlive the reader.
  TableReader(const toml::table& table, std::vector<Complaint>& complaints)
      : table_(table), complaints_(complaints) {}

  // A key that is absent leaves `out` as it is.
  struct DurationForm {
    bool zero = false;  // may be zero
    bool none = false;  // may be "none"
  };
  void read(std::string_view key, Duration& out, DurationForm form);
  void read(std::string_view key, Threshold& out);                    // share or size, with unit
  void read(std::string_view key, std::uint64_t& out);                // a count
  void read(std::string_view key, std::optional<Bytes>& out);         // or "none"
  void read(std::string_view key, std::optional<std::int64_t>& out);  // a count, or "none"
  void read_percent(std::string_view key, double& out);               // 0..1
  // The position in `words` of the one that stands there; nothing when absent or none of them.
  [[nodiscard]] std::optional<std::size_t> read_word(std::string_view key,
                                                     std::initializer_list<std::string_view> words);

  // These complain of an absent key, too. `form` completes "expected".
  [[nodiscard]] std::optional<PlacedString> required_string(std::string_view key,
                                                            std::string_view form);
  [[nodiscard]] std::vector<PlacedString> required_strings(std::string_view key,
                                                           std::string_view form);

  // [key]; null when absent.
  [[nodiscard]] const toml::table* table(std::string_view key);
  // Each [[key]]; nothing when the key is absent, which is not the same as an empty array.
  [[nodiscard]] std::optional<std::vector<const toml::table*>> tables(std::string_view key);

  // Complains of a key that has a meaning elsewhere only, should it be here.
  void misplaced(std::string_view key, std::string_view expected);
  // Complains of every key that none of the above was asked for. Call it last.
  void finish();

  [[nodiscard]] bool has(std::string_view key) const { return table_.contains(key); }
  [[nodiscard]] FilePlace place() const;  // of the table
  // Of a key's value, and the value as messages name it; when absent the table's place, "nothing".
  [[nodiscard]] FilePlace place_of(std::string_view key) const;
  [[nodiscard]] std::string found(std::string_view key) const;
  void complain(FilePlace place, std::string_view key, std::string_view expected,
                std::string_view found);

 private:
  const toml::node* find(std::string_view key);
  void refuse(std::string_view key, std::string_view expected, const toml::node& found);

  const toml::table& table_;
  std::vector<Complaint>& complaints_;
  std::vector<std::string> known_;
};

// `text` between double quotes, fit for one line of a message.
[[nodiscard]] std::string quoted(std::string_view text);
// "; did you mean X?" for the word that `word` is most like, empty when it is like none.
[[nodiscard]] std::string did_you_mean(std::string_view word,
                                       const std::vector<std::string>& known);

}  // namespace ebbfs
