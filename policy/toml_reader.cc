// SPDX-License-Identifier: Apache-2.0
#include "policy/toml_reader.h"

#include <algorithm>
#include <charconv>
#include <system_error>

#include "policy/words.h"

namespace ebbfs {
namespace {

constexpr std::string_view kCountForm = "a number, zero or more";
constexpr std::string_view kTableForm = "a table";

FilePlace place_in(const toml::source_region& region) {
  return {region.begin.line, region.begin.column};
}

std::string describe(const toml::node& node) {
  if (const auto* text = node.as_string()) return quoted(text->get());
  if (const auto* number = node.as_integer()) return "the number " + std::to_string(number->get());
  if (node.is_floating_point()) return "a number with a fraction";
  if (const auto* truth = node.as_boolean()) return truth->get() ? "true" : "false";
  if (node.is_array()) return "an array";
  if (node.is_table()) return "a table";
  return "a date or time";
}

// "85%" is 0.85. The exponent does what a division would, without its rounding, so that to_toml can
// write every fraction exactly.
std::optional<double> parse_percent(std::string_view text) {
  if (!text.ends_with('%')) return std::nullopt;
  text.remove_suffix(1);
  const std::size_t dot = text.find('.');
  if (text.empty() || dot == 0 || dot == text.size() - 1 || std::ranges::count(text, '.') > 1 ||
      text.find_first_not_of("0123456789.") != std::string_view::npos) {
    return std::nullopt;
  }
  const std::string scaled = std::string(text) + "e-2";
  double fraction = 0;
  const auto [end, error] = std::from_chars(scaled.data(), scaled.data() + scaled.size(), fraction);
  if (error != std::errc{} || fraction > 1) return std::nullopt;
  return fraction;
}

// Without a unit "85" could be meant as a percent, so it is nothing here.
std::optional<Threshold> parse_threshold(std::string_view text) {
  if (const auto fraction = parse_percent(text)) return Threshold{.fraction = fraction};
  const bool has_unit = text.find_first_not_of("0123456789.") != std::string_view::npos;
  const auto bytes = has_unit ? parse_bytes(text) : std::nullopt;
  if (!bytes) return std::nullopt;
  return Threshold{.bytes = bytes};
}

}  // namespace

const toml::node* TableReader::find(std::string_view key) {
  known_.emplace_back(key);
  return table_.get(key);
}

FilePlace TableReader::place() const { return place_in(table_.source()); }

FilePlace TableReader::place_of(std::string_view key) const {
  const toml::node* node = table_.get(key);
  return node == nullptr ? place() : place_in(node->source());
}

std::string TableReader::found(std::string_view key) const {
  const toml::node* node = table_.get(key);
  return node == nullptr ? "nothing" : describe(*node);
}

void TableReader::complain(FilePlace place, std::string_view key, std::string_view expected,
                           std::string_view found) {
  std::string what;
  what.append(key).append(": expected ").append(expected).append(", got ").append(found);
  complaints_.push_back({place, std::move(what)});
}

void TableReader::refuse(std::string_view key, std::string_view expected, const toml::node& found) {
  complain(place_in(found.source()), key, expected, describe(found));
}

void TableReader::read(std::string_view key, Duration& out, DurationForm form) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  const auto text = node->value<std::string_view>();
  const auto duration = text ? parse_duration(*text) : std::nullopt;
  if (!duration) {
    return refuse(key, form.none ? "a duration such as 24h, or none" : "a duration such as 24h",
                  *node);
  }
  if (*duration == kNoLimit && !form.none) return refuse(key, "a duration such as 24h", *node);
  if (*duration == Duration::zero() && !form.zero) {
    return refuse(key, "a duration above zero", *node);
  }
  out = *duration;
}

void TableReader::read(std::string_view key, Threshold& out) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  const auto text = node->value<std::string_view>();
  const auto threshold = text ? parse_threshold(*text) : std::nullopt;
  if (!threshold) {
    return refuse(key, "a percent from 0% to 100%, or a size with a unit such as 10GiB", *node);
  }
  out = *threshold;
}

void TableReader::read_percent(std::string_view key, double& out) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  const auto text = node->value<std::string_view>();
  const auto fraction = text ? parse_percent(*text) : std::nullopt;
  if (!fraction) return refuse(key, "a percent from 0% to 100%", *node);
  out = *fraction;
}

void TableReader::read(std::string_view key, std::uint64_t& out) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  const auto* number = node->as_integer();
  if (number == nullptr || number->get() < 0) return refuse(key, kCountForm, *node);
  out = static_cast<std::uint64_t>(number->get());
}

void TableReader::read(std::string_view key, std::optional<std::int64_t>& out) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  if (node->value<std::string_view>() == "none") {
    out.reset();
    return;
  }
  const auto* number = node->as_integer();
  if (number == nullptr || number->get() < 0) {
    return refuse(key, "a number, zero or more, or none", *node);
  }
  out = number->get();
}

void TableReader::read(std::string_view key, std::optional<Bytes>& out) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  const auto text = node->value<std::string_view>();
  if (text == "none") {
    out.reset();
    return;
  }
  const auto* number = node->as_integer();
  auto bytes = text ? parse_bytes(*text) : std::nullopt;
  if (number != nullptr && number->get() >= 0) bytes = Bytes{number->get()};
  if (!bytes) return refuse(key, "a size such as 10GiB, or none", *node);
  out = bytes;
}

std::optional<std::size_t> TableReader::read_word(std::string_view key,
                                                  std::initializer_list<std::string_view> words) {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  const auto text = node->value<std::string_view>();
  const auto* const found = text ? std::ranges::find(words, *text) : words.end();
  if (found != words.end()) return static_cast<std::size_t>(found - words.begin());
  std::string expected;
  for (const std::string_view word : words)
    expected += (expected.empty() ? "" : " or ") + quoted(word);
  refuse(key, expected, *node);
  return std::nullopt;
}

std::optional<PlacedString> TableReader::required_string(std::string_view key,
                                                         std::string_view form) {
  const toml::node* node = find(key);
  if (node == nullptr) {
    complain(place(), key, form, "nothing");
    return std::nullopt;
  }
  const auto text = node->value<std::string>();
  if (!text || text->empty()) {
    refuse(key, form, *node);
    return std::nullopt;
  }
  return PlacedString{*text, place_in(node->source())};
}

std::vector<PlacedString> TableReader::required_strings(std::string_view key,
                                                        std::string_view form) {
  std::vector<PlacedString> strings;
  const toml::node* node = find(key);
  const toml::array* array = node == nullptr ? nullptr : node->as_array();
  if (node == nullptr) {
    complain(place(), key, form, "nothing");
  } else if (array == nullptr) {
    refuse(key, form, *node);
  } else if (array->empty()) {
    complain(place_in(node->source()), key, form, "an empty array");
  } else {
    for (const toml::node& element : *array) {
      if (const auto text = element.value<std::string>()) {
        strings.push_back({*text, place_in(element.source())});
      } else {
        refuse(key, form, element);
      }
    }
  }
  return strings;
}

const toml::table* TableReader::table(std::string_view key) {
  const toml::node* node = find(key);
  if (node == nullptr) return nullptr;
  if (!node->is_table()) refuse(key, kTableForm, *node);
  return node->as_table();
}

std::optional<std::vector<const toml::table*>> TableReader::tables(std::string_view key) {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  std::vector<const toml::table*> found;
  const std::string form = "[[" + std::string(key) + "]] tables";
  if (const toml::array* array = node->as_array()) {
    for (const toml::node& element : *array) {
      if (element.is_table()) {
        found.push_back(element.as_table());
      } else {
        refuse(key, form, element);
      }
    }
  } else {
    refuse(key, form, *node);
  }
  return found;
}

void TableReader::misplaced(std::string_view key, std::string_view expected) {
  const toml::node* node = find(key);
  if (node != nullptr) complain(place_in(node->source()), key, expected, "it here");
}

void TableReader::finish() {
  for (const auto& [key, node] : table_) {
    if (std::ranges::find(known_, key.str()) != known_.end()) continue;
    complain(place_in(key.source()), key.str(), "a key that exists here",
             "an unknown one" + did_you_mean(key.str(), known_));
  }
}

}  // namespace ebbfs
