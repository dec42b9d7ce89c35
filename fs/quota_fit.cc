// SPDX-License-Identifier: Apache-2.0
#include "fs/quota_fit.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

namespace ebbfs {
namespace {

// The limit that holds at `now`.
std::int64_t limit_now(std::int64_t held, std::int64_t hard, std::int64_t soft, Duration grace,
                       WallTime over_since, WallTime now) {
  if (soft == kUnlimited) return hard;
  const bool over = over_since != WallTime{} && held > soft && now - over_since >= grace;
  return grace == Duration::zero() || over ? std::min(hard, soft) : hard;
}

std::int64_t lacking(std::int64_t held, std::int64_t more, std::int64_t limit) {
  const std::int64_t room = limit - std::max<std::int64_t>(held, 0);
  return more > 0 && more > room ? more - room : 0;
}

std::optional<Shortage> lacking_in(const std::string& scope, const Account& account,
                                   const ScopeLimits& limits, const Usage& more, WallTime now) {
  const Usage used = account.usage();
  const Account::OverSoft over = account.over_soft();
  const Usage limit{
      {limit_now(used.bytes.n, limits.bytes, limits.soft_bytes, limits.grace, over.bytes, now)},
      limit_now(used.inodes, limits.inodes, limits.soft_inodes, limits.grace, over.inodes, now)};
  const Usage missing{{lacking(used.bytes.n, more.bytes.n, limit.bytes.n)},
                      lacking(used.inodes, more.inodes, limit.inodes)};
  if (missing == Usage{}) return std::nullopt;
  return Shortage{Quotas::shown(scope), used, limit, missing};
}

std::string size_text(std::int64_t n) {
  constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  auto value = static_cast<double>(n);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  return unit == 0 ? fmt::format("{} B", n) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string part(const std::string& used, const std::string& limit, const std::string& missing) {
  return used + " of " + limit + " are used, " + missing + " more would be needed";
}

}  // namespace

std::optional<Shortage> find_shortage(Volume& volume, const UnitCharge& charge) {
  std::map<std::string, Usage> wanted;
  Usage whole;
  for (const UsageCell& cell : charge.cells) {
    whole += cell.usage;
    wanted["user:" + std::to_string(cell.uid)] += cell.usage;
    wanted["group:" + std::to_string(cell.gid)] += cell.usage;
    if (!charge.class_name.empty()) wanted["class:" + charge.class_name] += cell.usage;
    if (!charge.job.empty()) wanted["job:" + charge.job] += cell.usage;
  }
  const WallTime now = volume.clock.wall_now();
  for (const auto& [scope, more] : wanted) {
    const Account& account = volume.ledger.scope(scope);
    if (auto found = lacking_in(scope, account, account.limits(), more, now)) return found;
  }
  const std::string unit = "unit:" + charge.path;
  return lacking_in(unit, Account(), volume.quotas.in_force(unit).limits, whole, now);
}

std::string shortage_text(const Shortage& shortage) {
  std::string text = shortage.scope + ": ";
  const bool bytes = shortage.missing.bytes.n > 0;
  if (bytes) {
    text += part(size_text(shortage.used.bytes.n), size_text(shortage.limit.bytes.n),
                 size_text(shortage.missing.bytes.n));
  }
  if (shortage.missing.inodes > 0) {
    text += bytes ? "; " : "";
    text += part(std::to_string(shortage.used.inodes),
                 std::to_string(shortage.limit.inodes) + " inodes",
                 std::to_string(shortage.missing.inodes));
  }
  return text;
}

}  // namespace ebbfs
