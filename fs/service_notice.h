// SPDX-License-Identifier: Apache-2.0
//
// What a service manager is told of the daemon, as sd_notify(3) has it: one datagram to the socket
// that $NOTIFY_SOCKET names. Stateless; any thread, while nobody changes the environment.
#pragma once

#include <cstdint>
#include <string_view>

namespace ebbfs {

enum class ServiceState : std::uint8_t { ready, stopping };

// Tells that the daemon is in `state`; `status` is one line for people (`systemctl status`), in
// which control characters become '?'. Without a socket, or where nobody listens, nothing happens:
// the daemon does not depend on being supervised.
void notify_service(ServiceState state, std::string_view status);

}  // namespace ebbfs
