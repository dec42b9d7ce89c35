// SPDX-License-Identifier: Apache-2.0
#include "fs/control_protocol.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "fs/control_codec.h"

namespace ebbfs {
namespace {

using nlohmann::json;

constexpr const char* kVersionKey = "version";
constexpr std::size_t kNameMax = 255;
constexpr int kExitCodeMax = 255;  // all that exit(3) passes on

// Writes only what differs from a default, so that a request names just the options it needs.
class RequestWriter {
 public:
  explicit RequestWriter(json& out) : out_(out) {}

  template <typename T>
  void field(const char* key, const T& value) {
    if (value != T{}) out_[key] = value;
  }
  template <std::integral T>
  void field(const char* key, const std::optional<T>& value) {
    if (value) out_[key] = *value;
  }
  void field(const char* key, const std::optional<Duration>& value) {
    if (value) out_[key] = seconds_of(*value);
  }
  void path(const char* key, const std::string& value) {
    if (!value.empty()) put_path(out_, key, value);
  }

 private:
  json& out_;
};

// Reads what is there and remembers the keys that were asked for.
class RequestReader {
 public:
  explicit RequestReader(const json& in) : in_(in), known_{kVersionKey} {}

  template <typename T>
  void field(const char* key, T& value) {
    known_.insert(key);
    if (!in_.contains(key)) return;
    FieldReader reader(in_);
    reader.field(key, value);
    if (!reader.ok() && problem_.empty()) problem_ = fmt::format("bad value of \"{}\"", key);
  }
  void path(const char* key, std::string& value) {
    const std::string bytes = std::string(key) + "_bytes";
    known_.insert({key, bytes});
    if (!in_.contains(key) && !in_.contains(bytes)) return;
    value = get_path(in_, key).value_or("/");  // which no volume path is
    if (!valid_volume_path(value)) problem_ = "the path cannot be one on this volume";
  }
  // What is wrong with the request; empty when nothing.
  [[nodiscard]] std::string problem() const {
    if (!problem_.empty()) return problem_;
    for (const auto& item : in_.items()) {
      if (!known_.contains(item.key())) return "an option is not known to this mount's daemon";
    }
    return {};
  }

 private:
  const json& in_;
  std::set<std::string> known_;
  std::string problem_;
};

template <typename Visitor, Like<ControlRequest> Request>
void visit(Visitor& v, Request& request) {
  v.field("command", request.command);
  v.path("path", request.path);
  v.field("dry_run", request.dry_run);
  v.field("after", request.after);
  v.field("limit", request.limit);
  v.field("since_seconds", request.since);
  v.field("sort", request.sort);
  v.field("class", request.filter.class_name);
  v.field("user", request.filter.user);
  v.field("job", request.filter.job);
  v.field("state", request.filter.state);
  v.field("kind", request.filter.kind);
  v.field("trash_id", request.trash_id);
  v.path("to", request.to);
  v.field("older_seconds", request.older);
  v.path("scope", request.scope);
  v.field("quota_bytes", request.quota.bytes);
  v.field("quota_soft_bytes", request.quota.soft_bytes);
  v.field("quota_inodes", request.quota.inodes);
  v.field("quota_soft_inodes", request.quota.soft_inodes);
  v.field("quota_grace", request.quota.grace);
  v.field("repair", request.repair);
  v.field("token", request.token);
  v.field("slow_seconds", request.slow);
}

// -1 when there is none.
std::int64_t version_of(const json& message) {
  std::int64_t version = -1;
  FieldReader(message).field(kVersionKey, version);
  return version;
}

}  // namespace

bool only_asks(const ControlRequest& request) {
  constexpr std::array kQuestions{command::kStatus,    command::kUnits,     command::kLocks,
                                  command::kShow,      command::kEvents,    command::kExplain,
                                  command::kTrace,     command::kHistory,   command::kCheck,
                                  command::kActivity,  command::kQuotaList, command::kTrashList,
                                  command::kPolicyShow};
  constexpr std::array kCanBeDry{command::kExpire, command::kRestore, command::kTrashEmpty};
  const auto among = [&](const auto& commands) {
    return std::ranges::find(commands, request.command) != commands.end();
  };
  return (among(kQuestions) && !request.repair) || (among(kCanBeDry) && request.dry_run);
}

ControlReply done(json body) {
  ControlReply reply;
  reply.body = std::move(body);
  return reply;
}

ControlReply refused(std::string error) {
  ControlReply reply;
  reply.exit_code = kExitRefused;
  reply.error = std::move(error);
  return reply;
}

ControlReply misused(std::string error) {
  ControlReply reply = refused(std::move(error));
  reply.exit_code = kExitUsage;
  return reply;
}

bool valid_volume_path(std::string_view path) {
  if (path.find('\0') != std::string_view::npos) return false;
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    const std::string_view name = path.substr(0, slash);
    if (name.empty() || name.size() > kNameMax || name == "." || name == "..") return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
    if (path.empty()) return false;
  }
  return true;
}

bool path_within(std::string_view path, std::string_view directory) {
  if (directory.empty()) return true;
  if (!path.starts_with(directory)) return false;
  return path.size() == directory.size() || path[directory.size()] == '/';
}

std::string encode(const ControlRequest& request) {
  json message = json::object();
  message[kVersionKey] = kControlVersion;
  RequestWriter writer(message);
  visit(writer, request);
  return to_text(message);
}

std::expected<ControlRequest, ControlReply> decode_request(std::string_view text) {
  if (text.size() > kRequestMax) {
    return std::unexpected(misused(fmt::format("a request has at most {} bytes", kRequestMax)));
  }
  const auto message = from_text(text);
  if (!message || !message->is_object()) {
    return std::unexpected(misused("a request is one JSON object"));
  }
  if (const std::int64_t version = version_of(*message); version != kControlVersion) {
    return std::unexpected(refused(fmt::format(
        "this mount's daemon speaks version {} of the control protocol, not {}: use the "
        "ebbctl that came with it",
        kControlVersion, version < 0 ? "none" : std::to_string(version))));
  }
  ControlRequest request;
  RequestReader reader(*message);
  visit(reader, request);
  if (const std::string problem = reader.problem(); !problem.empty()) {
    return std::unexpected(misused("malformed request: " + problem));
  }
  if (request.command.empty()) return std::unexpected(misused("a request names a command"));
  return request;
}

std::string encode(ControlReply reply) {
  json message = json::object();
  message[kVersionKey] = kControlVersion;
  message["exit_code"] = reply.exit_code;
  if (!reply.error.empty()) message["error"] = reply.error;
  const std::string before = to_text(message);
  const std::string body = to_text(reply.body);
  // Both are objects, and the first is not empty: each loses the bracket that comes back behind it.
  std::string front(std::string_view(before).substr(0, before.size() - 1));
  front.append(R"(,"body":)").append(body, 0, body.size() - 1);
  if (reply.list.key.empty()) return front + "}}";
  if (body != "{}") front += ',';
  front.append(to_text(json(reply.list.key))).append(":[");
  return std::move(reply.list.items.insert(0, front).append("]}}"));
}

Result<ControlReply> decode_reply(std::string_view text) {
  auto message = from_text(text);
  if (!message || !message->is_object()) return fail(EBADMSG);
  ControlReply reply;
  FieldReader reader(*message);
  reader.field("exit_code", reply.exit_code);
  if (message->contains("error")) reader.field("error", reply.error);
  const auto body = message->find("body");
  const bool in_range = reply.exit_code >= 0 && reply.exit_code <= kExitCodeMax;
  if (!reader.ok() || !in_range || body == message->end()) return fail(EBADMSG);
  reply.body = std::move(*body);
  return reply;
}

}  // namespace ebbfs
