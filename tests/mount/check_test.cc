// SPDX-License-Identifier: Apache-2.0
//
// ebbctl check on a real mount: exact while two users work on several threads, and telling what was
// changed behind the mount's back.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <random>
#include <thread>

#include "tests/mount/random_session.h"
#include "tests/support/each_filesystem.h"

namespace ebbfs::test {
namespace {

using namespace std::chrono_literals;

constexpr const char* kUnitsPolicy = R"(
[[class]]
name = "tree"
kind = "tree"
match = ["units/*", "other/*"]
ttl = "24h"
)";

class CheckCommand : public OnVolume, public testing::WithParamInterface<Ground> {
 protected:
  void SetUp() override {
    mount({.filesystem = GetParam().filesystem,
           .policy = kUnitsPolicy,
           .transport = GetParam().transport});
    if (IsSkipped()) return;
    for (const char* dir : {"units", "other", "locks", "plain"}) {
      ASSERT_EQ(::mkdir(at(dir).c_str(), 0755), 0);
      ASSERT_EQ(::chmod(at(dir).c_str(), 0777), 0);
    }
  }
  // The volume as the daemon sees it, under the mount.
  [[nodiscard]] Ran behind(const std::string& commands) const {
    const int pid = volume_->json("status")["pid"];
    // Its descriptor of the volume root leads around the mount.
    return shell("set -e; for fd in /proc/" + std::to_string(pid) +
                     "/fd/*; do if [ -d $fd/.ebbfs/trash ]; then cd $fd; break; fi; done; "
                     "test -d .ebbfs/index; " +
                     commands,
                 "/");
  }
  [[nodiscard]] nlohmann::json difference(const nlohmann::json& check,
                                          const std::string& scope) const {
    for (const auto& one : check["differences"]) {
      if (one["scope"] == scope) return {one["bytes"], one["inodes"]};
    }
    return nullptr;
  }
};

INSTANTIATE_TEST_SUITE_P(On, CheckCommand, testing::ValuesIn(kFilesystems), ground_name);

TEST_P(CheckCommand, FindsNothingTenTimesWhileTwoUsersWork) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  // What is there to be counted, so that a check takes a while.
  ASSERT_EQ(shell("for u in units/a units/b units/c plain/d; do mkdir -p $u/many; "
                  "for i in $(seq 250); do echo $i >$u/many/$i; done; done",
                  volume_->path())
                .exit_code,
            0);
  std::vector<pid_t> workers;
  for (unsigned i = 0; i < 3; ++i) {
    const pid_t worker = ::fork();
    if (worker == 0) {
      (void)run_random_session(volume_->path(), seed + i, 1'000'000);
      ::_exit(0);
    }
    workers.push_back(worker);
  }
  for (int i = 0; i < 10; ++i) {
    const Ran ran = volume_->ebbctl("check --json");
    EXPECT_EQ(ran.exit_code, 0) << ran.out;
    const auto check = nlohmann::json::parse(ran.out, nullptr, false);
    ASSERT_TRUE(check.is_object()) << ran.out;
    EXPECT_TRUE(check["differences"].empty()) << ran.out;
    EXPECT_GT(check["files"], 100) << ran.out;
  }
  for (const pid_t worker : workers) {
    EXPECT_EQ(::waitpid(worker, nullptr, WNOHANG), 0) << "the load ended early";
    ::kill(worker, SIGKILL);
    ::waitpid(worker, nullptr, 0);
  }
  // Stretches run in processes of their own, which end with their work.
  EXPECT_TRUE(eventually([&] { return volume_->charged() == volume_->count(); }, 60s));
}

TEST_P(CheckCommand, FindsNothingAfterTreesWentFromUnitToUnitWhileFilesWereMadeInThem) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  ASSERT_EQ(shell("mkdir -p units/a/tree/deep", volume_->path()).exit_code, 0);
  const UniqueFd deep(::open(at("units/a/tree/deep").c_str(), O_RDONLY | O_DIRECTORY));
  ASSERT_TRUE(deep.valid());
  std::atomic<bool> done = false;
  const auto make_and_remove = [&](unsigned number) {
    std::mt19937 random(seed + number);
    while (!done) {
      const std::string name = std::to_string(random() % 20);
      const UniqueFd file(::openat(deep.get(), name.c_str(), O_CREAT | O_WRONLY, 0666));
      if (file.valid()) (void)::ftruncate(file.get(), static_cast<off_t>(random() % 9000));
      if (random() % 2 == 0) ::unlinkat(deep.get(), name.c_str(), 0);
      if (random() % 2 == 0) ::renameat(deep.get(), name.c_str(), deep.get(), "0");
    }
  };
  // Of names that the kernel has just forgotten, so that the daemon is asked.
  const auto look_up = [&] {
    while (!done) {
      for (int name = 0; name < 20; ++name) {
        struct stat status{};
        ::fstatat(deep.get(), std::to_string(name).c_str(), &status, 0);
      }
      (void)names_in("/proc/self/fd/" + std::to_string(deep.get()));
    }
  };
  std::vector<std::jthread> workers;
  for (unsigned i = 0; i < 2; ++i) workers.emplace_back(make_and_remove, i);
  workers.emplace_back(look_up);
  const std::string inside = at("units/a/tree");
  const std::string outside = at("plain/tree");
  const std::string top = at("units/tree");
  int moves = 0;
  for (const auto end = std::chrono::steady_clock::now() + 2s;
       std::chrono::steady_clock::now() < end;) {
    for (const auto& [from, to] :
         {std::pair(inside, outside), std::pair(outside, top), std::pair(top, inside)}) {
      if (::rename(from.c_str(), to.c_str()) == 0) ++moves;
    }
  }
  done = true;
  workers.clear();
  EXPECT_GT(moves, 20);
  const Ran ran = volume_->ebbctl("check");
  EXPECT_EQ(ran.exit_code, 0) << ran.out;
}

TEST_P(CheckCommand, TellsAndRepairsWhatWasChangedBehindTheMount) {
  ASSERT_EQ(shell("mkdir units/a; head -c 5000 /dev/zero >units/a/f; echo x >plain/f; "
                  "echo x >plain/g; chown 40001:40001 plain/g",
                  volume_->path())
                .exit_code,
            0);
  ASSERT_EQ(volume_->ebbctl("check").exit_code, 0);
  const Ran changed =
      behind("head -c 9000 /dev/zero >units/a/new; rm plain/f; chown 40002:40001 plain/g");
  ASSERT_EQ(changed.exit_code, 0) << changed.out;

  const Ran ran = volume_->ebbctl("check --json");
  EXPECT_EQ(ran.exit_code, 1) << ran.out;
  const auto check = nlohmann::json::parse(ran.out);
  EXPECT_EQ(difference(check, "unit:units/a"), (nlohmann::json{12288, 1})) << ran.out;
  EXPECT_EQ(difference(check, "class:tree"), (nlohmann::json{12288, 1})) << ran.out;
  EXPECT_EQ(difference(check, "volume"), (nlohmann::json{12288 - 4096, 0})) << ran.out;
  EXPECT_EQ(difference(check, "user:40001"), (nlohmann::json{-4096, -1})) << ran.out;
  EXPECT_EQ(difference(check, "user:40002"), (nlohmann::json{4096, 1})) << ran.out;
  EXPECT_EQ(difference(check, "group:40001"), nullptr) << ran.out;

  const Ran repaired = volume_->ebbctl("check --repair");
  EXPECT_EQ(repaired.exit_code, 1) << repaired.out;
  EXPECT_NE(repaired.out.find("unit:units/a"), std::string::npos) << repaired.out;
  const Ran again = volume_->ebbctl("check");
  EXPECT_EQ(again.exit_code, 0) << again.out;
  EXPECT_NE(again.out.find("exact"), std::string::npos) << again.out;
  // The names are the kernel's for an hour: find is asked below the mount.
  EXPECT_EQ(volume_->json("status")["check"]["exact"], true);
  volume_->unmount();
  volume_->mount();
}

TEST_P(CheckCommand, IsForRootOnlyAndSaysSo) {
  // Not by ebbctl, which may lie where only root can run it.
  EXPECT_EQ(as(alice(),
               [&] {
                 const UniqueFd control = opened(at(".ebbfs/control"), O_RDWR);
                 const std::string ask = R"({"version":1,"command":"check"})";
                 std::string told(4096, ' ');
                 if (::write(control.get(), ask.data(), ask.size()) < 0) return 1;
                 if (::pread(control.get(), told.data(), told.size(), 0) < 0) return 2;
                 return told.contains("only root may check") ? 0 : 3;
               }),
            0);
  EXPECT_EQ(volume_->ebbctl("check --nonsense").exit_code, 2);
  EXPECT_EQ(shell("'" + std::string(::getenv("EBBFS_BIN_DIR")) + "/ebbctl' --mount /proc check")
                .exit_code,
            3);
}

TEST_P(CheckCommand, DoesNoHarmWhenItIsInterrupted) {
  ASSERT_EQ(shell("for i in $(seq 2000); do : >plain/$i; done", volume_->path()).exit_code, 0);
  const Ran ran = volume_->ebbctl("check --json & sleep 0.05; kill -INT $!; wait $!; true");
  EXPECT_EQ(ran.exit_code, 0) << ran.out;
  EXPECT_EQ(volume_->ebbctl("check").exit_code, 0);
}

}  // namespace
}  // namespace ebbfs::test
