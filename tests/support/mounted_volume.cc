// SPDX-License-Identifier: Apache-2.0
#include "tests/support/mounted_volume.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <stdexcept>
#include <thread>
#include <utility>

#include "index/types.h"
#include "tests/support/plain_files.h"
#include "tools/control_client.h"

namespace ebbfs::test {
namespace {

using namespace std::chrono_literals;

// Where ctest says, else beside this program; never one that is installed.
std::string binary(const std::string& name) {
  if (std::getenv("EBBFS_BIN_DIR") == nullptr) {
    const auto here = std::filesystem::read_symlink("/proc/self/exe").parent_path();
    ::setenv("EBBFS_BIN_DIR", here.c_str(), 0);
  }
  return std::string(std::getenv("EBBFS_BIN_DIR")) + "/" + name;
}

// Once for the program. Where it is not allowed, mounting is not either.
void leave_mount_namespace() {
  static const bool kLeft [[maybe_unused]] =
      ::unshare(CLONE_NEWNS) == 0 &&
      ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}

// What each thread of `process` waits for, in the program (where eu-stack is) and in the kernel.
std::string stacks_of(pid_t process) {
  const std::string number = std::to_string(process);
  return shell("eu-stack -s -p " + number + "; cd /proc/" + number +
               "/task && for t in *; do echo \"-- $t $(cat $t/comm): $(cat $t/syscall)\"; "
               "cat $t/stack; done")
      .out;
}

[[noreturn]] void give_up(const std::string& what, const Ran& ran) {
  throw std::runtime_error(what + " (exit " + std::to_string(ran.exit_code) + "): " + ran.out);
}

}  // namespace

Ran shell(const std::string& command, const std::string& directory) {
  // A subshell, so that `exit` and `exec` in the command do not lose the redirection.
  const std::string quoted = "cd '" + directory + "' && {\n" + command + "\n}";
  int ends[2];
  if (::pipe(ends) != 0) throw std::runtime_error("pipe");
  // Not forked: this process is large, and there are thousands of these.
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
  ::posix_spawn_file_actions_addclose(&actions, ends[0]);
  ::posix_spawn_file_actions_addclose(&actions, ends[1]);
  const char* words[] = {"bash", "-c", quoted.c_str(), nullptr};
  pid_t child = 0;
  const int error =
      ::posix_spawnp(&child, words[0], &actions, nullptr, const_cast<char* const*>(words), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::runtime_error("posix_spawnp");
  ::close(ends[1]);
  Ran ran;
  char buffer[4096];
  for (ssize_t count = 0; (count = ::read(ends[0], buffer, sizeof buffer)) > 0;) {
    ran.out.append(buffer, static_cast<std::size_t>(count));
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  ran.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return ran;
}

unsigned from_environment(const char* name, unsigned otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : static_cast<unsigned>(std::strtoul(text, nullptr, 10));
}

bool eventually(const std::function<bool()>& condition, std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) return condition();
    std::this_thread::sleep_for(10ms);
  }
  return true;
}

std::optional<std::string> MountedVolume::cannot_run(const std::string& filesystem) {
  if (::geteuid() != 0) return "needs root to mount";
  if (::access("/dev/fuse", R_OK | W_OK) != 0) return "needs /dev/fuse";
  if (filesystem != "tmpfs" && ::access("/dev/loop-control", R_OK | W_OK) != 0) {
    return "needs loop devices for an image of " + filesystem;
  }
  if (filesystem != "tmpfs" && shell("command -v mkfs." + filesystem).exit_code != 0) {
    return "needs mkfs." + filesystem;
  }
  return {};
}

MountedVolume::MountedVolume(VolumeOptions options)
    : options_(std::move(options)), ebbctl_(::open(binary("ebbctl").c_str(), O_PATH)) {
  leave_mount_namespace();
  char scratch[] = "/tmp/ebbfs-test-XXXXXX";
  if (::mkdtemp(scratch) == nullptr) throw std::runtime_error("mkdtemp");
  scratch_ = scratch;
  // In memory, as waiting for a disk tests nothing; for other users, too, as tests become them.
  if (::mount("tmpfs", scratch, "tmpfs", 0, "mode=0755") != 0) throw std::runtime_error("mount");
  path_ = scratch_ + "/volume";
  ::mkdir(path_.c_str(), 0755);
  set_policy(options_.policy);
  try {
    make_filesystem();
    if (!options_.bare) mount();
  } catch (...) {
    take_down();
    throw;
  }
}

MountedVolume::~MountedVolume() {
  if (mounted_) unmount();
  take_down();
}

void MountedVolume::take_down() const {
  while (::umount2(path_.c_str(), MNT_DETACH) == 0) {
  }
  (void)::umount2(scratch_.c_str(), MNT_DETACH);
  ::rmdir(scratch_.c_str());
}

void MountedVolume::make_filesystem() {
  const std::string inodes = std::to_string(options_.inodes);
  std::string command;
  if (options_.filesystem == "tmpfs") {
    const std::string limit = options_.inodes > 0 ? ",nr_inodes=" + inodes : "";
    command = "mount -t tmpfs -o size=" + options_.size + limit + " tmpfs volume";
  } else {
    const std::string limit = options_.inodes > 0 ? " -N " + inodes : "";
    command = "truncate -s " + options_.size + " image && mkfs." + options_.filesystem + limit +
              " -q image && mount -o loop image volume && rm -rf volume/lost+found";
  }
  const Ran ran = shell(command, scratch_);
  if (ran.exit_code != 0) give_up("cannot make a " + options_.filesystem, ran);
  ::chmod(path_.c_str(), 0777);
}

void MountedVolume::set_policy(const std::string& policy) {
  std::ofstream(scratch_ + "/policy.toml") << policy;
}

void MountedVolume::run_daemon() {
  std::string command =
      "exec " + options_.launcher + " '" + binary(options_.program) + "' --foreground";
  if (!options_.policy.empty()) command += " --policy " + scratch_ + "/policy.toml";
  if (!options_.transport.empty()) command += " --transport " + options_.transport;
  for (const std::string& argument : options_.arguments) command += " " + argument;
  command += " '" + path_ + "' >>" + scratch_ + "/log 2>&1";
  daemon_ = ::fork();
  if (daemon_ != 0) return;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::close_range(3, ~0U, 0);
  ::execlp("bash", "bash", "-c", command.c_str(), nullptr);
  ::_exit(127);
}

void MountedVolume::mount() {
  run_daemon();
  bool ended = false;
  const auto answers_or_ended = [&] {
    ended = ::waitpid(daemon_, nullptr, WNOHANG) == daemon_;
    // An open is answered by the daemon, never by what the kernel remembers of an earlier one.
    const UniqueFd control(::open((path_ + "/.ebbfs/control").c_str(), O_RDWR | O_CLOEXEC));
    return ended || control.valid();
  };
  mounted_ = eventually(answers_or_ended, 30s) && !ended;
  if (mounted_) return;
  if (ended) daemon_ = 0;
  leave_dead_mount();
  give_up("ebbfs does not mount", shell("cat log", scratch_));
}

void MountedVolume::unmount() {
  mounted_ = false;
  ::kill(daemon_, SIGTERM);
  const pid_t ending = std::exchange(daemon_, 0);
  int status = 0;
  const bool ended = eventually([&] { return ::waitpid(ending, &status, WNOHANG) == ending; }, 30s);
  if (!ended) {
    std::fprintf(stderr, "ebbfs does not end:\n%s\n", stacks_of(ending).c_str());
    ::kill(ending, SIGKILL);
    ::waitpid(ending, &status, 0);
    (void)::umount2(path_.c_str(), MNT_DETACH);
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    std::fprintf(stderr, "ebbfs ended with status %d:\n%s\n", status,
                 shell("tail -40 log", scratch_).out.c_str());
    // A daemon that crashed or that a sanitizer stopped fails the test, whatever else it saw.
    std::abort();
  }
}

bool MountedVolume::ended() const {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(daemon_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == daemon_;
}

void MountedVolume::leave_dead_mount() {
  mounted_ = false;
  if (daemon_ == 0) return;
  ::kill(daemon_, SIGKILL);
  const auto dead = [&] { return ::waitpid(daemon_, nullptr, WNOHANG) == daemon_; };
  // Should its guardian have failed (fs/guardian.h), the test must not hang.
  if (!eventually(dead, 3s)) {
    ++hung_;
    std::fprintf(stderr, "the killed daemon %d hangs in a notification\n", daemon_);
    (void)shell(
        "mkdir -p fusectl && mount -t fusectl fusectl fusectl && "
        "echo 1 | tee fusectl/$(awk -v at='" +
            path_ +
            "' '$5 == at && / - fuse/ {split($3, d, \":\"); print d[2]}' "
            "/proc/self/mountinfo | tail -n 1)/abort; umount fusectl",
        scratch_);
    (void)eventually(dead, 30s);
  }
  daemon_ = 0;
}

void MountedVolume::kill_daemon() {
  leave_dead_mount();
  // Not the volume itself, should the daemon have died before it mounted, or after it unmounted.
  struct statfs status{};
  if (::statfs(path_.c_str(), &status) != 0) (void)::umount2(path_.c_str(), MNT_DETACH);
}

Ran MountedVolume::ebbctl(const std::string& arguments) const {
  const std::string program = "/proc/self/fd/" + std::to_string(ebbctl_.get());
  return shell("exec " + program + " --mount '" + path_ + "' " + arguments, path_);
}

nlohmann::json MountedVolume::json(const std::string& arguments) const {
  const Ran ran = ebbctl(arguments + " --json");
  return nlohmann::json::parse(ran.out, nullptr, false);
}

nlohmann::json MountedVolume::asked(std::string_view what) const {
  ControlRequest request;
  request.command = what;
  return ask(path_, request).body;
}

nlohmann::json MountedVolume::units() const { return asked(command::kUnits)["units"]; }
nlohmann::json MountedVolume::locks() const { return asked(command::kLocks)["locks"]; }
nlohmann::json MountedVolume::events() const { return asked(command::kEvents)["events"]; }

MountedVolume::Counted MountedVolume::count(const std::string& relative) const {
  Counted counted;
  std::set<ino_t> seen;
  const auto add = [&](const struct stat& status) {
    if (!seen.insert(status.st_ino).second) return;  // hard-linked inodes once
    if (S_ISREG(status.st_mode)) counted.bytes += charge_for_size(status.st_size).n;
    ++counted.inodes;
  };
  struct stat status{};
  if (!relative.empty() && ::lstat(at(relative).c_str(), &status) == 0) add(status);
  for_each_below(path_, relative,
                 [&](const std::string&, const struct stat& found) { add(found); });
  return counted;
}

MountedVolume::Counted MountedVolume::charged(std::optional<uid_t> user) const {
  nlohmann::json status;
  const bool counted = eventually(
      [&] {
        status = asked(command::kStatus);
        return status.is_object() && !status.value("provisional", true);
      },
      15s);
  if (!counted) return {.bytes = -1, .inodes = -1};
  Counted charged;
  for (const auto& each : status["users"]) {
    if (user && each["uid"] != *user) continue;
    charged.bytes += each["bytes"].get<std::int64_t>();
    charged.inodes += each["inodes"].get<std::int64_t>();
  }
  return charged;
}

bool MountedVolume::counts_right() const {
  return eventually([&] { return charged() == count(); }, 15s);
}

}  // namespace ebbfs::test
