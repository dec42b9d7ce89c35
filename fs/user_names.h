// SPDX-License-Identifier: Apache-2.0
//
// Names of users and groups as the daemon's host knows them (getpwuid_r(3), getgrgid_r(3)). May ask
// name services: off the request path. Threading: any thread.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace ebbfs {

// Empty when there is none. May be some seconds old: a list asks for the same few again and again.
[[nodiscard]] std::string user_name(uid_t uid);
// A name, or a decimal uid; nothing when it is neither.
[[nodiscard]] std::optional<uid_t> user_id(const std::string& name_or_uid);
// The same of groups.
[[nodiscard]] std::string group_name(gid_t gid);
[[nodiscard]] std::optional<gid_t> group_id(const std::string& name_or_gid);

}  // namespace ebbfs
