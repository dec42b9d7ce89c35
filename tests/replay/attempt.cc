// SPDX-License-Identifier: Apache-2.0
#include "tests/replay/attempt.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>
#include <thread>
#include <vector>

#include "fs/unique_fd.h"
#include "tests/support/mounted_volume.h"

namespace ebbfs::replay {
namespace {

constexpr const char* kLocksOf[kLocksEach] = {"task", "slot", "port"};
constexpr int kPayloadFiles = 4;

// Runs git and says whether it succeeded.
bool git(const Site& site, std::vector<std::string> arguments) {
  std::vector<char*> words;
  for (std::string& argument : arguments) words.push_back(argument.data());
  words.push_back(nullptr);
  const UniqueFd log(
      ::open((site.scratch + "/git.log").c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644));
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, log.get(), 1);
  ::posix_spawn_file_actions_adddup2(&actions, log.get(), 2);
  pid_t pid = 0;
  const int error = ::posix_spawnp(&pid, "git", &actions, nullptr, words.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  return error == 0 && ::waitpid(pid, &status, 0) == pid && status == 0;
}

// Git gives up on another worktree's entry that is half made: one at a time in a repository.
class RepositoryGuard {
 public:
  RepositoryGuard(const Site& site, int repository)
      : fd_(::open(fmt::format("{}/repo-{}.guard", site.scratch, repository).c_str(),
                   O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
    ::flock(fd_.get(), LOCK_EX);
  }

 private:
  const UniqueFd fd_;
};

class Attempt {
 public:
  Attempt(const Site& site, const Job& job, std::size_t number)
      : site_(site),
        job_(job),
        fate_(job.fates[number]),
        name_(fmt::format("{:05}-{}", job.number, number + 1)),
        repository_(job.number % site.repositories),
        worktree_(site.volume + "/worktrees/job-" + name_) {}

  Ending run() {
    Ending ending = work_through();
    if (!put_away() && ending == Ending::done) ending = Ending::not_put_away;
    return ending;
  }

 private:
  Ending work_through() {
    if (const int error = take_locks(); error != 0) {
      return error == ENOSPC ? Ending::lock_without_space : Ending::lock_refused;
    }
    if (fate_ == Fate::killed_before_worktree) die();
    if (!add_worktree()) return Ending::worktree_refused;
    has_worktree_ = true;
    settle_in();
    if (!write_payload()) return Ending::work_refused;
    std::this_thread::sleep_for((fate_ == Fate::killed_at_work ? job_.until_kill : job_.work) *
                                site_.hour);
    if (fate_ == Fate::killed_at_work) die();
    return look_around() ? Ending::done : Ending::robbed;
  }

  [[noreturn]] void die() {
    (void)look_around();
    ::kill(::getpid(), SIGKILL);
    ::_exit(1);
  }

  // 0, or why not.
  int take_locks() {
    const std::string owner = std::to_string(::getpid()) + "\n";
    for (const char* what : kLocksOf) {
      const std::string path = fmt::format("{}/locks/{}-{}.lock", site_.volume, what, name_);
      const UniqueFd fd(::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644));
      if (!fd.valid()) return errno;
      locks_.push_back(path);
      const ssize_t written = ::write(fd.get(), owner.data(), owner.size());
      if (written != static_cast<ssize_t>(owner.size())) return written < 0 ? errno : ENOSPC;
    }
    return 0;
  }

  [[nodiscard]] std::string repository() const {
    return fmt::format("{}/repo-{}", site_.volume, repository_);
  }

  [[nodiscard]] bool add_worktree() const {
    const RepositoryGuard guard(site_, repository_);
    return git(site_,
               {"git", "-C", repository(), "worktree", "add", "-q", "--detach", worktree_, "HEAD"});
  }

  void settle_in() {
    if (!job_.stands_inside) {
      held_.reset(::open((worktree_ + "/log").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
      return;
    }
    // Where that fails it has gone, which is found out at the end.
    [[maybe_unused]] const int ignored = ::chdir(worktree_.c_str());
  }

  [[nodiscard]] std::string payload(int number) const {
    return fmt::format("{}/output-{}", worktree_, number);
  }

  [[nodiscard]] bool write_payload() {
    const std::string bytes(static_cast<std::size_t>(job_.payload_bytes / kPayloadFiles), 'x');
    for (int number = 0; number < kPayloadFiles; ++number) {
      const UniqueFd fd(
          ::open(payload(number).c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644));
      if (::write(fd.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
        return false;
      }
      ++payload_files_;
    }
    return true;
  }

  // By opening, which no cache answers.
  static bool opens(const std::string& path) {
    return UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)).valid();
  }

  // Whether all that it holds is there. Counts what is not.
  [[nodiscard]] bool look_around() const {
    int gone = 0;
    for (const std::string& lock : locks_) {
      if (!opens(lock)) ++gone;
    }
    bool whole = !has_worktree_ || opens(worktree_ + "/.git");
    for (int number = 0; number < payload_files_; ++number) whole = whole && opens(payload(number));
    if (!whole) ++gone;
    site_.live_removed->fetch_add(gone);
    return gone == 0;
  }

  [[nodiscard]] bool put_away() {
    bool done = true;
    if (has_worktree_) {
      // Held until it is its turn: a wait of a day would be a day of disuse.
      const RepositoryGuard guard(site_, repository_);
      held_.reset();
      done = ::chdir("/") == 0 &&
             git(site_, {"git", "-C", repository(), "worktree", "remove", "--force", worktree_});
    }
    for (const std::string& lock : locks_) done = ::unlink(lock.c_str()) == 0 && done;
    return done;
  }

  const Site& site_;
  const Job& job_;
  const Fate fate_;
  const std::string name_;
  const int repository_;
  const std::string worktree_;
  std::vector<std::string> locks_;
  bool has_worktree_ = false;
  UniqueFd held_;
  int payload_files_ = 0;
};

}  // namespace

std::atomic<int>* shared_number() {
  void* memory = ::mmap(nullptr, sizeof(std::atomic<int>), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::runtime_error("no shared memory");
  return new (memory) std::atomic<int>(0);
}

void prepare(const Site& site) {
  ::setenv("GIT_CONFIG_GLOBAL", "/dev/null", 1);
  ::setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
  const test::Ran ran = test::shell(
      "set -e; mkdir locks worktrees\n"
      "git init -q --template= repo-0; cd repo-0; mkdir src\n"
      "for n in $(seq 8); do head -c 3000 /dev/urandom | base64 >src/file-$n; done\n"
      "git add -A; git -c user.name=replay -c user.email=replay@localhost commit -qm content\n"
      "git config gc.auto 0; cd ..\n"
      "for n in $(seq " +
          std::to_string(site.repositories - 1) + "); do cp -r repo-0 repo-$n; done",
      site.volume);
  if (ran.exit_code != 0) throw std::runtime_error("no repositories: " + ran.out);
}

Ending attempt(const Site& site, const Job& job, std::size_t number) {
  return Attempt(site, job, number).run();
}

}  // namespace ebbfs::replay
