// SPDX-License-Identifier: Apache-2.0
//
// The byte form of values: integers little-endian at full width, strings and lists behind a 32-bit
// count, structs as their fields in order. A struct takes part by one function
//   template <typename Io, Same<Struct> T> void fields(Io& io, T& value) { io(value.a, value.b); }
// which serves both directions, so they cannot differ. The form is canonical: what decodes at all
// encodes to the same bytes. Pure.
#pragma once

#include <array>
#include <bit>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "index/result.h"
#include "index/types.h"

namespace ebbfs {

// `T` is `Struct`, const or not.
template <typename T, typename Struct>
concept Same = std::same_as<std::remove_const_t<T>, Struct>;

// An enumeration has the enumerators 0 to LastEnumerator<E>::kValue; anything above is refused.
template <typename E>
struct LastEnumerator;
template <typename E>
concept Enumerated = std::is_enum_v<E> && std::same_as<std::underlying_type_t<E>, std::uint8_t>;

template <typename T>
concept Identity = std::is_enum_v<T> && std::same_as<std::underlying_type_t<T>, std::uint64_t>;

class Encoder {
 public:
  Encoder() { out_.reserve(kTypicalBytes); }

  template <typename... T>
  void operator()(const T&... values) {
    (put(values), ...);
  }
  [[nodiscard]] std::string take() { return std::move(out_); }

 private:
  static constexpr std::size_t kTypicalBytes = 512;

  template <std::integral T>
  void put(T value) {
    auto bits = static_cast<std::make_unsigned_t<T>>(value);
    std::array<char, sizeof(T)> bytes;
    for (char& byte : bytes) {
      byte = static_cast<char>(static_cast<unsigned char>(bits));
      if constexpr (sizeof(T) > 1) bits >>= 8;
    }
    out_.append(bytes.data(), bytes.size());
  }
  void put(bool value) { out_.push_back(value ? '\1' : '\0'); }
  template <Identity T>
  void put(T value) {
    put(raw(value));
  }
  template <Enumerated T>
  void put(T value) {
    put(std::to_underlying(value));
  }
  void put(const std::string& value) {
    put(static_cast<std::uint32_t>(value.size()));
    out_.append(value);
  }
  void put(WallTime value) { put(value.time_since_epoch().count()); }
  void put(Duration value) { put(value.count()); }
  void put(Bytes value) { put(value.n); }
  template <std::size_t N>
  void put(const std::array<std::uint8_t, N>& value) {
    for (const std::uint8_t byte : value) put(byte);
  }
  void put(const FileHandle& value) {
    put(value.type);
    put(value.size);
    for (std::size_t i = 0; i < std::min<std::size_t>(value.size, FileHandle::kMaxBytes); ++i) {
      put(value.data[i]);
    }
  }
  template <typename T>
  void put(const std::vector<T>& values) {
    put(static_cast<std::uint32_t>(values.size()));
    for (const T& value : values) put(value);
  }
  template <typename T>
    requires std::is_class_v<T>
  void put(const T& value) {
    fields(*this, value);
  }

  std::string out_;
};

// Once something does not fit, everything after reads as zero and done() is false.
class Decoder {
 public:
  explicit Decoder(std::string_view bytes) : rest_(bytes) {}

  template <typename... T>
  void operator()(T&... values) {
    (get(values), ...);
  }
  // All was well-formed and nothing is left.
  [[nodiscard]] bool done() const { return ok_ && rest_.empty(); }

 private:
  std::string_view take(std::size_t count) {
    if (count > rest_.size()) ok_ = false;
    if (!ok_) return {};
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }
  template <std::integral T>
  void get(T& value) {
    std::make_unsigned_t<T> bits = 0;
    unsigned shift = 0;
    for (const char byte : take(sizeof(T))) {
      bits = static_cast<std::make_unsigned_t<T>>(
          bits | static_cast<std::make_unsigned_t<T>>(static_cast<unsigned char>(byte)) << shift);
      shift += 8;
    }
    value = static_cast<T>(bits);
  }
  void get(bool& value) {
    std::uint8_t byte = 0;
    get(byte);
    if (byte > 1) ok_ = false;
    value = byte == 1;
  }
  template <Identity T>
  void get(T& value) {
    std::uint64_t number = 0;
    get(number);
    value = T{number};
  }
  template <Enumerated T>
  void get(T& value) {
    std::uint8_t number = 0;
    get(number);
    if (number > std::to_underlying(LastEnumerator<T>::kValue)) ok_ = false;
    value = ok_ ? T{number} : T{};
  }
  void get(std::string& value) {
    std::uint32_t size = 0;
    get(size);
    value = take(size);
  }
  void get(WallTime& value) {
    Duration since{};
    get(since);
    value = WallTime{since};
  }
  void get(Duration& value) {
    Duration::rep count = 0;
    get(count);
    value = Duration{count};
  }
  void get(Bytes& value) { get(value.n); }
  template <std::size_t N>
  void get(std::array<std::uint8_t, N>& value) {
    for (std::uint8_t& byte : value) get(byte);
  }
  void get(FileHandle& value) {
    get(value.type);
    get(value.size);
    if (value.size > FileHandle::kMaxBytes) ok_ = false;
    if (!ok_) value.size = 0;
    for (std::size_t i = 0; i < value.size; ++i) get(value.data[i]);
  }
  // Never reserves by the count: it may be nonsense. Each element takes bytes, so the loop ends.
  template <typename T>
  void get(std::vector<T>& values) {
    std::uint32_t count = 0;
    get(count);
    for (std::uint32_t i = 0; i < count && ok_; ++i) get(values.emplace_back());
  }
  template <typename T>
    requires std::is_class_v<T>
  void get(T& value) {
    fields(*this, value);
  }

  std::string_view rest_;
  bool ok_ = true;
};

// `value` behind a version byte, and back. EBADMSG for any other version, for short or trailing
// bytes and for values that encode() does not write.
template <typename T>
[[nodiscard]] std::string encode_versioned(std::uint8_t version, const T& value) {
  Encoder out;
  out(version, value);
  return out.take();
}

template <typename T>
[[nodiscard]] Result<T> decode_versioned(std::uint8_t version, std::string_view bytes) {
  Decoder in(bytes);
  std::uint8_t found = 0;
  T value{};
  in(found);
  if (found != version) return fail(EBADMSG);
  in(value);
  if (!in.done()) return fail(EBADMSG);
  return value;
}

}  // namespace ebbfs
