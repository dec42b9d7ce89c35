// SPDX-License-Identifier: Apache-2.0
//
// tools/replay: runs the incident on a bare volume and on ebbfs, each in a process of its own, and
// shows what came of it. Exit status: 0 as promised, 1 not so, 77 cannot run here.
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <exception>
#include <fstream>
#include <random>
#include <stdexcept>

#include "fs/unique_fd.h"
#include "tests/replay/picture.h"
#include "tests/replay/side.h"
#include "tests/support/mounted_volume.h"

namespace ebbfs::replay {

constexpr double kLongestHour = 10;

namespace {

constexpr int kTrial = 100;    // jobs
constexpr double kLeft = 1.5;  // so much more than is needed, for bad moments

struct Options {
  Settings settings{.hour = 0};  // without an hour: as the machine can
  std::string only;
  bool in_turn = false;
  bool json = false;
  std::string svg_file;
};

// A side at work in its own process, which sends a line for each sample and one for the outcome.
class Worker {
 public:
  Worker(const std::string& name, const Settings& settings) : name_(name) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    pid_ = ::fork();
    if (pid_ < 0) throw std::runtime_error("fork");
    if (pid_ == 0) {
      ::close(ends[0]);
      ::_exit(work(name, settings, ends[1]));
    }
    ::close(ends[1]);
    from_.reset(ends[0]);
  }
  ~Worker() {
    if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  [[nodiscard]] int fd() const { return from_.get(); }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const Sample& newest() const { return newest_; }

  // Reads what has come; false at the end.
  bool listen() {
    char buffer[65536];
    const ssize_t count = ::read(from_.get(), buffer, sizeof buffer);
    if (count <= 0) return false;
    text_.append(buffer, static_cast<std::size_t>(count));
    for (std::size_t end = 0; (end = text_.find('\n')) != std::string::npos;) {
      const nlohmann::json message = nlohmann::json::parse(text_.substr(0, end));
      if (message.contains("samples")) {
        outcome_ = message.get<Outcome>();
      } else {
        newest_ = message.get<Sample>();
      }
      text_.erase(0, end + 1);
    }
    return true;
  }

  [[nodiscard]] Outcome outcome() const {
    if (!outcome_) throw std::runtime_error(name_ + ": did not come to an end");
    return *outcome_;
  }

 private:
  static int work(const std::string& name, const Settings& settings, int to) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const auto send = [to](const nlohmann::json& message) {
      const std::string line =
          message.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
      for (std::size_t sent = 0; sent < line.size();) {
        const ssize_t count = ::write(to, line.data() + sent, line.size() - sent);
        if (count <= 0) return;
        sent += static_cast<std::size_t>(count);
      }
    };
    try {
      send(run_side(name, settings, send));
      return 0;
    } catch (const std::exception& error) {
      std::fprintf(stderr, "\nreplay: %s: %s\n", name.c_str(), error.what());
      return 1;
    }
  }

  const std::string name_;
  pid_t pid_ = 0;
  UniqueFd from_;
  std::string text_;
  Sample newest_;
  std::optional<Outcome> outcome_;
};

// On a terminal one line that is written over, elsewhere a line a day.
class Progress {
 public:
  void show(const std::vector<std::unique_ptr<Worker>>& workers) {
    const bool terminal = ::isatty(STDERR_FILENO) == 1;
    std::string line;
    int day = 0;
    for (const auto& worker : workers) {
      const Sample& now = worker->newest();
      day = std::max(day, static_cast<int>(now.day));
      line += fmt::format("  {}: day {:4.1f} {:3.0f} % {:5} locks {:4} worktrees {:4} failed",
                          worker->name(), now.day, now.used * 100, now.locks, now.worktrees,
                          now.jobs_failed);
    }
    if (!terminal && day == day_) return;
    day_ = day;
    std::fprintf(stderr, "%s%s%s", terminal ? "\r\033[K" : "", line.c_str(), terminal ? "" : "\n");
  }
  static void end() {
    if (::isatty(STDERR_FILENO) == 1) std::fputs("\n", stderr);
  }

 private:
  int day_ = -1;
};

std::vector<Outcome> run_together(const std::vector<std::string>& names, const Settings& settings) {
  std::vector<std::unique_ptr<Worker>> workers;
  std::vector<pollfd> watched;
  for (const std::string& name : names) {
    workers.push_back(std::make_unique<Worker>(name, settings));
    watched.push_back({.fd = workers.back()->fd(), .events = POLLIN, .revents = 0});
  }
  Progress progress;
  for (std::size_t open = names.size(); open > 0;) {
    ::poll(watched.data(), watched.size(), -1);
    for (std::size_t i = 0; i < watched.size(); ++i) {
      if (watched[i].revents == 0 || workers[i]->listen()) continue;
      watched[i].fd = -1;
      watched[i].revents = 0;
      --open;
    }
    if (settings.trial == 0) progress.show(workers);
  }
  if (settings.trial == 0) Progress::end();
  std::vector<Outcome> outcomes;
  for (const auto& worker : workers) outcomes.push_back(worker->outcome());
  return outcomes;
}

std::vector<Outcome> run_all(const Options& options, const Settings& settings) {
  if (!options.only.empty()) return run_together({options.only}, settings);
  if (!options.in_turn) return run_together({kBare, kEbbfs}, settings);
  std::vector<Outcome> outcomes = run_together({kBare}, settings);
  outcomes.push_back(run_together({kEbbfs}, settings).front());
  return outcomes;
}

// A second, or as much as this machine needs for an hour's jobs, as it is loaded now.
double hour_for_this_machine(const Options& options) {
  Settings trial = options.settings;
  trial.hour = 1;
  trial.trial = kTrial;
  double slowest = 0;
  for (const Outcome& side : run_all(options, trial)) slowest = std::max(slowest, side.seconds);
  const double needed = slowest / kTrial * kJobsPerDay / 24 * kLeft;
  return std::clamp(std::ceil(needed * 10) / 10, 1.0, kLongestHour);
}

int run(const Options& options) {
  std::optional<std::string> why = test::MountedVolume::cannot_run("tmpfs");
  if (!why && test::shell("command -v git").exit_code != 0) why = "needs git";
  if (why) {
    std::printf("SKIP: %s\n", why->c_str());
    return 77;
  }
  Settings settings = options.settings;
  if (settings.hour == 0) settings.hour = hour_for_this_machine(options);
  const std::string pace = fmt::format("{} days at an hour in {:g} s, seed {}", settings.days,
                                       settings.hour, settings.seed);
  std::fprintf(stderr, "%s, %d jobs, %.0f MB\n", pace.c_str(), settings.days * kJobsPerDay,
               static_cast<double>(volume_bytes(settings.days)) / 1e6);
  const std::vector<Outcome> sides = run_all(options, settings);
  const std::string wrong = complaints(sides);
  if (options.json) {
    const nlohmann::json all{
        {"days", settings.days},        {"seed", settings.seed}, {"seconds_an_hour", settings.hour},
        {"as_promised", wrong.empty()}, {"complaints", wrong},   {"sides", sides}};
    std::printf("%s\n", all.dump(1).c_str());
  } else {
    std::printf("The incident, replayed: %s\n\n%s\n%s\n%s", pace.c_str(),
                plot(sides, settings.days).c_str(), table(sides).c_str(), lag(sides).c_str());
  }
  if (!options.svg_file.empty()) {
    std::ofstream(options.svg_file) << svg(sides, settings.days, pace);
  }
  if (!wrong.empty()) {
    std::fprintf(stderr, "NOT AS PROMISED (seed %u)\n%s", settings.seed, wrong.c_str());
    for (const Outcome& side : sides) {
      if (side.name != kBare) std::fprintf(stderr, "git said last: %s\n", side.git_said.c_str());
    }
  }
  return wrong.empty() ? 0 : 1;
}

}  // namespace
}  // namespace ebbfs::replay

int main(int argc, char** argv) {
  namespace replay = ebbfs::replay;
  replay::Options options;
  options.settings.seed = std::random_device()();
  CLI::App app("Replays the incident on a bare volume and on ebbfs.");
  app.add_option("--days", options.settings.days, "how many of the 30, at least 3")
      ->check(CLI::Range(3, 30));
  app.add_option("--seed", options.settings.seed, "of an earlier replay: the same jobs");
  app.add_option("--hour", options.settings.hour,
                 "seconds that an hour takes; without: 1, or what this machine needs")
      ->check(CLI::Range(1.0, replay::kLongestHour));
  app.add_option("--only", options.only, "one side")
      ->check(CLI::IsMember({replay::kBare, replay::kEbbfs}));
  app.add_flag("--in-turn", options.in_turn, "one side after the other");
  app.add_flag("--json", options.json, "print the figures as JSON");
  app.add_option("--svg", options.svg_file, "write the picture to this file");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  try {
    return replay::run(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "replay: %s\n", error.what());
    return 1;
  }
}
