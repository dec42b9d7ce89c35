// SPDX-License-Identifier: Apache-2.0
//
// Reads what proc(5) says about processes. A fact about /proc/PID is about whichever process has
// that number at that moment: who needs it to be about one process holds a pidfd on it and checks
// afterwards that it has not been reaped (fs/pidfd.h).
//
// The parsers are pure and accept any bytes: a command name is chosen by its process. ProcFiles is
// immutable after open(): any thread.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fs/unique_fd.h"
#include "index/result.h"
#include "index/types.h"

namespace ebbfs {

// proc(5) PID/stat.
struct ProcStat {
  pid_t pid = 0;
  std::string comm;  // field 2, cut to 15 bytes; any bytes
  char state = '?';  // field 3; 'Z' and 'X' have ended, but for a leader whose other threads live
  pid_t ppid = 0;    // field 4
  bool kernel_thread = false;    // by the flags, field 9
  std::uint64_t start_time = 0;  // field 22, clock ticks since boot
  int exit_code = 0;             // field 52, as of wait(2); 0 as well when the reader may not know
};

// proc(5) PID/status.
struct ProcStatus {
  pid_t tgid = 0;  // of the thread's process, in our pid namespace
  // NSpid: its number in our pid namespace, in one below that it is in, and so on to its own. Never
  // empty.
  std::vector<std::int32_t> ns_pids;

  [[nodiscard]] std::int32_t ns_pid() const { return ns_pids.back(); }
};

// Where cgroup v2 is mounted.
struct CgroupMount {
  std::string path;  // mount point
  std::string root;  // the cgroup that is seen there, "/" for all
};

[[nodiscard]] std::optional<ProcStat> parse_stat(std::string_view text);
[[nodiscard]] std::optional<ProcStatus> parse_status(std::string_view text);
// The path of the line "0::/path"; empty when there is no such line.
[[nodiscard]] std::string parse_cgroup_v2(std::string_view text);
// From proc(5) PID/mountinfo; one that shows all cgroups is preferred.
[[nodiscard]] std::optional<CgroupMount> parse_cgroup_mount(std::string_view mountinfo);
// A field of mountinfo as it was before proc(5) wrote its blanks, line ends and backslashes as
// \040.
[[nodiscard]] std::string unescaped_mount_field(std::string_view field);
// A line of proc(5) PID/maps; nothing for one that maps no file.
struct MappedFile {
  std::uint64_t start = 0;  // address
  std::uint64_t end = 0;
  dev_t device = 0;
  std::uint64_t inode = 0;
};
[[nodiscard]] std::optional<MappedFile> parse_mapping(std::string_view line);
// "01234567-89ab-...": 32 hex digits, dashes anywhere between.
[[nodiscard]] std::optional<BootId> parse_boot_id(std::string_view text);

// The file at `path` below `dir_fd`, at most `max` bytes of it. Errors: of openat(2) and read(2).
inline constexpr std::size_t kProcFileMax = std::size_t{1} << 20U;
[[nodiscard]] Result<std::string> read_file_at(int dir_fd, const char* path,
                                               std::size_t max = kProcFileMax);
// What comes before `separator` (or all), taken off the front of `text` together with it.
std::string_view take_until(std::string_view& text, char separator);

// Whether the calling thread holds CAP_SYS_PTRACE, without which proc(5) shows neither the links
// nor the exit codes of processes that have more privileges or another owner.
[[nodiscard]] bool has_ptrace_capability();

class ProcFiles {
 public:
  // Errors: of open(2); EXDEV when /proc shows another pid namespace than ours, so that its numbers
  // would be taken for those of other processes.
  [[nodiscard]] static Result<ProcFiles> open();

  // Of any thread id, about that thread. Errors: ESRCH no such thread; EACCES and others: it could
  // not be read; EBADMSG: not understood.
  [[nodiscard]] Result<ProcStat> stat(pid_t tid) const;
  [[nodiscard]] Result<ProcStatus> status(pid_t tid) const;
  [[nodiscard]] Result<std::string> comm(pid_t tid) const;
  // v2 path, empty when it has none.
  [[nodiscard]] Result<std::string> cgroup(pid_t tid) const;
  // Inode number of its pid namespace.
  [[nodiscard]] Result<std::uint64_t> pid_namespace(pid_t tid) const;

  [[nodiscard]] std::optional<CgroupMount> cgroup_mount() const;
  // All zero when it cannot be read.
  [[nodiscard]] BootId boot_id() const;
  [[nodiscard]] int fd() const { return root_.get(); }

 private:
  explicit ProcFiles(UniqueFd root) : root_(std::move(root)) {}
  [[nodiscard]] Result<std::string> read(pid_t tid, const char* name) const;

  UniqueFd root_;
};

}  // namespace ebbfs
