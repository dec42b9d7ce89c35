// SPDX-License-Identifier: Apache-2.0
#include "fs/proc_files.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "fs/whole_number.h"

namespace ebbfs {
namespace {

constexpr std::size_t kCommMax = 15;

template <typename Number>
std::optional<Number> number_after_blanks(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  return whole_number<Number>(text);
}

// Empty when one of them is none.
std::vector<std::int32_t> numbers_between_tabs(std::string_view text) {
  std::vector<std::int32_t> numbers;
  take_until(text, '\t');
  while (!text.empty()) {
    const auto number = whole_number<std::int32_t>(take_until(text, '\t'));
    if (!number) return {};
    numbers.push_back(*number);
  }
  return numbers;
}

std::optional<CgroupMount> parse_cgroup_mount_line(std::string_view line) {
  const auto separator = line.find(" - ");
  if (separator == std::string_view::npos) return std::nullopt;
  auto after = line.substr(separator + 3);
  if (take_until(after, ' ') != "cgroup2") return std::nullopt;
  auto before = line.substr(0, separator);
  for (int i = 0; i < 3; ++i) take_until(before, ' ');  // mount id, parent id, device
  CgroupMount mount;
  mount.root = unescaped_mount_field(take_until(before, ' '));
  mount.path = unescaped_mount_field(take_until(before, ' '));
  if (mount.path.empty() || mount.root.empty()) return std::nullopt;
  return mount;
}

// A hexadecimal number that all of `text` is.
std::optional<std::uint64_t> hex_number(std::string_view text) {
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, number, 16);
  if (error != std::errc{} || at != end) return std::nullopt;
  return number;
}

}  // namespace

std::string_view take_until(std::string_view& text, char separator) {
  const auto end = text.find(separator);
  const auto head = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return head;
}

std::optional<MappedFile> parse_mapping(std::string_view line) {
  const auto start = hex_number(take_until(line, '-'));
  const auto end = hex_number(take_until(line, ' '));
  take_until(line, ' ');  // permissions
  take_until(line, ' ');  // offset
  const auto major = hex_number(take_until(line, ':'));
  const auto minor = hex_number(take_until(line, ' '));
  const auto inode = whole_number<std::uint64_t>(take_until(line, ' '));
  if (!start || !end || !major || !minor || !inode || *inode == 0) return std::nullopt;
  const dev_t device = makedev(static_cast<unsigned>(*major), static_cast<unsigned>(*minor));
  return MappedFile{*start, *end, device, *inode};
}

std::optional<ProcStat> parse_stat(std::string_view text) {
  // The name may hold blanks, parentheses and newlines: it ends at the last parenthesis.
  const auto open = text.find('(');
  const auto close = text.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open ||
      close + 2 >= text.size()) {
    return std::nullopt;
  }
  ProcStat stat;
  const auto pid = number_after_blanks<pid_t>(text.substr(0, open == 0 ? 0 : open - 1));
  stat.comm = text.substr(open + 1, std::min(close - open - 1, kCommMax));
  auto rest = text.substr(close + 2);
  if (rest.ends_with('\n')) rest.remove_suffix(1);
  std::array<std::string_view, 50> fields;  // field 3 first
  for (auto& field : fields) field = take_until(rest, ' ');
  const auto ppid = number_after_blanks<pid_t>(fields[4 - 3]);
  const auto flags = number_after_blanks<std::uint32_t>(fields[9 - 3]);
  const auto start_time = number_after_blanks<std::uint64_t>(fields[22 - 3]);
  const auto exit_code = number_after_blanks<int>(fields[52 - 3]);
  if (!pid || fields[0].size() != 1 || !ppid || !flags || !start_time || !exit_code)
    return std::nullopt;
  stat.pid = *pid;
  stat.state = fields[0].front();
  stat.ppid = *ppid;
  constexpr std::uint32_t kKernelThread = 0x00200000;  // PF_KTHREAD in the kernel's sched.h
  stat.kernel_thread = (*flags & kKernelThread) != 0;
  stat.start_time = *start_time;
  stat.exit_code = *exit_code;
  return stat;
}

std::optional<ProcStatus> parse_status(std::string_view text) {
  std::optional<pid_t> tgid;
  ProcStatus status;
  while (!text.empty()) {
    auto value = take_until(text, '\n');
    const auto key = take_until(value, ':');  // the first line's name has its newlines escaped
    if (key == "Tgid") tgid = number_after_blanks<pid_t>(value);
    if (key == "NSpid") status.ns_pids = numbers_between_tabs(value);
  }
  if (!tgid) return std::nullopt;
  status.tgid = *tgid;
  // NSpid is absent without CONFIG_PID_NS; then there is one namespace.
  if (status.ns_pids.empty()) status.ns_pids = {*tgid};
  return status;
}

std::string parse_cgroup_v2(std::string_view text) {
  while (!text.empty()) {
    const auto line = take_until(text, '\n');
    if (line.starts_with("0::/")) return std::string(line.substr(3));
  }
  return {};
}

std::string unescaped_mount_field(std::string_view text) {
  const auto octal = [&](std::size_t i) {
    return text[i] >= '0' && text[i] <= '7' ? text[i] - '0' : -1;
  };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && octal(i + 1) >= 0 && octal(i + 2) >= 0 &&
        octal(i + 3) >= 0) {
      out.push_back(static_cast<char>(octal(i + 1) * 64 + octal(i + 2) * 8 + octal(i + 3)));
      i += 3;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

std::optional<CgroupMount> parse_cgroup_mount(std::string_view mountinfo) {
  std::optional<CgroupMount> found;
  while (!mountinfo.empty()) {
    auto mount = parse_cgroup_mount_line(take_until(mountinfo, '\n'));
    if (mount && (!found || (found->root != "/" && mount->root == "/"))) found = std::move(mount);
  }
  return found;
}

std::optional<BootId> parse_boot_id(std::string_view text) {
  BootId id;
  std::size_t digits = 0;
  for (const char c : text) {
    if (c == '-' || c == '\n') continue;
    std::uint8_t digit = 0;
    if (std::from_chars(&c, &c + 1, digit, 16).ec != std::errc{} || digits == 32) {
      return std::nullopt;
    }
    auto& byte = id.bytes.at(digits / 2);
    byte = static_cast<std::uint8_t>(byte << 4U | digit);
    ++digits;
  }
  if (digits != 32) return std::nullopt;
  return id;
}

Result<std::string> read_file_at(int dir_fd, const char* path, std::size_t max) {
  const UniqueFd fd(::openat(dir_fd, path, O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return fail_errno();
  std::string text(4096, '\0');
  std::size_t used = 0;
  for (;;) {
    const ssize_t n = ::read(fd.get(), text.data() + used, text.size() - used);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno();
    used += static_cast<std::size_t>(n);
    if (n == 0 || used == max) break;
    if (used == text.size()) text.resize(std::min(max, text.size() * 2));
  }
  text.resize(used);
  return text;
}

bool has_ptrace_capability() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, 2> sets{};
  if (::syscall(SYS_capget, &header, sets.data()) != 0) return false;
  return (sets[0].effective & (1U << static_cast<unsigned>(CAP_SYS_PTRACE))) != 0;
}

Result<ProcFiles> ProcFiles::open() {
  UniqueFd root(::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) return fail_errno();
  const auto self = read_file_at(root.get(), "self/stat");
  if (!self) return std::unexpected(self.error());
  const auto stat = parse_stat(*self);
  if (!stat || stat->pid != ::getpid()) return fail(EXDEV);
  return ProcFiles(std::move(root));
}

Result<std::string> ProcFiles::read(pid_t tid, const char* name) const {
  if (tid <= 0) return fail(ESRCH);
  std::array<char, 32> path{};
  fmt::format_to_n(path.begin(), path.size() - 1, "{}/{}", tid, name);
  auto text = read_file_at(root_.get(), path.data());
  if (!text && code(text.error()) == ENOENT) return fail(ESRCH);
  return text;
}

Result<ProcStat> ProcFiles::stat(pid_t tid) const {
  const auto text = read(tid, "stat");
  if (!text) return std::unexpected(text.error());
  auto stat = parse_stat(*text);
  if (!stat) return fail(EBADMSG);
  return *std::move(stat);
}

Result<ProcStatus> ProcFiles::status(pid_t tid) const {
  const auto text = read(tid, "status");
  if (!text) return std::unexpected(text.error());
  auto status = parse_status(*text);
  if (!status) return fail(EBADMSG);
  return *std::move(status);
}

Result<std::string> ProcFiles::comm(pid_t tid) const {
  auto text = read(tid, "comm");
  if (!text) return text;
  if (text->ends_with('\n')) text->pop_back();
  if (text->size() > kCommMax) text->resize(kCommMax);
  return text;
}

Result<std::string> ProcFiles::cgroup(pid_t tid) const {
  const auto text = read(tid, "cgroup");
  if (!text) return text;
  return parse_cgroup_v2(*text);
}

Result<std::uint64_t> ProcFiles::pid_namespace(pid_t tid) const {
  std::array<char, 32> path{};
  fmt::format_to_n(path.begin(), path.size() - 1, "{}/ns/pid", tid);
  struct stat status{};
  if (::fstatat(root_.get(), path.data(), &status, 0) != 0) {
    return errno == ENOENT ? fail(ESRCH) : fail_errno();
  }
  return status.st_ino;
}

std::optional<CgroupMount> ProcFiles::cgroup_mount() const {
  const auto text = read_file_at(root_.get(), "self/mountinfo");
  if (!text) return std::nullopt;
  return parse_cgroup_mount(*text);
}

BootId ProcFiles::boot_id() const {
  const auto text = read_file_at(root_.get(), "sys/kernel/random/boot_id");
  if (!text) return {};
  return parse_boot_id(*text).value_or(BootId{});
}

}  // namespace ebbfs
