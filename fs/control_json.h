// SPDX-License-Identifier: Apache-2.0
//
// How the control protocol writes values that JSON has no type for. Times are RFC 3339 in UTC with
// nine digits of fraction, durations are numbers of seconds, sizes integers of bytes. A path is any
// bytes but NUL, and JSON carries text only: a path that is not UTF-8 travels as hexadecimal under
// "KEY_bytes" beside a readable "KEY" with U+FFFD in place of what is not text. Pure functions.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "index/result.h"
#include "index/types.h"

namespace ebbfs {

// "2026-11-23T20:01:07.000000000Z".
[[nodiscard]] std::string format_time(WallTime time);
// The same with 0..9 digits of fraction, UTC ("Z") only, years 1678..2261. Nothing when malformed.
[[nodiscard]] std::optional<WallTime> parse_time(std::string_view text);

// Seconds as a JSON number; exact to the nanosecond up to 10 days, beyond to the microsecond.
[[nodiscard]] nlohmann::json seconds_of(Duration duration);
// Nothing when `value` is no number or out of range (about 292 years either way).
[[nodiscard]] std::optional<Duration> duration_of(const nlohmann::json& value);

// Adds `path` to `object` under `key` (and `key`_bytes where needed).
void put_path(nlohmann::json& object, std::string_view key, std::string_view path);
// Nothing when absent or malformed. The bytes win where both are given.
[[nodiscard]] std::optional<std::string> get_path(const nlohmann::json& object,
                                                  std::string_view key);

// Bytes of the UTF-8 sequence that `text` (not empty) begins with; 0 when it begins with none
// (overlong, surrogate, beyond U+10FFFF, cut).
[[nodiscard]] std::size_t utf8_length(std::string_view text);
[[nodiscard]] bool is_utf8(std::string_view text);
// One line of JSON. Strings that are not UTF-8 get U+FFFD for what is not; never throws for that.
[[nodiscard]] std::string to_text(const nlohmann::json& value);
// `text` as one JSON value with nothing after it; nothing when malformed.
[[nodiscard]] std::optional<nlohmann::json> from_text(std::string_view text);

// The views of control_status.h and control_views.h as JSON objects and back. EBADMSG where a key
// is missing or of the wrong type; keys that are not known are passed over.
template <typename View>
[[nodiscard]] nlohmann::json to_json(const View& view);
template <typename View>
[[nodiscard]] Result<View> from_json(const nlohmann::json& body);

}  // namespace ebbfs
