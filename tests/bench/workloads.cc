// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/workloads.h"

#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <utility>

#include "tests/bench/loops.h"
#include "tests/support/mounted_volume.h"

namespace ebbfs::bench {
namespace {

namespace fs = std::filesystem;

constexpr int kFilesADirectory = 20;

// Wall time of a command; the shell's start is in it, for everybody.
double milliseconds_of(const std::string& command, const std::string& directory) {
  const auto start = std::chrono::steady_clock::now();
  must(command, directory);
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  return took.count();
}

// Text that does not compress to nothing, the same in every run.
std::string text_of(unsigned seed) {
  std::uint64_t state = seed * 2'654'435'761U + 1;
  const auto next = [&state] {
    state = state * 6'364'136'223'846'793'005U + 1'442'695'040'888'963'407U;
    return static_cast<unsigned>(state >> 33);
  };
  // Sizes as in source code: mostly small, some large.
  const std::size_t size = 200 + next() % (next() % 8 == 0 ? 24'000 : 5'000);
  std::string text;
  while (text.size() < size) {
    text += "word" + std::to_string(next() % 5000);
    text += next() % 9 == 0 ? '\n' : ' ';
  }
  return text;
}

double microseconds_each(double seconds, int count) { return seconds * 1e6 / count; }

}  // namespace

Scale quick_scale() {
  return {.rounds = 1,
          .repository_files = 100,
          .operations = 50,
          .directory_files = 500,
          .walked_files = 2'000,
          .large_bytes = std::int64_t{4} << 20,
          .small_bytes = std::int64_t{1} << 20,
          .fio = true};
}

Material make_material(const std::string& directory, const Scale& scale) {
  const std::string tree = directory + "/tree";
  for (int i = 0; i < scale.repository_files; ++i) {
    const std::string in = tree + "/module" + std::to_string(i / kFilesADirectory / 10) + "/part" +
                           std::to_string(i / kFilesADirectory);
    if (i % kFilesADirectory == 0) fs::create_directories(in);
    std::ofstream(in + "/file" + std::to_string(i) + ".cc") << text_of(static_cast<unsigned>(i));
  }
  must("tar cf tree.tar tree", directory);
  must(
      "export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_DATE='2026-01-01T00:00:00Z' "
      "GIT_COMMITTER_DATE='2026-01-01T00:00:00Z' && cd tree && git init -q -b main && git add . && "
      "git -c user.name=bench -c user.email=bench@localhost commit -q -m files && "
      "git clone -q --bare . ../repository.git && git -C ../repository.git config gc.auto 0 && "
      "git -C ../repository.git repack -adq",  // as one that came from a server
      directory);
  return {.repository = directory + "/repository.git", .archive = directory + "/tree.tar"};
}

void prepare(const std::string& backing, const Material& material, const Scale& scale) {
  for (const char* made : {"worktrees", "locks", "loops", "many", "walked"}) {
    fs::create_directories(backing + "/" + made);
  }
  must("cp -r '" + material.repository + "' repository.git", backing);
  fill(backing + "/many", 1, scale.directory_files);
}

void run_cold(const Served& served, const Scale& scale, const Report& report) {
  const std::string many = served.path() + "/many/d0";
  const auto each = [&](double seconds) {
    return microseconds_each(seconds, scale.directory_files);
  };
  report({"stat of 100,000 files, cold, each"}, each(stat_files(many, scale.directory_files)));
  report({"list 100,000 names, first", Unit::milliseconds},
         list_names(many, scale.directory_files) * 1e3);
}

void run_git(const Served& served, int round, const Report& report) {
  const std::string tree = "worktrees/w" + std::to_string(round);
  const std::string git = "GIT_CONFIG_GLOBAL=/dev/null GIT_OPTIONAL_LOCKS=0 git ";
  const auto timed = [&](const std::string& command) {
    return milliseconds_of(command, served.path());
  };
  report({"git worktree add", Unit::milliseconds, 2.0},
         timed("GIT_CONFIG_GLOBAL=/dev/null git -C repository.git worktree add -q --detach ../" +
               tree));
  // git reads again what is as young as its index, in whole seconds: which files these are would
  // depend on how fast the worktree was made.
  const auto date_index = [&](const char* date) {
    must(git + "-C " + tree + " rev-parse --git-path index | xargs touch -d " + date,
         served.path());
  };
  const std::string status = git + "-C " + tree + " status -s";
  date_index("'1 hour'");
  report({"git status", Unit::milliseconds, 1.8}, timed(status));
  report({"grep -r", Unit::milliseconds, 2.0}, timed("grep -r nothing-has-this " + tree + " || :"));
  report({"grep -r, again", Unit::milliseconds},
         timed("grep -r nothing-has-this " + tree + " || :"));
  report({"git status, again", Unit::milliseconds}, timed(status));
  date_index("@1");
  report({"git status, reading all files", Unit::milliseconds}, timed(status));
  report({"rm -rf", Unit::milliseconds, 2.5}, timed("rm -rf " + tree));
  must(git + "-C repository.git worktree prune", served.path());
}

void run_tar(const Served& served, const Material& material, int round, const Report& report) {
  const std::string to = "worktrees/tar" + std::to_string(round);
  fs::create_directory(served.path() + "/" + to);
  report({"tar x", Unit::milliseconds},
         milliseconds_of("tar xf '" + material.archive + "' -C " + to, served.path()));
  must("rm -rf " + to, served.path());
}

void run_loops(const Served& served, const Scale& scale, int round, const Report& report) {
  const std::string at = served.path() + "/loops/r" + std::to_string(round);
  const int count = scale.operations;
  const auto each = [count](double seconds) { return microseconds_each(seconds, count); };
  fs::create_directory(at);
  report({"statfs, a round trip"}, each(statfs_calls(at, count)));
  report({"lock cycle", Unit::microseconds, 3.0}, each(lock_cycles(at, count)));
  report({"lock cycle in locks/"}, each(lock_cycles(served.path() + "/locks", count)));
  for (const std::size_t kib : {1U, 4U, 16U, 64U}) {
    const std::string size = std::to_string(kib) + " KiB";
    const std::string in = at + "/" + std::to_string(kib);
    Line make{"create+write+close " + size};
    if (kib == 4) make.goal = 3.0;
    report(make, each(make_files(in, count, kib * 1024)));
    if (kib == 4) {
      report({"stat, first"}, each(stat_files(in, count)));
      report({"stat, again"}, each(stat_files(in, count)));
      report({"open+read+close " + size + ", first"}, each(read_files(in, count, kib * 1024)));
      report({"open+read+close " + size + ", again"}, each(read_files(in, count, kib * 1024)));
    }
    const double removed = remove_files(in, count);
    if (kib == 4) report({"unlink"}, each(removed));
  }
  report({"create+write+close 4 KiB, 2 processes"}, each(in_processes(2, [&](int process) {
           (void)make_files(at + "/p" + std::to_string(process), count, 4096);
         })));
  report({"lock cycle, 2 processes"},
         each(in_processes(2, [&](int) { (void)lock_cycles(at, count); })));
  const std::string many = served.path() + "/many/d0";
  report({"list 100,000 names, again", Unit::milliseconds},
         list_names(many, scale.directory_files) * 1e3);
  report({"stat of 100,000 files, again, each"},
         microseconds_each(stat_files(many, scale.directory_files), scale.directory_files));
  fs::remove_all(at);
}

void run_fio(const Served& served, const Scale& scale, const Report& report) {
  struct Job {
    Line line;
    const char* pattern;
    const char* block;
    int processes;
  };
  constexpr auto kRate = Unit::megabytes_per_second;
  const Job jobs[] = {
      {{"write 1 MiB", kRate, 0.95}, "write", "1M", 1},
      {{"read 1 MiB, warm", kRate, 0.95}, "read", "1M", 1},
      {{"write 4 KiB", kRate, 0.35}, "write", "4k", 1},
      {{"read 4 KiB, warm", kRate, 0.95}, "read", "4k", 1},
      {{"random write 4 KiB", kRate}, "randwrite", "4k", 1},
      {{"random read 4 KiB, warm", kRate}, "randread", "4k", 1},
      {{"write 4 KiB, 2 processes", kRate}, "write", "4k", 2},
      {{"read 4 KiB, warm, 2 processes", kRate}, "read", "4k", 2},
  };
  const std::string directory = served.path() + "/fio";
  fs::create_directory(directory);
  for (const Job& job : jobs) {
    const bool reads = std::string(job.pattern).ends_with("read");
    const std::int64_t size =
        std::string(job.block) == "1M" ? scale.large_bytes : scale.small_bytes;
    const std::string command =
        "fio --name=job --thread --ioengine=psync --invalidate=0 --fallocate=none --group_reporting"
        " --output-format=json --directory=. --filename_format='f.$jobnum' --rw=" +
        std::string(job.pattern) + " --bs=" + job.block + " --size=" + std::to_string(size) +
        " --numjobs=" + std::to_string(job.processes);
    // The first read brings the file into memory.
    if (reads) must(command, directory);
    const auto ran = test::shell(command, directory);
    const auto start = ran.out.find('{');
    const auto said = start == std::string::npos
                          ? nlohmann::json()
                          : nlohmann::json::parse(ran.out.substr(start), nullptr, false);
    if (ran.exit_code != 0 || !said.contains("jobs")) throw std::runtime_error("fio: " + ran.out);
    const double rate = said["jobs"][0][reads ? "read" : "write"]["bw_bytes"];
    report(job.line, rate / 1e6);
  }
  fs::remove_all(directory);
}

void run_walk(const Served& served, const Scale& scale, const Report& report) {
  const std::int64_t before = served.resident_bytes();
  const double seconds = walk(served.path() + "/walked", scale.walked_files);
  const std::string files = std::to_string(scale.walked_files);
  report({"walk " + files + " files", Unit::milliseconds}, seconds * 1e3);
  if (before == 0) return;
  report({"bytes of memory a file walked", Unit::count},
         static_cast<double>(served.resident_bytes() - before) / scale.walked_files);
  report({"descriptors after the walk", Unit::count}, static_cast<double>(served.descriptors()));
}

}  // namespace ebbfs::bench
