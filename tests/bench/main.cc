// SPDX-License-Identifier: Apache-2.0
//
// tools/bench: runs every workload on every contender, round by round, and prints what came out.
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <thread>

#include "tests/bench/contender.h"
#include "tests/bench/figures.h"
#include "tests/bench/loops.h"
#include "tests/bench/scale.h"
#include "tests/bench/workloads.h"
#include "tests/support/mounted_volume.h"

namespace ebbfs::bench {
namespace {

struct Options {
  bool quick = false;
  bool full = false;
  int rounds = 0;
  std::vector<std::string> grounds;  // empty: all that are usual
  std::vector<std::string> parts = {"cold", "git", "tar", "loops", "fio", "walk", "neighbours"};
  std::vector<std::string> only;  // contenders
  std::string json_file;
  std::string svg_file;
};

bool has(const std::vector<std::string>& list, const std::string& wanted) {
  return std::ranges::find(list, wanted) != list.end();
}

std::string first_line(const std::string& command) {
  const std::string out = test::shell(command).out;
  return out.substr(0, out.find('\n'));
}

nlohmann::json machine() {
  struct utsname system{};
  ::uname(&system);
  const char* commit = std::getenv("EBBFS_COMMIT");
  char date[32];
  const std::time_t now = std::time(nullptr);
  std::strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", std::gmtime(&now));
  return {{"kernel", system.release},
          {"cpus", std::thread::hardware_concurrency()},
          {"cpu", first_line("sed -n 's/^model name.*: //p' /proc/cpuinfo")},
          {"memory", first_line("sed -n 's/^MemTotal: *//p' /proc/meminfo")},
          {"date", date},
          {"load", first_line("cut -d' ' -f1-3 /proc/loadavg")},
          {"commit", commit == nullptr ? "unknown" : commit}};
}

// Runs `part` on each in turn, so that what else the machine does hits all of them alike.
class Round {
 public:
  Round(std::string ground, Figures& figures) : ground_(std::move(ground)), figures_(figures) {}

  template <typename Part>
  void run(const std::vector<Contender>& all, const std::vector<std::unique_ptr<Served>>& served,
           const char* name, Part part) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      std::fprintf(stderr, "%s: %s: %s\n", ground_.c_str(), name, all[i].name.c_str());
      part(*served[i], [&](const Line& line, double value) {
        figures_.add(ground_, line, all[i].name, value);
      });
    }
  }

 private:
  const std::string ground_;
  Figures& figures_;
};

using AllServed = std::vector<std::unique_ptr<Served>>;

AllServed serve(const std::vector<Contender>& all, const Ground& ground, const Material& material,
                const Scale& scale, bool walk) {
  AllServed served;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::string backing = ground.directory("c" + std::to_string(i));
    prepare(backing, material, scale);
    if (walk) fill(backing + "/walked", scale.walked_files / 1000, 1000);
    served.push_back(std::make_unique<Served>(all[i], backing));
  }
  return served;
}

void measure(const std::string& filesystem, const std::vector<Contender>& all,
             const std::string& scratch, const Material& material, const Scale& scale,
             const Options& options, Figures& figures) {
  const bool walk = has(options.parts, "walk") && filesystem == "tmpfs";
  const Ground ground(filesystem, scratch, options.quick ? "1G" : "8G");
  const AllServed served = serve(all, ground, material, scale, walk);
  // ebbfs counts what it finds there.
  ::sleep(options.quick ? 1 : 10);
  Round rounds(filesystem, figures);
  const auto part = [&](const char* name, auto work) {
    if (has(options.parts, name)) rounds.run(all, served, name, work);
  };
  part("cold", [&](const Served& s, const Report& r) { run_cold(s, scale, r); });
  for (int round = 0; round < scale.rounds; ++round) {
    part("git", [&](const Served& s, const Report& r) { run_git(s, round, r); });
    part("tar", [&](const Served& s, const Report& r) { run_tar(s, material, round, r); });
    part("loops", [&](const Served& s, const Report& r) { run_loops(s, scale, round, r); });
    if (scale.fio) part("fio", [&](const Served& s, const Report& r) { run_fio(s, scale, r); });
  }
  if (walk) part("walk", [&](const Served& s, const Report& r) { run_walk(s, scale, r); });
}

// A directory of its own, gone afterwards.
class Scratch {
 public:
  Scratch() {
    char name[] = "/tmp/ebbfs-bench-XXXXXX";
    if (::mkdtemp(name) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = name;
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string summary(const nlohmann::json& machine) {
  return fmt::format("{}, Linux {}, {} x {}, commit {}, load {}",
                     machine["date"].get<std::string>(), machine["kernel"].get<std::string>(),
                     machine["cpus"].get<int>(), machine["cpu"].get<std::string>(),
                     machine["commit"].get<std::string>(), machine["load"].get<std::string>());
}

// What has no native counterpart: printed as it comes.
nlohmann::json measure_facts(const Options& options, const std::string& binaries,
                             const std::string& scratch) {
  const ScaleSize size = options.quick ? quick_scale_size() : ScaleSize{};
  nlohmann::json facts = nlohmann::json::object();
  const Fact fact = [&facts](const std::string& name, const std::string& text) {
    std::printf("%-60s  %s\n", name.c_str(), text.c_str());
    std::fflush(stdout);
    facts[name] = text;
  };
  if (has(options.parts, "units")) measure_many_units(binaries, scratch, size, fact);
  if (has(options.parts, "neighbours")) measure_neighbours(binaries, scratch, size, fact);
  return facts;
}

int run(const Options& options, const std::string& binaries) {
  // Mounts of our own go with us, whatever happens.
  if (::unshare(CLONE_NEWNS) != 0 ||
      ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    std::puts("SKIP: cannot make mounts (needs root)");
    return 77;
  }
  for (const std::string& ground : options.grounds) {
    if (const auto why = test::MountedVolume::cannot_run(ground)) {
      std::printf("SKIP: %s\n", why->c_str());
      return 77;
    }
  }
  const Scratch directory;
  const std::string& scratch = directory.path();
  Scale scale = options.quick ? quick_scale() : Scale{};
  if (options.full) scale.walked_files = 1'000'000;
  if (options.rounds > 0) scale.rounds = options.rounds;
  if (test::shell("command -v fio").exit_code != 0) {
    std::puts("not measured: fio is not installed");
    scale.fio = false;
  }
  std::vector<Contender> all;
  for (Contender& one : contenders(binaries, scratch)) {
    if (!options.only.empty() && one.name != "native" && !has(options.only, one.name)) continue;
    if (const std::string why = one.missing(); !why.empty()) {
      std::printf("not measured: %s\n", why.c_str());
      continue;
    }
    all.push_back(std::move(one));
  }
  const nlohmann::json about = machine();
  std::printf("%s\n", summary(about).c_str());
  const nlohmann::json facts = measure_facts(options, binaries, scratch);
  Figures figures;
  if (std::ranges::any_of(options.parts, [](const std::string& part) {
        return part != "units" && part != "neighbours";
      })) {
    const Material material = make_material(scratch, scale);
    for (const std::string& ground : options.grounds) {
      measure(ground, all, scratch, material, scale, options, figures);
    }
  }
  if (figures.json().empty() && facts.empty()) throw std::runtime_error("nothing was measured");
  std::printf("\nnative: time or rate; all others: ratio to native\n\n%s",
              figures.table(all).c_str());
  if (!options.json_file.empty()) {
    std::ofstream(options.json_file)
        << nlohmann::json{{"machine", about}, {"facts", facts}, {"figures", figures.json()}}.dump(1)
        << "\n";
  }
  if (!options.svg_file.empty()) {
    std::ofstream(options.svg_file)
        << figures.svg(all, "Times slower than the native filesystem (less is better)");
  }
  return 0;
}

}  // namespace
}  // namespace ebbfs::bench

int main(int argc, char** argv) {
  ebbfs::bench::Options options;
  CLI::App app("Measures ebbfs beside the native filesystem and other FUSE filesystems.");
  app.add_flag("--quick", options.quick, "a smoke test: everything once, tiny");
  app.add_flag("--full", options.full, "1,000,000 files walked, not 300,000");
  app.add_option("--rounds", options.rounds, "how often; the median counts");
  app.add_option("--on", options.grounds, "backing filesystems: tmpfs, xfs, ext4")->delimiter(',');
  app.add_option("--part", options.parts, "cold, git, tar, loops, fio, walk, neighbours, units")
      ->delimiter(',');
  app.add_option("--only", options.only, "contenders beside native, by name")->delimiter(';');
  app.add_option("--json", options.json_file, "write all figures to this file");
  app.add_option("--svg", options.svg_file, "write a picture to this file");
  CLI11_PARSE(app, argc, argv);
  if (options.grounds.empty()) {
    options.grounds = options.quick ? std::vector<std::string>{"tmpfs"}
                                    : std::vector<std::string>{"tmpfs", "xfs"};
  }
  try {
    const auto self = std::filesystem::canonical("/proc/self/exe");
    return ebbfs::bench::run(options, self.parent_path().string());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench: %s\n", error.what());
    return 1;
  }
}
