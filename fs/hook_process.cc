// SPDX-License-Identifier: Apache-2.0
#include "fs/hook_process.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "fs/user_names.h"

namespace ebbfs {
namespace {

constexpr std::size_t kNameBuffer = 64 * 1024;
constexpr int kGroupsMax = 65'536;
constexpr rlim_t kFilesOpen = 1024;
constexpr mode_t kOrdinaryUmask = 022;
constexpr int kCannotExecute = 127;

// What the child needs, made before: between vfork and exec it shares our memory and may call
// nothing but the kernel. Not through libc's set*id(), which would change all of our threads.
struct Launch {
  std::vector<char*> argv;
  std::vector<char*> envp;
  const HookUser* user = nullptr;
  const char* directory = nullptr;
  int output = -1;
  int input = -1;
};

// Only returns when it fails, with what.
const char* become(const Launch& launch) {
  ::setsid();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::dup2(launch.input, STDIN_FILENO) < 0 || ::dup2(launch.output, STDOUT_FILENO) < 0 ||
      ::dup2(launch.output, STDERR_FILENO) < 0) {
    return "dup2";
  }
  (void)::close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_UNSHARE);
  // Spared when memory is short, as the daemon may be, it must not be.
  if (const int score = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC); score >= 0) {
    (void)!::write(score, "0", 1);
    ::close(score);
  }
  const rlimit files{kFilesOpen, kFilesOpen};
  (void)::setrlimit(RLIMIT_NOFILE, &files);
  ::umask(kOrdinaryUmask);
  if (::chdir(launch.directory) != 0) return "chdir";
  const HookUser& user = *launch.user;
  // The usual rules again: who is not root has no capabilities.
  ::prctl(PR_SET_SECUREBITS, 0);
  if (::syscall(SYS_setgroups, user.groups.size(), user.groups.data()) != 0) return "setgroups";
  if (::syscall(SYS_setresgid, user.gid, user.gid, user.gid) != 0) return "setgid";
  if (::syscall(SYS_setresuid, user.uid, user.uid, user.uid) != 0) return "setuid";
  // Changing the user has cleared it.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (int signal = 1; signal < NSIG; ++signal) {
    struct sigaction usual{};
    usual.sa_handler = SIG_DFL;
    (void)::sigaction(signal, &usual, nullptr);
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execve(launch.argv[0], launch.argv.data(), launch.envp.data());
  return "exec";
}

// fork() would have every page of a busy daemon copied once more. What the child writes is ours.
[[gnu::noinline]] pid_t launch_child(const Launch& launch, const char* volatile& failed,
                                     volatile int& error) {
  // NOLINTNEXTLINE(clang-analyzer-security.insecureAPI.vfork,bugprone-unsafe-functions)
  const pid_t child = ::vfork();
  if (child == 0) {
    failed = become(launch);
    error = errno;
    ::_exit(kCannotExecute);
  }
  return child;
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> all;
  for (std::string& word : words) all.push_back(word.data());
  all.push_back(nullptr);
  return all;
}

}  // namespace

std::optional<HookUser> find_hook_user(const std::string& name_or_uid) {
  const auto uid = user_id(name_or_uid);
  if (!uid) return std::nullopt;
  HookUser user{.uid = *uid, .gid = *uid, .groups = {}};
  std::vector<char> buffer(kNameBuffer);
  struct passwd entry{};
  struct passwd* found = nullptr;
  if (::getpwuid_r(*uid, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) {
    user.groups = {user.gid};
    return user;
  }
  user.gid = entry.pw_gid;
  user.home = entry.pw_dir;
  int count = 0;
  (void)::getgrouplist(entry.pw_name, entry.pw_gid, nullptr, &count);
  if (count <= 0 || count > kGroupsMax) return std::nullopt;
  user.groups.resize(static_cast<std::size_t>(count));
  if (::getgrouplist(entry.pw_name, entry.pw_gid, user.groups.data(), &count) < 0) {
    return std::nullopt;
  }
  user.groups.resize(static_cast<std::size_t>(count));
  return user;
}

std::expected<HookProcess, std::string> HookProcess::start(const std::vector<std::string>& words,
                                                           const HookUser& user,
                                                           const std::string& directory) {
  const auto cannot = [](const char* what, int error) {
    return std::unexpected(std::string(what) + ": " + std::strerror(error));
  };
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return cannot("pipe", errno);
  UniqueFd output(ends[0]);
  const UniqueFd writer(ends[1]);
  (void)::fcntl(output.get(), F_SETFL, O_NONBLOCK);
  const UniqueFd input(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!input.valid()) return cannot("/dev/null", errno);
  std::vector<std::string> arguments = words;
  const std::string name = user_name(user.uid);
  std::vector<std::string> environment = {
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8",
      "HOME=" + user.home, "USER=" + (name.empty() ? std::to_string(user.uid) : name)};
  Launch launch;
  launch.argv = pointers(arguments);
  launch.envp = pointers(environment);
  launch.user = &user;
  launch.directory = directory.c_str();
  launch.output = writer.get();
  launch.input = input.get();
  const char* volatile failed = nullptr;
  volatile int error = 0;
  const pid_t child = launch_child(launch, failed, error);
  if (child < 0) return cannot("vfork", errno);
  if (failed != nullptr) {
    (void)::waitpid(child, nullptr, 0);
    return cannot(std::strcmp(failed, "exec") == 0 ? words.front().c_str() : failed, error);
  }
  UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  const int pidfd_error = errno;
  HookProcess process(child, std::move(pidfd), std::move(output));
  if (!process.pidfd_.valid()) return cannot("pidfd_open", pidfd_error);
  return process;
}

HookProcess::HookProcess(HookProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)),
      pidfd_(std::move(other.pidfd_)),
      output_(std::move(other.output_)),
      printed_(std::move(other.printed_)) {}

HookProcess::~HookProcess() {
  if (pid_ == 0) return;
  kill();
  (void)::waitpid(pid_, nullptr, 0);
}

void HookProcess::take_output() {
  std::array<char, 4096> buffer{};
  // A bounded part at a time: it may print without end.
  for (int i = 0; i < 16 && output_.valid(); ++i) {
    const ssize_t count = ::read(output_.get(), buffer.data(), buffer.size());
    if (count < 0) {
      if (errno != EAGAIN && errno != EINTR) output_.reset();
      return;
    }
    if (count == 0) return output_.reset();
    printed_.append(buffer.data(), static_cast<std::size_t>(count));
    if (printed_.size() > kKeptMax) printed_.erase(0, printed_.size() - kKeptMax);
  }
}

std::optional<int> HookProcess::reap() {
  siginfo_t ended{};
  if (pid_ == 0 ||
      ::waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT) != 0 ||
      ended.si_pid == 0) {
    return std::nullopt;
  }
  // What it has left behind in its session ends with it; first, while the number is still its own.
  kill();
  int status = 0;
  (void)::waitpid(pid_, &status, 0);
  pid_ = 0;
  return status;
}

void HookProcess::kill() {
  if (pid_ != 0) (void)::kill(-pid_, SIGKILL);
}

std::string HookProcess::last_line() const {
  std::string_view text = printed_;
  while (text.ends_with('\n') || text.ends_with('\r')) text.remove_suffix(1);
  const std::size_t begin = text.find_last_of("\r\n");
  return std::string(begin == std::string_view::npos ? text : text.substr(begin + 1));
}

}  // namespace ebbfs
