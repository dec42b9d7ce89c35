// SPDX-License-Identifier: Apache-2.0
#include "policy/decision.h"

namespace ebbfs {

// The names are what `ebbctl show --json` and the metric label `reason` print: scripts know them.
std::string_view to_string(Reason reason) {
  switch (reason) {
    case Reason::root_unit:
      return "root_unit";
    case Reason::pinned:
      return "pinned";
    case Reason::young:
      return "young";
    case Reason::no_ttl:
      return "no_ttl";
    case Reason::open_files:
      return "open_files";
    case Reason::process_inside:
      return "process_inside";
    case Reason::live_lock:
      return "live_lock";
    case Reason::git_locked:
      return "git_locked";
    case Reason::mount_inside:
      return "mount_inside";
    case Reason::use_unknown:
      return "use_unknown";
    case Reason::brake:
      return "brake";
    case Reason::recent:
      return "recent";
    case Reason::adopt_grace:
      return "adopt_grace";
    case Reason::owner_alive:
      return "owner_alive";
    case Reason::in_grace:
      return "in_grace";
    case Reason::lock_open:
      return "lock_open";
    case Reason::heartbeat:
      return "heartbeat";
    case Reason::idle:
      return "idle";
    case Reason::too_old:
      return "too_old";
    case Reason::space:
      return "space";
    case Reason::orphan:
      return "orphan";
    case Reason::untouched:
      return "untouched";
  }
  return "invalid";
}

}  // namespace ebbfs
