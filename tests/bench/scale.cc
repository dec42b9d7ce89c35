// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/scale.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <thread>
#include <vector>

#include "fs/unique_fd.h"
#include "tests/bench/contender.h"
#include "tests/bench/loops.h"
#include "tests/support/mounted_volume.h"

namespace ebbfs::bench {
namespace {

namespace stdfs = std::filesystem;
using namespace std::chrono_literals;
using Seconds = std::chrono::duration<double>;
using test::eventually;
using test::shell;

// Units in short/ live for 10 s; the others are not due while this runs.
constexpr const char* kManyUnitsPolicy = R"(
[volume]
adopt_grace = "0s"
brake_units = 1000000
[[class]]
name = "worktree"
kind = "tree"
match = ["worktrees/*"]
[[class]]
name = "short"
kind = "tree"
match = ["short/*"]
ttl = "10s"
[[class]]
name = "lock"
kind = "lock"
match = ["locks/**"]
)";

double now() { return Seconds(std::chrono::steady_clock::now().time_since_epoch()).count(); }

double seconds_of(const std::function<void()>& work) {
  const double start = now();
  work();
  return now() - start;
}

// An ebbfs at work, and what its own accounts say.
class Volume {
 public:
  Volume(const std::string& binaries, const std::string& scratch, std::string backing)
      : binaries_(binaries), backing_(std::move(backing)) {
    const std::string policy = scratch + "/scale.toml";
    std::ofstream(policy) << kManyUnitsPolicy;
    contender_.name = "ebbfs";
    contender_.command = binaries + "/ebbfs --foreground --policy " + policy + " {mount}";
    contender_.in_place = true;
  }
  // Seconds until it answers.
  double start() {
    return seconds_of([this] { served_ = std::make_unique<Served>(contender_, backing_); });
  }
  void stop() { served_.reset(); }
  [[nodiscard]] std::int64_t resident() const { return served_->resident_bytes(); }
  [[nodiscard]] std::string at(const std::string& name) const { return backing_ + "/" + name; }
  [[nodiscard]] nlohmann::json status() const {
    return nlohmann::json::parse(ask("status --json"), nullptr, false);
  }
  // What ebbctl says; relative paths are below the mount.
  std::string ask(const std::string& command) const {
    const auto ran = shell(binaries_ + "/ebbctl " + command, backing_);
    if (ran.exit_code != 0) throw std::runtime_error("ebbctl " + command + ": " + ran.out);
    return ran.out;
  }
  void wait_until_exact() const {
    const bool exact =
        eventually([&] { return status().value("provisional", true) == false; }, 1800s);
    if (!exact) throw std::runtime_error("usage stays provisional");
  }
  // Seconds of processor time that the daemon has used.
  [[nodiscard]] double processor() const {
    double sum = 0;
    const std::string tasks = "/proc/" + std::to_string(status()["pid"].get<int>());
    for (const auto& task : stdfs::directory_iterator(tasks + "/task")) {
      std::ifstream file(task.path() / "schedstat");
      std::uint64_t nanoseconds = 0;
      file >> nanoseconds;
      sum += static_cast<double>(nanoseconds) * 1e-9;
    }
    return sum;
  }

 private:
  std::string binaries_;
  std::string backing_;
  Contender contender_;
  std::unique_ptr<Served> served_;
};

std::string time_text(double seconds) {
  if (seconds < 1e-3) return fmt::format("{:.1f} us", seconds * 1e6);
  if (seconds < 1) return fmt::format("{:.1f} ms", seconds * 1e3);
  return fmt::format("{:.2f} s", seconds);
}

// Each step of a loop by itself.
class Latencies {
 public:
  void add(double seconds) { all_.push_back(seconds); }
  [[nodiscard]] double at(double share) {
    std::ranges::sort(all_);
    return all_.at(static_cast<std::size_t>(share * static_cast<double>(all_.size() - 1)));
  }
  [[nodiscard]] std::string text() {
    return fmt::format("median {}, p99 {}", time_text(at(0.5)), time_text(at(0.99)));
  }

 private:
  std::vector<double> all_;
};

// Creates, writes 4 KiB, closes and removes, for as long as `go_on` says.
Latencies create_for(const std::string& directory, const std::function<bool(int)>& go_on) {
  stdfs::create_directories(directory);
  const std::vector<char> data(4096, 'x');
  Latencies latencies;
  for (int i = 0; go_on(i); ++i) {
    const std::string path = directory + "/f" + std::to_string(i);
    latencies.add(seconds_of([&] {
      const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
      if (!fd.valid() || ::write(fd.get(), data.data(), data.size()) != 4096) {
        throw std::runtime_error("create: " + path);
      }
    }));
    ::unlink(path.c_str());
  }
  return latencies;
}

void sweepers(const std::string& tree, int units, const Fact& fact) {
  // Once before, so that both find the tree in memory.
  must("find " + tree + " -mindepth 1 -maxdepth 1 >/dev/null");
  const double find = seconds_of([&] { must("find " + tree + " -mmin +1440"); });
  fact("find -mmin +1440", time_text(find) + fmt::format(", {} a unit", time_text(find / units)));
  if (shell("command -v tmpreaper").exit_code != 0) return fact("tmpreaper", "not installed");
  const double reaper =
      seconds_of([&] { must("tmpreaper --test --runtime=0 1d " + tree + " >/dev/null 2>&1"); });
  fact("tmpreaper --test 1d",
       time_text(reaper) + fmt::format(", {} a unit", time_text(reaper / units)));
}

void starts(Volume& volume, int units, const Fact& fact) {
  volume.start();
  const double adopted = seconds_of([&] { volume.wait_until_exact(); });
  fact("adopted after", time_text(adopted));
  fact("memory a unit, right after adopting", fmt::format("{} bytes", volume.resident() / units));
  volume.stop();
  const double started = volume.start();
  fact("answers after a restart", time_text(started) + " (goal: 1 s)");
  fact("memory a unit, after a restart",
       fmt::format("{} bytes (goal: 1024), the whole daemon shared among them",
                   volume.resident() / units));
}

// The due among many that are not.
void expires(const Volume& volume, const ScaleSize& size, const Fact& fact) {
  const double before = volume.processor();
  std::this_thread::sleep_for(10s);
  fact("processor time while nothing is due",
       time_text((volume.processor() - before) / 10) + " a second");
  stdfs::create_directories(volume.at("short"));
  fill(volume.at("short"), size.due, 10);
  const double made = now();
  std::this_thread::sleep_for(8s);
  const double spent = volume.processor();
  const bool gone = eventually([&] { return stdfs::is_empty(volume.at("short")); }, 120s);
  if (!gone) throw std::runtime_error("units that are due stay");
  const double late = now() - made - 10;
  const double each = (volume.processor() - spent) / size.due;
  fact(fmt::format("{} of the units expire, the last after its deadline by", size.due),
       time_text(std::max(late, 0.0)) + " (goal: 1 s)");
  fact("processor time for each of them", time_text(each));
}

void removal(const Volume& volume, const ScaleSize& size, const Fact& fact) {
  for (const int files : {10, size.large / 2}) {
    const std::string unit = "worktrees/with-" + std::to_string(files);
    stdfs::create_directories(volume.at(unit));
    fill(volume.at(unit), 1, files);
    const double took = seconds_of([&] { volume.ask("expire " + unit); });
    fact(fmt::format("ebbctl expire, a unit of {} files", files), time_text(took));
  }
}

// How long others wait while a large unit is deleted.
void deletion(const Volume& volume, const ScaleSize& size, const Fact& fact) {
  const std::string unit = "worktrees/large";
  stdfs::create_directories(volume.at(unit));
  fill(volume.at(unit), size.large / 1000, 1000);
  volume.ask("expire " + unit);
  Latencies quiet = create_for(volume.at("work"), [&](int i) { return i < size.operations; });
  const double begun = now();
  volume.ask("trash empty");
  Latencies busy = create_for(volume.at("work"), [&](int i) {
    return i % 1000 != 999 || volume.status()["trash"]["units"] != 0;
  });
  const double took = now() - begun;
  fact("create+write+close 4 KiB, nothing else going on", quiet.text());
  fact(fmt::format("the same while {} files are deleted ({})", size.large, time_text(took)),
       busy.text() + fmt::format("; x {:.2f}, x {:.2f} (goal: 1.5)", busy.at(0.5) / quiet.at(0.5),
                                 busy.at(0.99) / quiet.at(0.99)));
}

// Lookups while another process on the same processor waits for space.
void waiting(const Volume& volume, int operations, const Fact& fact) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(0, &one);
  ::sched_setaffinity(0, sizeof one, &one);
  fill(volume.at("names"), 1, operations);
  // Full, with nothing that might go.
  (void)shell("head -c 100M /dev/zero >" + volume.at("full"));
  const pid_t writer = ::fork();
  if (writer == 0) {
    const int fd = ::open(volume.at("more").c_str(), O_WRONLY | O_CREAT, 0644);
    const std::vector<char> data(1 << 20, 'x');
    for (;;) (void)!::write(fd, data.data(), data.size());
  }
  std::this_thread::sleep_for(200ms);
  Latencies looks;
  for (int i = 0; i < operations; ++i) {
    struct stat found{};
    const std::string path = volume.at("names/d0/f") + std::to_string(i);
    looks.add(seconds_of([&] { (void)::stat(path.c_str(), &found); }));
    if (i % 100 == 0) std::this_thread::sleep_for(10ms);
  }
  ::kill(writer, SIGKILL);
  ::waitpid(writer, nullptr, 0);
  fact("lookups on the processor of one who waits for space", looks.text() + " (goal: 5 ms)");
}

}  // namespace

ScaleSize quick_scale_size() {
  return {.units = 50, .files = 5, .due = 5, .large = 2'000, .operations = 200};
}

void measure_many_units(const std::string& binaries, const std::string& scratch,
                        const ScaleSize& size, const Fact& fact) {
  const Ground ground("tmpfs", scratch, "20G");
  const std::string backing = ground.directory("scale");
  stdfs::create_directories(backing + "/worktrees");
  fill(backing + "/worktrees", size.units, size.files);
  sweepers(backing + "/worktrees", size.units, fact);
  Volume volume(binaries, scratch, backing);
  starts(volume, size.units, fact);
  expires(volume, size, fact);
}

void measure_neighbours(const std::string& binaries, const std::string& scratch,
                        const ScaleSize& size, const Fact& fact) {
  {
    const Ground ground("tmpfs", scratch, "4G");
    Volume volume(binaries, scratch, ground.directory("deletion"));
    stdfs::create_directories(volume.at("worktrees"));
    volume.start();
    removal(volume, size, fact);
    deletion(volume, size, fact);
  }
  const Ground ground("tmpfs", scratch, "64M");
  Volume volume(binaries, scratch, ground.directory("space"));
  stdfs::create_directories(volume.at("names"));
  volume.start();
  waiting(volume, size.operations, fact);
}

}  // namespace ebbfs::bench
