// SPDX-License-Identifier: Apache-2.0
//
// The layout on disk, format version 2: every table, key and byte order stands here and nowhere
// else. Numbers in keys are big-endian, so that byte order is number order. Values only.
//
//   table      column family  key                                              value
//   ---------  -------------  -----------------------------------------------  ------------------
//   meta       default        "format"                                         u32
//                             "volume"                                         VolumeState
//                             "brake"                                          BrakeRecord
//                             "clock"                                          ClockRecord
//                             "clock_low"                                      ClockRecord
//                             "next_unit" "next_lock" "next_trash"             u64: no id from here
//                                                                              on was ever used
//                             "next_event"                                     u64: sequence
//   units      units          unit id (8)                                      UnitRecord
//   locks      locks          lock id (8)                                      LockRecord
//   trash      trash          trash id (8)                                     TrashRecord
//   deadlines  deadlines      due (8) kind (1) id (8)                          empty
//   owners     owners         boot id (16) tgid (4) start time (8) uid (4)     empty
//                             kind (1) id (8)
//   journal    journal        sequence (8)                                     EventRecord
//   quotas     quotas         scope                                            QuotaRecord
//   history    history        tier (1) time (8)                                HistorySample
//   usage                     named so that an older program opens the volume; no rows yet
//
// Values are in the form of byte_codec.h behind a version byte (kRecordVersion, for VolumeState
// kVolumeStateVersion). Times are
// nanoseconds since 1970 with the sign bit flipped, so that earlier ones sort first. Kinds are
// Deadline::Kind. A unit or lock has one row in `owners` (process all zero where it is not known),
// a thing has at most one in `deadlines`; both land in one batch with the record. Journal sequences
// rise without gaps from 1; rows older than the newest so many are gone. History is only looked at:
// a program that does not know a row of it passes it over.
//
// Format 2 differs from 1 in that `quotas` has rows, which a program that knows 1 only would not
// enforce, and in VolumeState, which tells when and why the index was rebuilt. index/migration.h
// brings an older one up to date when it is opened.
//
// Why a row per thing in `owners` and not a list per owner: adding one is a blind write, with
// nothing to read first. Why not one more by uid: each row costs about a microsecond when a lock is
// taken, and who asks by user can wait for a pass over keys.
// Why deadlines are keyed by time and found by thing in memory (DeadlineQueue): rows that were
// replaced or fired leave tombstones at the very front, which a scan from the front meets each
// time.
#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "index/record.h"
#include "index/store.h"
#include "index/types.h"

namespace ebbfs {

inline constexpr std::uint32_t kFormatVersion = 2;
inline constexpr std::uint8_t kRecordVersion = 1;
inline constexpr std::uint8_t kVolumeStateVersion = 2;

// Column family of each Table, by its number. The database insists on one named "default".
inline constexpr std::array<std::string_view, kTables> kTableNames = {
    "default", "units", "locks", "deadlines", "owners",
    "quotas",  "usage", "trash", "journal",   "history",
};

inline constexpr std::string_view kFormatKey = "format";
inline constexpr std::string_view kVolumeKey = "volume";
inline constexpr std::string_view kBrakeKey = "brake";
inline constexpr std::string_view kClockKey = "clock";
inline constexpr std::string_view kClockLowKey = "clock_low";  // optional: see fs/brake.h
inline constexpr std::string_view kNextUnitKey = "next_unit";
inline constexpr std::string_view kNextLockKey = "next_lock";
inline constexpr std::string_view kNextTrashKey = "next_trash";
inline constexpr std::string_view kNextEventKey = "next_event";

template <std::unsigned_integral T>
void append_big_endian(std::string& key, T value) {
  for (std::size_t i = sizeof(T); i-- > 0;) key.push_back(static_cast<char>(value >> (8 * i)));
}

// The number in `key`, which has exactly its size.
template <std::unsigned_integral T>
[[nodiscard]] T big_endian(std::string_view key) {
  T value = 0;
  for (const char byte : key) {
    value = static_cast<T>(static_cast<T>(value << 8) | static_cast<unsigned char>(byte));
  }
  return value;
}

// Key of a unit, lock, piece of trash (raw id) or event (sequence).
[[nodiscard]] inline std::string number_key(std::uint64_t number) {
  std::string key;
  append_big_endian(key, number);
  return key;
}

[[nodiscard]] inline std::optional<std::uint64_t> parse_number_key(std::string_view key) {
  if (key.size() != sizeof(std::uint64_t)) return std::nullopt;
  return big_endian<std::uint64_t>(key);
}

inline constexpr std::size_t kThingKeyBytes = 1 + sizeof(std::uint64_t);
inline constexpr std::size_t kOwnerKeyBytes = 16 + 4 + 8 + 4 + kThingKeyBytes;

inline void append_thing(std::string& key, Thing thing) {
  key.push_back(static_cast<char>(thing.kind));
  append_big_endian(key, thing.id);
}

[[nodiscard]] inline std::optional<Thing> parse_thing(std::string_view key) {
  if (key.size() != kThingKeyBytes) return std::nullopt;
  const auto kind = static_cast<unsigned char>(key.front());
  if (kind > std::to_underlying(Deadline::Kind::trash)) return std::nullopt;
  return Thing{static_cast<Deadline::Kind>(kind), big_endian<std::uint64_t>(key.substr(1))};
}

inline constexpr std::uint64_t kSignBit = std::uint64_t{1} << 63;

inline void append_time(std::string& key, WallTime time) {
  append_big_endian(key, std::bit_cast<std::uint64_t>(time.time_since_epoch().count()) ^ kSignBit);
}

// The time that `key` begins with; it is long enough.
[[nodiscard]] inline WallTime leading_time(std::string_view key) {
  const auto bits = big_endian<std::uint64_t>(key.substr(0, sizeof(std::uint64_t))) ^ kSignBit;
  return WallTime{Duration{std::bit_cast<Duration::rep>(bits)}};
}

[[nodiscard]] inline std::string deadline_key(Thing thing, WallTime due) {
  std::string key;
  key.reserve(sizeof(std::uint64_t) + kThingKeyBytes);
  append_time(key, due);
  append_thing(key, thing);
  return key;
}

[[nodiscard]] inline std::optional<Deadline> parse_deadline_key(std::string_view key) {
  if (key.size() != sizeof(std::uint64_t) + kThingKeyBytes) return std::nullopt;
  const auto thing = parse_thing(key.substr(sizeof(std::uint64_t)));
  if (!thing) return std::nullopt;
  return Deadline{leading_time(key), thing->kind, thing->id};
}

struct HistoryKey {
  std::uint8_t tier = 0;  // History::Tier
  WallTime time{};
};

[[nodiscard]] inline std::string history_key(const HistoryKey& of) {
  std::string key(1, static_cast<char>(of.tier));
  append_time(key, of.time);
  return key;
}

[[nodiscard]] inline std::optional<HistoryKey> parse_history_key(std::string_view key) {
  if (key.size() != 1 + sizeof(std::uint64_t)) return std::nullopt;
  return HistoryKey{static_cast<std::uint8_t>(key.front()), leading_time(key.substr(1))};
}

// What comes first in the rows of `owners`: the process, in its boot. All zero when not known.
[[nodiscard]] inline std::string owner_process_prefix(const ProcessId& process,
                                                      const BootId& boot) {
  std::string key;
  key.reserve(kOwnerKeyBytes);
  for (const std::uint8_t byte : boot.bytes) key.push_back(static_cast<char>(byte));
  append_big_endian(key, static_cast<std::uint32_t>(process.tgid));
  append_big_endian(key, process.start_time);
  return key;
}

[[nodiscard]] inline std::string owner_key(Thing thing, const OwnerTag& owner) {
  std::string key = owner_process_prefix(owner.process, owner.boot);
  append_big_endian(key, std::uint32_t{owner.uid});
  append_thing(key, thing);
  return key;
}

struct OwnerRow {
  OwnerTag owner{};
  Thing thing{};
};

[[nodiscard]] inline std::optional<OwnerRow> parse_owner_key(std::string_view key) {
  if (key.size() != kOwnerKeyBytes) return std::nullopt;
  const auto thing = parse_thing(key.substr(kOwnerKeyBytes - kThingKeyBytes));
  if (!thing) return std::nullopt;
  OwnerRow row = {.thing = *thing};
  for (std::uint8_t& byte : row.owner.boot.bytes) {
    byte = static_cast<std::uint8_t>(key.front());
    key.remove_prefix(1);
  }
  row.owner.process.tgid = static_cast<pid_t>(big_endian<std::uint32_t>(key.substr(0, 4)));
  row.owner.process.start_time = big_endian<std::uint64_t>(key.substr(4, 8));
  row.owner.uid = big_endian<std::uint32_t>(key.substr(12, 4));
  return row;
}

}  // namespace ebbfs
