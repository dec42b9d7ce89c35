// SPDX-License-Identifier: Apache-2.0
#include "fs/describe.h"

#include <fmt/format.h>

#include <array>
#include <cstddef>

namespace ebbfs {
namespace {

std::string life_text(OwnerState::Life life) {
  switch (life) {
    case OwnerState::Life::alive:
      return "owner alive";
    case OwnerState::Life::killed:
      return "owner killed";
    case OwnerState::Life::exited:
      return "owner exited";
    case OwnerState::Life::ended:
      return "owner gone";
    case OwnerState::Life::unknown:
      break;
  }
  return "owner unknown";
}

}  // namespace

std::string owner_text(const Owner& owner) {
  std::string text = fmt::format("uid={}", owner.uid);
  if (owner.process.id.known()) text += fmt::format(" pid={}", owner.process.id.tgid);
  if (!owner.process.comm.empty()) text += " comm=" + owner.process.comm;
  if (!owner.job.empty()) text += " job=" + owner.job;
  return text;
}

std::string process_text(const ProcessSeen& process) {
  if (!process.id.known()) return "an unknown process";
  return fmt::format("pid {} ({})", process.id.tgid, process.comm);
}

std::string unit_rule_text(const ClassRule& rule, Reason reason) {
  if (reason == Reason::idle) return "idle " + format_duration(rule.ttl);
  if (reason == Reason::too_old) return "older than " + format_duration(rule.max_age);
  if (reason == Reason::space) return "for space, kept " + format_duration(rule.keep);
  return "requested";
}

std::string kept_text(Reason reason, std::size_t units) {
  const std::string count = fmt::format("{} unit{} ", units, units == 1 ? "" : "s");
  switch (reason) {
    case Reason::recent:
      return count + "used within keep";
    case Reason::open_files:
      return count + "with open files";
    case Reason::process_inside:
      return count + "with a process inside";
    case Reason::live_lock:
      return count + "with a held lock";
    case Reason::mount_inside:
      return count + "with a mount inside";
    case Reason::git_locked:
      return count + "locked by git";
    case Reason::adopt_grace:
      return count + "within the adopt grace";
    case Reason::use_unknown:
      return count + "of which use is not known";
    default:
      return count + std::string(to_string(reason));
  }
}

std::string bytes_text(Bytes bytes) {
  constexpr std::array kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes.n < 1024) return fmt::format("{} B", bytes.n);
  auto amount = static_cast<double>(bytes.n) / 1024;
  std::size_t unit = 0;
  while (amount >= 1024 && unit + 1 < kUnits.size()) {
    amount /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", amount, kUnits[unit]);
}

std::string lock_rule_text(const ClassRule& rule, const OwnerVerdict& verdict,
                           const OwnerState& owner) {
  if (verdict.step == OwnerVerdict::Step::by_touch) {
    return fmt::format("owner {}, untouched {}", to_string(verdict.certainty),
                       format_duration(rule.ttl));
  }
  return fmt::format("{}, grace {}", life_text(owner.life), format_duration(rule.orphan_grace));
}

}  // namespace ebbfs
