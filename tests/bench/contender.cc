// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/contender.h"

#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "tests/support/mounted_volume.h"

namespace ebbfs::bench {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::shell;

std::string filled(std::string text, const std::string& key, const std::string& value) {
  for (std::size_t at = 0; (at = text.find(key, at)) != std::string::npos;) {
    text.replace(at, key.size(), value);
    at += value.size();
  }
  return text;
}

dev_t device_of(const std::string& path) {
  struct stat found{};
  return ::stat(path.c_str(), &found) == 0 ? found.st_dev : 0;
}

// Limits that nobody reaches, on every scope: quotas are on, and are not what is measured.
constexpr const char* kLimitsPolicy = R"(
[[class]]
name = "worktree"
kind = "tree"
match = ["worktrees/*"]
[[class]]
name = "lock"
kind = "lock"
match = ["locks/**", "{git}/**/*.lock"]
[[quota]]
scope = "volume"
bytes = "1TiB"
[[quota]]
scope = "class:worktree"
bytes = "1TiB"
[[quota]]
scope = "unit:worktrees/*"
bytes = "1TiB"
inodes = 100000000
[[quota]]
scope = "user:*"
bytes = "1TiB"
soft_bytes = "512GiB"
inodes = 100000000
[[quota]]
scope = "group:*"
bytes = "1TiB"
)";
// One class that nothing matches.
constexpr const char* kEmptyPolicy = R"(
[[class]]
name = "nothing"
kind = "tree"
match = ["no-such-directory/*"]
)";

}  // namespace

void must(const std::string& command, const std::string& directory) {
  const auto ran = shell(command, directory);
  if (ran.exit_code != 0) throw std::runtime_error(command + ": " + ran.out);
}

std::string Contender::missing() const {
  if (command.empty()) return {};
  const std::string program = command.substr(0, command.find(' '));
  return shell("command -v " + program).exit_code == 0 ? "" : program + " is not installed";
}

std::vector<Contender> contenders(const std::string& binaries, const std::string& scratch) {
  std::ofstream(scratch + "/policy.toml") << kLimitsPolicy;
  std::ofstream(scratch + "/empty.toml") << kEmptyPolicy;
  const std::string ebbfs = binaries + "/ebbfs --foreground --transport ";
  const std::string policy = " --policy " + scratch + "/policy.toml {mount}";
  const std::string empty = " --policy " + scratch + "/empty.toml {mount}";
  return {
      {.name = "native", .color = "#9aa0a6", .command = ""},
      {.name = "ebbfs", .color = "#1a73e8", .command = ebbfs + "auto" + policy, .in_place = true},
      {.name = "ebbfs, no rules",
       .color = "#8ab4f8",
       .command = ebbfs + "auto" + empty,
       .in_place = true},
      {.name = "ebbfs, /dev/fuse",
       .color = "#34a853",
       .command = ebbfs + "dev" + policy,
       .in_place = true},
      {.name = "bindfs", .color = "#f29900", .command = "bindfs -f {backing} {mount}"},
      {.name = "mergerfs",
       .color = "#d93025",
       .command = "mergerfs -f -o allow_other,minfreespace=0 {backing} {mount}"},
  };
}

Ground::Ground(const std::string& filesystem, const std::string& scratch, const std::string& size)
    : path_(scratch + "/" + filesystem) {
  must("mkdir -p " + path_);
  if (filesystem == "tmpfs") {
    must("mount -t tmpfs -o nr_inodes=0,size=" + size + " tmpfs " + path_);
    return;
  }
  image_ = path_ + ".image";
  must("truncate -s " + size + " " + image_ + " && mkfs." + filesystem + " -q " + image_ +
       " && mount -o loop " + image_ + " " + path_);
}

Ground::~Ground() {
  while (::umount2(path_.c_str(), MNT_DETACH) == 0) {
  }
  if (!image_.empty()) ::unlink(image_.c_str());
}

std::string Ground::directory(const std::string& name) const {
  std::string made = path_ + "/" + name;
  std::filesystem::create_directories(made);
  return made;
}

Served::Served(const Contender& contender, const std::string& backing)
    : mount_(contender.command.empty() || contender.in_place ? backing : backing + "-mount") {
  if (contender.command.empty()) return;
  std::filesystem::create_directories(mount_);
  const dev_t before = device_of(mount_);
  const std::string command =
      "exec " + filled(filled(contender.command, "{backing}", backing), "{mount}", mount_) +
      " >/dev/null 2>&1";
  daemon_ = ::fork();
  if (daemon_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::execlp("bash", "bash", "-c", command.c_str(), nullptr);
    ::_exit(127);
  }
  const bool up = eventually(
      [&] {
        const dev_t now = device_of(mount_);
        return now != 0 && now != before;
      },
      30s);
  if (!up) {
    stop();
    throw std::runtime_error(contender.name + " does not mount");
  }
}

Served::~Served() { stop(); }

void Served::stop() {
  if (daemon_ == 0) return;
  (void)shell("umount " + mount_ + " || umount -l " + mount_);
  const bool ended = eventually([&] { return ::waitpid(daemon_, nullptr, WNOHANG) != 0; }, 30s);
  if (!ended) {
    ::kill(daemon_, SIGKILL);
    ::waitpid(daemon_, nullptr, 0);
  }
  daemon_ = 0;
}

std::int64_t Served::resident_bytes() const {
  if (daemon_ == 0) return 0;
  std::ifstream statm("/proc/" + std::to_string(daemon_) + "/statm");
  std::int64_t total = 0;
  std::int64_t resident = 0;
  statm >> total >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

std::int64_t Served::descriptors() const {
  if (daemon_ == 0) return 0;
  std::error_code error;
  std::filesystem::directory_iterator all("/proc/" + std::to_string(daemon_) + "/fd", error);
  return error ? 0 : std::distance(begin(all), end(all));
}

}  // namespace ebbfs::bench
