// SPDX-License-Identifier: Apache-2.0
#include "fs/capabilities.h"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <vector>

namespace ebbfs {

Status keep_capabilities(std::span<const int> kept) {
  std::uint64_t mask = 0;
  for (const int capability : kept) mask |= std::uint64_t{1} << static_cast<unsigned>(capability);
  // The bounding set first: that takes CAP_SETPCAP. Without it the set stays as whoever started us
  // has left it.
  for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability) >= 0; ++capability) {
    if (std::ranges::find(kept, capability) != kept.end()) continue;
    if (::prctl(PR_CAPBSET_DROP, capability) != 0 && errno != EPERM) return fail_errno();
  }
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, 2> sets{};
  if (::syscall(SYS_capget, &header, sets.data()) != 0) return fail_errno();
  for (std::size_t word = 0; word < sets.size(); ++word) {
    const auto left = static_cast<std::uint32_t>(mask >> (32 * word));
    sets[word].effective &= left;
    sets[word].permitted &= left;
    sets[word].inheritable = 0;
  }
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 && errno != EINVAL) {
    return fail_errno();
  }
  if (::syscall(SYS_capset, &header, sets.data()) != 0) return fail_errno();
  return {};
}

Status keep_daemon_capabilities(bool with_metrics) {
  std::vector<int> kept(kDaemonCapabilities.begin(), kDaemonCapabilities.end());
  if (with_metrics) kept.push_back(kMetricsCapability);
  return keep_capabilities(kept);
}

}  // namespace ebbfs
