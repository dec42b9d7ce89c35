// SPDX-License-Identifier: Apache-2.0
//
// The messages between ebbctl and the daemon: one request, one reply, each one JSON object. They
// travel through the virtual file kControlPath under a mount: open it O_RDWR, write() one request
// at once, then pread() the reply from offset 0 until end of file. A file serves one exchange only.
// Where the mount is read-only, open it O_RDONLY and hand the request over by ioctl(2) with
// control_ioctl(size) instead: it may ask, but change nothing.
// Bodies of replies are the views of control_status.h and control_views.h. Values only; pure.
//
// Versioning: a request names kControlVersion and the daemon answers its own version only. Unknown
// keys of a request are refused, for an option must not be passed over (think of dry_run); unknown
// keys of a reply are passed over, so that a reply may grow without a new version.
#pragma once

#include <sys/ioctl.h>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "fs/control_json.h"
#include "index/types.h"

namespace ebbfs {

inline constexpr int kControlVersion = 1;
inline constexpr std::string_view kControlDirectory = ".ebbfs";
inline constexpr std::string_view kControlName = "control";
inline constexpr std::string_view kControlPath = ".ebbfs/control";
inline constexpr std::size_t kRequestMax = 64 * 1024;  // bytes

// The ioctl(2) that carries a request of `size` bytes, 1 to kIoctlRequestMax.
inline constexpr std::size_t kIoctlRequestMax = _IOC_SIZEMASK;
[[nodiscard]] constexpr unsigned control_ioctl(std::size_t size) {
  return static_cast<unsigned>(_IOC(_IOC_WRITE, 0xEB, 1, size));
}

// What a request may do by the way on which it came.
enum class Access : std::uint8_t { read_write, read_only };

// ControlRequest::command, and what each takes and answers.
namespace command {
inline constexpr std::string_view kStatus = "status";  // StatusView
inline constexpr std::string_view kUnits = "units";    // path, filter, sort, limit: UnitsView
inline constexpr std::string_view kLocks = "locks";    // path, filter, sort, limit: LocksView
inline constexpr std::string_view kShow = "show";      // path: ShowView
// path, filter.kind, since, limit, after: EventsView. Without `after` the newest `limit`; with it
// the first `limit` that are newer.
inline constexpr std::string_view kEvents = "events";
inline constexpr std::string_view kExplain = "explain";  // path, since: ExplainView
// path, filter.user, filter.kind (of a request), slow, token (none: begins): TraceView. Ends when
// nobody has asked with the token it gave for 10 s.
inline constexpr std::string_view kTrace = "trace";
inline constexpr std::string_view kHistory = "history";  // since: HistoryView
// token (none: begins): ActivityView, of what was since the last answer with that token
inline constexpr std::string_view kActivity = "activity";
inline constexpr std::string_view kPin = "pin";        // path: ChangeView
inline constexpr std::string_view kUnpin = "unpin";    // path: ChangeView
inline constexpr std::string_view kExpire = "expire";  // path, dry_run: ChangeView
// scope ("": all that hold or limit something), filter.state (quota_state: of all, only those that
// are limited or were set), limit (the fullest so many that are limited): QuotasView
inline constexpr std::string_view kQuotaList = "quota-list";
// scope, quota: QuotasView of what is in force then
inline constexpr std::string_view kQuotaSet = "quota-set";
inline constexpr std::string_view kQuotaClear =
    "quota-clear";  // scope: QuotasView, of what is left
// repair, token (none: starts one, or joins the one that runs): RecountView. Answers at once: ask
// with the token it gave until it does not run any more; who does not ask for long ends it.
inline constexpr std::string_view kCheck = "check";
// path, filter.user: TrashView, the newest first
inline constexpr std::string_view kTrashList = "trash-list";
// path (the newest of it) or trash_id; to, dry_run: RestoreView
inline constexpr std::string_view kRestore = "restore";
inline constexpr std::string_view kTrashEmpty = "trash-empty";  // path, older, dry_run: TrashView
inline constexpr std::string_view kResume = "resume";           // ResumeView
inline constexpr std::string_view kPolicyShow = "policy-show";  // PolicyView
inline constexpr std::string_view kPolicyReload = "policy-reload";  // PolicyView
}  // namespace command

// ControlRequest::sort. For units; used is the default of nobody, expires that of ebbctl.
namespace sort_by {
inline constexpr std::string_view kUsed = "used";        // longest unused first
inline constexpr std::string_view kBytes = "bytes";      // largest first
inline constexpr std::string_view kExpires = "expires";  // soonest first, those that never do last
// For locks:
inline constexpr std::string_view kAge = "age";          // oldest first
inline constexpr std::string_view kReclaim = "reclaim";  // soonest first, held ones last
}  // namespace sort_by

// ControlFilter::state of a kQuotaList.
namespace quota_state {
inline constexpr std::string_view kLimited = "limited";
}  // namespace quota_state

// Each empty string: any.
struct ControlFilter {
  std::string class_name;
  std::string user;  // name or decimal uid
  std::string job;
  std::string state;  // name of a UnitState or LockState
  std::string kind;   // of an event or a request
  bool operator==(const ControlFilter&) const = default;
};

// Limits to set; what is empty stays as it is. kUnlimited takes a limit away.
struct QuotaChange {
  std::optional<std::int64_t> bytes;
  std::optional<std::int64_t> soft_bytes;
  std::optional<std::int64_t> inodes;
  std::optional<std::int64_t> soft_inodes;
  std::string grace;  // as in a policy: "7d", "none"
  bool operator==(const QuotaChange&) const = default;
};

struct ControlRequest {
  std::string command;
  std::string path;  // relative to the volume root, "" for the root; see valid_volume_path
  bool dry_run = false;
  std::optional<std::uint64_t> after;  // an event's sequence
  std::size_t limit = 0;               // 0: no limit
  std::optional<Duration> since;       // not older than this
  std::string sort;                    // "": the daemon's choice
  ControlFilter filter;
  std::optional<std::uint64_t> trash_id;
  std::string to;                 // as path
  std::optional<Duration> older;  // in the trash for at least this long
  std::string scope;              // of a quota: "user:ci", "unit:worktrees/job-17", "user:*"
  QuotaChange quota;
  bool repair = false;                 // of a check
  std::optional<std::uint64_t> token;  // of a check, a trace or activity
  std::optional<Duration> slow;        // took at least this long
  bool operator==(const ControlRequest&) const = default;
};

// Exit codes of ebbctl, set by the daemon in its reply.
inline constexpr int kExitDone = 0;
inline constexpr int kExitRefused = 1;  // refused, or not found
inline constexpr int kExitUsage = 2;
inline constexpr int kExitNoMount = 3;

struct ControlReply {
  int exit_code = kExitDone;
  std::string error;  // one line naming cause and cure; empty when done
  nlohmann::json body = nlohmann::json::object();  // may be set beside an error, to explain it
  // A list of the body that may be long, as text: as values it takes ten times the memory. Only to
  // encode; what is decoded has it in its body.
  struct LongList {
    std::string key;    // none has it in the body; empty: there is no list
    std::string items;  // in JSON, with commas between them
  } list = {};
};

[[nodiscard]] ControlReply done(nlohmann::json body);
[[nodiscard]] ControlReply refused(std::string error);
[[nodiscard]] ControlReply misused(std::string error);

// Whether `path` can name something on a volume: "", or components of 1..255 bytes other than "."
// and "..", joined by single slashes, without NUL.
[[nodiscard]] bool valid_volume_path(std::string_view path);
// Whether `path` is `directory` or lies below it; everything lies below "".
[[nodiscard]] bool path_within(std::string_view path, std::string_view directory);

// Whether the request changes nothing, whatever the answer.
[[nodiscard]] bool only_asks(const ControlRequest& request);

// May exceed kRequestMax with a very long path; the sender checks.
[[nodiscard]] std::string encode(const ControlRequest& request);
// The request, or the reply that refuses it (wrong version, too large, malformed, unknown key, path
// that cannot be one). A known command is not checked for.
[[nodiscard]] std::expected<ControlRequest, ControlReply> decode_request(std::string_view text);

[[nodiscard]] std::string encode(ControlReply reply);
// EBADMSG for what is no reply. This outer form is the same in every version, so that a daemon of
// another one can say so.
[[nodiscard]] Result<ControlReply> decode_reply(std::string_view text);

}  // namespace ebbfs
