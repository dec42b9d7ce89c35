// SPDX-License-Identifier: Apache-2.0
#include "tests/replay/side.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <queue>
#include <ranges>
#include <stdexcept>
#include <unordered_map>
#include <utility>

#include "fs/unique_fd.h"
#include "tests/replay/attempt.h"
#include "tests/support/mounted_volume.h"

namespace ebbfs::replay {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// The built-in default with its times divided by 3,600, so that a worktree has its 24 hours. Not
// the graces of locks: how long a killed process takes to die, or a heartbeat to come, is real
// time. So they are in the replay what five hours would be in the incident. Nothing is adopted.
constexpr const char* kPolicy = R"(
[volume]
trash_retention = "{hour}ms"
adopt_grace = "0s"
[[class]]
name = "worktree"
kind = "tree"
match = ["worktrees/*"]
ttl = "{day}ms"
keep = "{hour}ms"
[[class]]
name = "lock"
kind = "lock"
match = ["locks/**", "{{git}}/**/*.lock"]
orphan_grace = "5s"
ttl = "5m"
)";
std::string policy(double hour) {
  return fmt::format(kPolicy, fmt::arg("hour", std::lround(hour * 1000)),
                     fmt::arg("day", std::lround(24 * hour * 1000)));
}
constexpr auto kPastTheGrace = 7s;

constexpr int kRepositories = 16;
constexpr std::size_t kWorkers = 48;
constexpr int kSamples = 300;
// For what is late at the end, at least; what is not done by then is left.
constexpr Time kPatience = 60s;

// One time that a job is tried.
struct Try {
  Time due{};
  const Job* job = nullptr;
  std::size_t number = 0;
  bool operator>(const Try& other) const { return due > other.due; }
};

class Side {
 public:
  Side(const std::string& name, const Settings& settings, std::function<void(const Sample&)> tell)
      : tell_(std::move(tell)),
        plan_(settings.trial > 0 ? make_trial(settings.trial)
                                 : make_plan(settings.days, settings.seed)),
        end_(settings.trial > 0 ? Time(0) : settings.days * kDay),
        give_up_(end_ + std::max(kPatience, end_ / 2)),
        volume_({.size = std::to_string(volume_bytes(settings.days)),
                 .policy = policy(settings.hour),
                 .bare = true}),
        backing_(::open(volume_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    if (name != kBare) volume_.mount();
    outcome_.name = name;
    outcome_.volume_bytes = volume_bytes(settings.days);
    outcome_.jobs = static_cast<int>(plan_.size());
    for (const Job& job : plan_) waiting_.push({.due = job.due, .job = &job});
    site_ = {.volume = volume_.path(),
             .scratch = std::filesystem::path(volume_.path()).parent_path(),
             .repositories = kRepositories,
             .hour = settings.hour,
             .live_removed = shared_number()};
    prepare(site_);
  }

  Outcome run() {
    sigset_t child;
    ::sigemptyset(&child);
    ::sigaddset(&child, SIGCHLD);
    ::sigprocmask(SIG_BLOCK, &child, nullptr);
    begin_ = Clock::now();
    Time next_sample{0};
    while (now() < end_ || (!(waiting_.empty() && running_.empty()) && now() < give_up_)) {
      start_what_is_due();
      if (now() >= next_sample && next_sample <= end_) {
        sample();
        next_sample += end_ / kSamples;
      }
      wait(child, next_sample);
      reap();
    }
    outcome_.seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
    finish();
    return std::move(outcome_);
  }

 private:
  [[nodiscard]] Time now() const {
    return std::chrono::duration_cast<Time>((Clock::now() - begin_) / site_.hour);
  }

  void start_what_is_due() {
    while (!waiting_.empty() && waiting_.top().due <= now() && running_.size() < kWorkers) {
      const Try next = waiting_.top();
      waiting_.pop();
      const auto late = std::chrono::duration<double>(now() - next.due).count();
      outcome_.late_seconds_most = std::max(outcome_.late_seconds_most, late);
      late_seconds_ += late;
      ++outcome_.attempts;
      running_.emplace(start(next), next);
    }
  }

  [[nodiscard]] pid_t start(const Try& next) const {
    const pid_t pid = ::fork();
    if (pid < 0) throw std::runtime_error("cannot fork");
    if (pid != 0) return pid;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::_exit(static_cast<int>(attempt(site_, *next.job, next.number)));
  }

  // Until a job ends, one is due or the next sample is.
  void wait(const sigset_t& child, Time next_sample) const {
    Time until = next_sample <= end_ ? next_sample : give_up_;
    if (!waiting_.empty() && running_.size() < kWorkers) {
      until = std::min(until, waiting_.top().due);
    }
    const double seconds =
        std::clamp(std::chrono::duration<double>(until - now()).count() * site_.hour, 0.0, 0.5);
    const timespec limit{.tv_sec = 0, .tv_nsec = std::lround(seconds * 1e9)};
    ::sigtimedwait(&child, nullptr, &limit);
  }

  void reap() {
    for (;;) {
      // The daemon's end, should it come, is for the volume to see.
      siginfo_t info{};
      if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return;
      if (info.si_pid == volume_.daemon()) throw std::runtime_error("ebbfs has ended by itself");
      int status = 0;
      ::waitpid(info.si_pid, &status, 0);
      if (const auto found = running_.find(info.si_pid); found != running_.end()) {
        const Try ended = found->second;
        running_.erase(found);
        settle(ended, status);
      }
    }
  }

  void settle(const Try& ended, int status) {
    if (WIFSIGNALED(status)) {
      ++outcome_.killed;
    } else if (WEXITSTATUS(status) == 0) {
      ++outcome_.jobs_done;
      return;
    } else {
      ++count_of(static_cast<Ending>(WEXITSTATUS(status)));
    }
    const std::size_t next = ended.number + 1;
    if (next == kAttempts) return fail(*ended.job);
    const Time pause = next % 2 == 0 ? kBetweenDeliveries : kBetweenTries;
    waiting_.push({.due = now() + pause, .job = ended.job, .number = next});
  }

  int& count_of(Ending ending) {
    switch (ending) {
      case Ending::lock_without_space:
        return outcome_.locks_without_space;
      case Ending::lock_refused:
        return outcome_.locks_refused;
      case Ending::worktree_refused:
        return outcome_.worktrees_refused;
      case Ending::work_refused:
        return outcome_.work_refused;
      case Ending::robbed:
        return outcome_.robbed;
      case Ending::done:
      case Ending::not_put_away:
        break;
    }
    return outcome_.not_put_away;
  }

  void fail(const Job& job) {
    ++outcome_.jobs_failed;
    if (is_last(job)) ++outcome_.last_jobs_failed;
    if (outcome_.first_failure_day < 0) outcome_.first_failure_day = day();
  }

  [[nodiscard]] bool is_last(const Job& job) const { return job.due >= end_ - end_ / 30; }

  [[nodiscard]] double day() const {
    return std::chrono::duration<double>(now()) / std::chrono::duration<double>(kDay);
  }

  [[nodiscard]] int names_in(const char* directory) const {
    const std::string below = "/proc/self/fd/" + std::to_string(backing_.get()) + "/" + directory;
    std::error_code error;
    const std::filesystem::directory_iterator all(below, error);
    return error ? 0 : static_cast<int>(std::distance(begin(all), end(all)));
  }

  void sample() {
    struct statfs space{};
    ::fstatfs(backing_.get(), &space);
    outcome_.samples.push_back(
        {.day = day(),
         .used = 1 - static_cast<double>(space.f_bavail) / static_cast<double>(space.f_blocks),
         .locks = names_in("locks"),
         .worktrees = names_in("worktrees"),
         .jobs_done = outcome_.jobs_done,
         .jobs_failed = outcome_.jobs_failed});
    tell_(outcome_.samples.back());
  }

  void finish() {
    for (const pid_t pid : std::views::keys(running_)) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
    }
    outcome_.jobs_left = outcome_.jobs - outcome_.jobs_done - outcome_.jobs_failed;
    outcome_.last_jobs = static_cast<int>(
        std::ranges::count_if(plan_, [&](const Job& job) { return is_last(job); }));
    outcome_.live_removed = site_.live_removed->load();
    outcome_.late_seconds_mean = late_seconds_ / std::max(outcome_.attempts, 1);
    outcome_.git_said = test::shell("tail -n 5 git.log", site_.scratch).out;
    if (outcome_.name != kBare) {
      (void)test::eventually([&] { return names_in("locks") == 0; }, kPastTheGrace);
      const nlohmann::json check = volume_.json("check");
      outcome_.accounts_exact = check.is_object() && check["differences"].empty();
    }
    outcome_.locks_after_grace = names_in("locks");
  }

  const std::function<void(const Sample&)> tell_;
  const std::vector<Job> plan_;
  const Time end_;
  const Time give_up_;
  test::MountedVolume volume_;
  const UniqueFd backing_;  // below ebbfs
  Site site_;
  Clock::time_point begin_;
  std::priority_queue<Try, std::vector<Try>, std::greater<>> waiting_;
  std::unordered_map<pid_t, Try> running_;
  double late_seconds_ = 0;
  Outcome outcome_;
};

}  // namespace

Outcome run_side(const std::string& name, const Settings& settings,
                 const std::function<void(const Sample&)>& tell) {
  return Side(name, settings, tell).run();
}

}  // namespace ebbfs::replay
