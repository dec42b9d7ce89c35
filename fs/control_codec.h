// SPDX-License-Identifier: Apache-2.0
//
// How a view becomes JSON and comes back from one list of its fields, so that writing and reading
// cannot differ. A view has a function
//
//   template <typename Visitor, Like<UnitsView> View>
//   void fields(Visitor& v, View& view) {
//     v.field("total", view.total);
//   }
//
// and its .cc file instantiates to_json and from_json for it. Included by those .cc files only.
// Pure.
#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "fs/control_json.h"
#include "index/result.h"
#include "index/types.h"

namespace ebbfs {

// `View` or `const View`: the same list serves reading and writing.
template <typename T, typename View>
concept Like = std::same_as<std::remove_const_t<T>, View>;

class FieldWriter {
 public:
  template <typename T>
  void field(const char* key, const T& value) {
    out_[key] = write(value);
  }
  void path(const char* key, const std::string& value) { put_path(out_, key, value); }
  // Null where `known` does not hold, as a reader of JSON takes a zero or "" for what it says.
  template <typename T>
  void field_if(bool known, const char* key, const T& value) {
    out_[key] = known ? write(value) : nlohmann::json();
  }
  void text(const char* key, const std::string& value) { field_if(!value.empty(), key, value); }
  // A path that is never the root's.
  void place(const char* key, const std::string& value) {
    if (value.empty()) {
      out_[key] = nlohmann::json();
    } else {
      path(key, value);
    }
  }
  void usage(const Usage& value) {
    field("bytes", value.bytes);
    field("inodes", value.inodes);
  }
  [[nodiscard]] nlohmann::json take() { return std::move(out_); }

 private:
  template <std::integral T>
  static nlohmann::json write(T value) {
    return value;
  }
  static nlohmann::json write(const std::string& value) { return value; }
  static nlohmann::json write(Bytes value) { return value.n; }
  static nlohmann::json write(WallTime value) { return format_time(value); }
  static nlohmann::json write(Duration value) { return seconds_of(value); }
  template <typename T>
  static nlohmann::json write(const std::optional<T>& value) {
    return value ? write(*value) : nlohmann::json();
  }
  template <typename T>
  static nlohmann::json write(const std::vector<T>& values) {
    nlohmann::json list = nlohmann::json::array();
    for (const T& value : values) list.push_back(write(value));
    return list;
  }
  template <typename T>
    requires std::is_enum_v<T>
  static nlohmann::json write(T value) {
    return to_string(value);
  }
  template <typename T>
    requires std::is_class_v<T>
  static nlohmann::json write(const T& view) {
    FieldWriter nested;
    fields(nested, view);
    return nested.take();
  }

  nlohmann::json out_ = nlohmann::json::object();
};

// Reads from `in`, which must be an object and outlive the reader. After the first field that is
// missing or malformed, ok() is false.
class FieldReader {
 public:
  explicit FieldReader(const nlohmann::json& in) : in_(in), ok_(in.is_object()) {}

  template <typename T>
  void field(const char* key, T& value) {
    if (!ok_) return;
    const auto at = in_.find(key);
    ok_ = at != in_.end() && read(*at, value);
  }
  void path(const char* key, std::string& value) {
    if (!ok_) return;
    auto text = get_path(in_, key);
    ok_ = text.has_value();
    if (ok_) value = std::move(*text);
  }
  // What is null leaves the value as it is.
  template <typename T>
  void field_if(bool /*known*/, const char* key, T& value) {
    if (!is_null(key)) field(key, value);
  }
  void text(const char* key, std::string& value) {
    if (!is_null(key)) field(key, value);
  }
  void place(const char* key, std::string& value) {
    if (!is_null(key)) path(key, value);
  }
  void usage(Usage& value) {
    field("bytes", value.bytes);
    field("inodes", value.inodes);
  }
  [[nodiscard]] bool ok() const { return ok_; }

 private:
  [[nodiscard]] bool is_null(const char* key) const {
    if (!ok_) return false;
    const auto at = in_.find(key);
    return at != in_.end() && at->is_null();
  }
  static bool read(const nlohmann::json& in, bool& value) {
    if (!in.is_boolean()) return false;
    value = in.get<bool>();
    return true;
  }
  template <std::integral T>
  static bool read(const nlohmann::json& in, T& value) {
    if (in.is_number_unsigned()) return fit(in.get<std::uint64_t>(), value);
    return in.is_number_integer() && fit(in.get<std::int64_t>(), value);
  }
  template <std::integral From, std::integral To>
  static bool fit(From from, To& value) {
    if (!std::in_range<To>(from)) return false;
    value = static_cast<To>(from);
    return true;
  }
  static bool read(const nlohmann::json& in, std::string& value) {
    if (!in.is_string()) return false;
    value = in.get_ref<const std::string&>();
    return true;
  }
  static bool read(const nlohmann::json& in, Bytes& value) { return read(in, value.n); }
  static bool read(const nlohmann::json& in, WallTime& value) {
    const auto time = in.is_string() ? parse_time(in.get_ref<const std::string&>()) : std::nullopt;
    value = time.value_or(value);
    return time.has_value();
  }
  static bool read(const nlohmann::json& in, Duration& value) {
    const auto duration = duration_of(in);
    value = duration.value_or(value);
    return duration.has_value();
  }
  template <typename T>
  static bool read(const nlohmann::json& in, std::optional<T>& value) {
    if (in.is_null()) return true;
    return read(in, value.emplace());
  }
  template <typename T>
  static bool read(const nlohmann::json& in, std::vector<T>& values) {
    if (!in.is_array()) return false;
    values.reserve(in.size());
    for (const nlohmann::json& item : in) {
      if (!read(item, values.emplace_back())) return false;
    }
    return true;
  }
  template <typename T>
    requires std::is_enum_v<T>
  static bool read(const nlohmann::json& in, T& value) {
    if (!in.is_string()) return false;
    value = from_string(in.get_ref<const std::string&>(), T{});
    return true;
  }
  template <typename T>
    requires std::is_class_v<T>
  static bool read(const nlohmann::json& in, T& view) {
    FieldReader nested(in);
    fields(nested, view);
    return nested.ok();
  }

  const nlohmann::json& in_;
  bool ok_;
};

template <typename View>
nlohmann::json to_json(const View& view) {
  FieldWriter writer;
  fields(writer, view);
  return writer.take();
}

template <typename View>
Result<View> from_json(const nlohmann::json& body) {
  View view;
  FieldReader reader(body);
  fields(reader, view);
  if (!reader.ok()) return fail(EBADMSG);
  return view;
}

}  // namespace ebbfs
