// SPDX-License-Identifier: Apache-2.0
//
// Locks of dead and living processes on a real mount, however their names came to be.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <thread>

#include "fs/control_json.h"
#include "tests/support/child.h"
#include "tests/support/each_filesystem.h"
#include "tests/support/process_tables.h"

namespace ebbfs::test {
namespace {

using namespace std::chrono_literals;

std::string policy_with(const std::string& owner) {
  return R"(
[volume]
adopt_grace = "0s"
[[class]]
name = "lock"
kind = "lock"
match = ["locks/**"]
orphan_grace = "1s"
ttl = "1h"
owner = ")" +
         owner + "\"\n";
}
constexpr auto kGrace = 1s;
// Long enough for an orphan to have gone.
constexpr auto kWellPastTheGrace = 2500ms;

class Reclaim : public OnVolume {
 protected:
  void SetUp() override { set_up("process"); }
  void set_up(const std::string& owner) {
    mount({.policy = policy_with(owner)});
    if (IsSkipped()) return;
    for (const char* dir : {"locks", "tmp"}) {
      ASSERT_EQ(::mkdir(at(dir).c_str(), 0755), 0);
      ASSERT_EQ(::chmod(at(dir).c_str(), 0777), 0);
    }
  }
  // A process that runs `take` (0 when it has the lock) and waits to be killed.
  static ChildProcess owner(const std::function<int()>& take) {
    return ChildProcess([=](const ChildProcess::Talk& talk) -> int {
      talk.tell(take());
      talk.wait_for_ever();
    });
  }
  [[nodiscard]] bool goes(const std::string& path) {
    return eventually([&] { return !exists(at(path)); }, 10s);
  }
  [[nodiscard]] bool stays(const std::string& path) {
    return !eventually([&] { return !exists(at(path)); }, kWellPastTheGrace);
  }
  [[nodiscard]] nlohmann::json lock(const std::string& path) const {
    for (const auto& each : volume_->locks()) {
      if (each["path"] == path) return each;
    }
    return nullptr;
  }
  [[nodiscard]] int create(const std::string& path) const {
    const UniqueFd fd(::open(at(path).c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644));
    return fd.valid() ? 0 : errno;
  }
};

class ReclaimOfTouched : public Reclaim {
 protected:
  void SetUp() override {
    std::string policy = policy_with("process");
    policy.replace(policy.find("1h"), 2, "2s");
    mount({.policy = policy});
  }
};

TEST_F(ReclaimOfTouched, IsAheadOfNowWhileItIsTouched) {
  volume_->unmount();
  ASSERT_EQ(::mkdir(at("locks").c_str(), 0755), 0);
  put(at("locks/l"), "");  // nobody knows by whom
  volume_->mount();
  for (int i = 0; i < 6; ++i) {
    ASSERT_EQ(::utimensat(AT_FDCWD, at("locks/l").c_str(), nullptr, 0), 0);
    std::this_thread::sleep_for(500ms);
  }
  const auto now = std::chrono::system_clock::now();
  const nlohmann::json reclaim = lock("locks/l")["reclaim_at"];
  ASSERT_TRUE(reclaim.is_string()) << reclaim;
  EXPECT_GT(parse_time(reclaim.get<std::string>()), now);
  const nlohmann::json expires = volume_->json("show " + at("locks/l"))["expires_at"];
  ASSERT_TRUE(expires.is_string()) << expires;
  EXPECT_GT(parse_time(expires.get<std::string>()), now);
  EXPECT_TRUE(goes("locks/l"));
}

struct Way {
  const char* name;
  int (*take)(const std::string& lock, const std::string& temporary);
};
const Way kWays[] = {
    {.name = "ExclusiveCreate",
     .take =
         [](const std::string& lock, const std::string&) {
           const UniqueFd fd(::open(lock.c_str(), O_CREAT | O_EXCL | O_WRONLY, 0644));
           return fd.valid() ? 0 : errno;
         }},
    {.name = "Mkdir",
     .take = [](const std::string& lock,
                const std::string&) { return errno_of(::mkdir(lock.c_str(), 0755)); }},
    {.name = "Symlink",
     .take = [](const std::string& lock,
                const std::string&) { return errno_of(::symlink("owner", lock.c_str())); }},
    {.name = "Mknod",
     .take = [](const std::string& lock,
                const std::string&) { return errno_of(::mknod(lock.c_str(), S_IFREG | 0644, 0)); }},
    {.name = "Link",
     .take =
         [](const std::string& lock, const std::string& temporary) {
           put(temporary, "");
           const int result = errno_of(::link(temporary.c_str(), lock.c_str()));
           ::unlink(temporary.c_str());
           return result;
         }},
    {.name = "Rename",
     .take =
         [](const std::string& lock, const std::string& temporary) {
           put(temporary, "");
           return errno_of(
               ::renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, lock.c_str(), RENAME_NOREPLACE));
         }},
    {.name = "LinkOfANamelessFile",
     .take =
         [](const std::string& lock, const std::string& temporary) {
           const std::string dir = temporary.substr(0, temporary.rfind('/'));
           const UniqueFd fd(::open(dir.c_str(), O_TMPFILE | O_RDWR, 0644));
           const std::string self = "/proc/self/fd/" + std::to_string(fd.get());
           return errno_of(
               ::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, lock.c_str(), AT_SYMLINK_FOLLOW));
         }},
};

TEST_F(Reclaim, TakesTheLocksOfKilledOwnersAndKeepsThoseOfLiveOnesHoweverTaken) {
  std::vector<std::unique_ptr<ChildProcess>> dying;
  std::vector<std::unique_ptr<ChildProcess>> living;
  const auto start = [&](const Way& way, const std::string& fate) {
    const std::string lock = at("locks/" + fate + way.name);
    const std::string temporary = at("tmp/" + fate + way.name);
    auto process = std::make_unique<ChildProcess>([=](const ChildProcess::Talk& talk) -> int {
      talk.tell(way.take(lock, temporary));
      talk.wait_for_ever();
    });
    EXPECT_EQ(process->hear(), 0) << way.name;
    return process;
  };
  for (const Way& way : kWays) {
    dying.push_back(start(way, "dies"));
    living.push_back(start(way, "lives"));
    const std::string name = way.name;
    EXPECT_EQ(lock("locks/dies" + name)["owner"]["pid"], dying.back()->pid()) << name;
    EXPECT_EQ(lock("locks/lives" + name)["state"], "held") << name;
  }
  const auto first_killed = std::chrono::steady_clock::now();
  for (const auto& process : dying) process->kill();
  const auto last_killed = std::chrono::steady_clock::now();
  for (const Way& way : kWays) {
    const std::string name = std::string("locks/dies") + way.name;
    const bool there = exists(at(name));
    if (std::chrono::steady_clock::now() - first_killed < kGrace) {
      EXPECT_TRUE(there) << name;
    }
  }
  for (const Way& way : kWays) EXPECT_TRUE(goes(std::string("locks/dies") + way.name)) << way.name;
  EXPECT_LT(std::chrono::steady_clock::now() - last_killed, kGrace + 1s);
  EXPECT_TRUE(stays(std::string("locks/lives") + kWays[0].name));
  for (const Way& way : kWays) {
    EXPECT_TRUE(exists(at(std::string("locks/lives") + way.name))) << way.name;
  }
}

TEST_F(Reclaim, TakesThousandsThatOneWorkerLeftAndKeepsTheLiveOnesAmongThem) {
  constexpr int kLocks = 3000;
  const auto take_each = [&](const std::string& prefix, int step) {
    return owner([this, prefix, step] {
      int error = 0;
      for (int i = 0; i < kLocks; i += step) {
        const std::string name = "/" + prefix + std::to_string(i);
        error |= create("locks/" + std::to_string(i % 10) + name);
      }
      return error;
    });
  };
  for (int i = 0; i < 10; ++i) {
    ASSERT_EQ(::mkdir(at("locks/" + std::to_string(i)).c_str(), 0755), 0);
  }
  const ChildProcess living = take_each("live", 100);
  EXPECT_EQ(living.hear(), 0);
  const ChildProcess dying = take_each("dead", 1);
  EXPECT_EQ(dying.hear(), 0);
  dying.kill();
  EXPECT_TRUE(eventually([&] { return volume_->locks().size() == kLocks / 100; }, 30s));
  EXPECT_EQ(
      shell("find locks -name 'dead*' | wc -l; find locks -name 'live*' | wc -l", volume_->path())
          .out,
      "0\n" + std::to_string(kLocks / 100) + "\n");
}

TEST_F(Reclaim, OnExistGivesTheNameToTheNextAtOnceAfterTheGrace) {
  const ChildProcess dies = owner([&] { return create("locks/l"); });
  ASSERT_EQ(dies.hear(), 0);
  EXPECT_EQ(create("locks/l"), EEXIST);
  const auto killed = std::chrono::steady_clock::now();
  dies.kill();
  EXPECT_EQ(create("locks/l"), EEXIST);  // the grace is not over
  // Retried as a job would; nobody looks at the name in between.
  EXPECT_TRUE(eventually([&] { return create("locks/l") == 0; }, 10s));
  EXPECT_LT(std::chrono::steady_clock::now() - killed, kGrace + 1s);
  EXPECT_EQ(lock("locks/l")["owner"]["pid"], ::getpid());
  EXPECT_TRUE(stays("locks/l"));
}

TEST_F(Reclaim, KeepsALockThatSomebodyHasOpen) {
  const ChildProcess dies = owner([&] { return create("locks/l"); });
  ASSERT_EQ(dies.hear(), 0);
  UniqueFd fd = opened(at("locks/l"), O_RDONLY);
  dies.kill();
  EXPECT_TRUE(stays("locks/l"));
  fd.reset();
  EXPECT_TRUE(goes("locks/l"));
}

TEST_F(Reclaim, KeepsTheLockOfAHelperWhileItsParentLives) {
  const ChildProcess parent = owner([&] { return shell("mkdir " + at("locks/l")).exit_code; });
  ASSERT_EQ(parent.hear(), 0);
  EXPECT_TRUE(stays("locks/l"));
  EXPECT_EQ(lock("locks/l")["state"], "held");
  parent.kill();
  EXPECT_TRUE(goes("locks/l"));
}

TEST_F(Reclaim, TakesWhatAProcessForgotThatEndedLongAfterTakingIt) {
  const ChildProcess forgets([&](const ChildProcess::Talk& talk) -> int {
    talk.tell(create("locks/l"));
    talk.wait();
    return 0;
  });
  ASSERT_EQ(forgets.hear(), 0);
  EXPECT_FALSE(eventually([&] { return !exists(at("locks/l")); }, 2500ms));
  forgets.go_on();
  EXPECT_TRUE(goes("locks/l"));
}

TEST_F(Reclaim, KeepsTheLockOfAThreadThatEndedWhileItsProcessLives) {
  const ChildProcess process = owner([&] {
    int result = 0;
    std::thread([&] { result = create("locks/l"); }).join();
    return result;
  });
  ASSERT_EQ(process.hear(), 0);
  EXPECT_TRUE(stays("locks/l"));
  process.kill();
  EXPECT_TRUE(goes("locks/l"));
}

TEST_F(Reclaim, KnowsTheOwnerThatDroppedItsPrivileges) {
  const ChildProcess process = owner([&] {
    if (::setresgid(kAlice, kAlice, kAlice) != 0 || ::setresuid(kAlice, kAlice, kAlice) != 0) {
      return errno;
    }
    return create("locks/l");
  });
  ASSERT_EQ(process.hear(), 0);
  EXPECT_EQ(lock("locks/l")["owner"]["uid"], kAlice);
  EXPECT_TRUE(stays("locks/l"));
  process.kill();
  EXPECT_TRUE(goes("locks/l"));
}

TEST_F(Reclaim, GoesToWhomTheFirstLineNames) {
  const ChildProcess names;
  const ChildProcess dies = owner([&] {
    put(at("locks/l"), std::to_string(names.pid()) + "\n");
    return 0;
  });
  ASSERT_EQ(dies.hear(), 0);
  dies.kill();
  EXPECT_TRUE(stays("locks/l"));
  names.kill();
  EXPECT_TRUE(goes("locks/l"));
}

TEST_F(Reclaim, LeavesALockThatWasReplacedSince) {
  const ChildProcess dies = owner([&] { return create("locks/l"); });
  ASSERT_EQ(dies.hear(), 0);
  dies.kill();
  put(at("tmp/new"), "mine");
  ASSERT_EQ(::rename(at("tmp/new").c_str(), at("locks/l").c_str()), 0);
  EXPECT_TRUE(stays("locks/l"));
  EXPECT_EQ(get(at("locks/l")), "mine");
}

TEST_F(Reclaim, GoesOnForOwnersThatDiedWhileTheDaemonWasAway) {
  const ChildProcess dies = owner([&] { return create("locks/dies"); });
  const ChildProcess lives = owner([&] { return create("locks/lives"); });
  ASSERT_EQ(dies.hear(), 0);
  ASSERT_EQ(lives.hear(), 0);
  volume_->kill_daemon();
  dies.kill();
  volume_->mount();
  EXPECT_TRUE(goes("locks/dies"));
  EXPECT_TRUE(stays("locks/lives"));
  lives.kill();
  EXPECT_TRUE(goes("locks/lives"));
}

TEST_F(Reclaim, KeepsADirectoryInWhichOthersHaveLocks) {
  const ChildProcess dies =
      owner([&] { return errno_of(::mkdir(at("locks/shared").c_str(), 0777)); });
  ASSERT_EQ(dies.hear(), 0);
  const ChildProcess lives = owner([&] { return create("locks/shared/l"); });
  ASSERT_EQ(lives.hear(), 0);
  dies.kill();
  EXPECT_TRUE(stays("locks/shared/l"));
  lives.kill();
  EXPECT_TRUE(goes("locks/shared/l"));
}

TEST_F(Reclaim, IsToldInTheEventsWithOwnerAndRule) {
  const ChildProcess dies = owner([&] { return create("locks/l"); });
  ASSERT_EQ(dies.hear(), 0);
  dies.kill();
  ASSERT_TRUE(goes("locks/l"));
  const auto events = volume_->events();
  const auto event = std::ranges::find_if(events, [](const auto& each) {
    return each["kind"] == "reclaimed" && each["path"] == "locks/l";
  });
  ASSERT_NE(event, events.end());
  EXPECT_THAT((*event)["owner_text"].get<std::string>(),
              testing::HasSubstr("pid=" + std::to_string(dies.pid())));
  EXPECT_TRUE((*event)["rule"].is_string());
}

// Which the kernel opens by itself, without a word to the daemon.
TEST_F(Reclaim, KeepsADirectoryOrFifoWhileSomebodyHasItOpen) {
  for (const char* path : {"locks/d", "locks/f"}) {
    SCOPED_TRACE(path);
    const ChildProcess first = owner([&] {
      return path == std::string("locks/d") ? ::mkdir(at(path).c_str(), 0755)
                                            : ::mkfifo(at(path).c_str(), 0644);
    });
    ASSERT_EQ(first.hear(), 0);
    const ChildProcess second =
        owner([&] { return ::open(at(path).c_str(), O_RDONLY | O_NONBLOCK) >= 0 ? 0 : 1; });
    ASSERT_EQ(second.hear(), 0);
    first.kill();
    EXPECT_TRUE(stays(path));
    second.kill();
    EXPECT_TRUE(goes(path));
  }
}

class ReclaimByCgroup : public Reclaim {
 protected:
  void SetUp() override {
    if (cgroup_.path().empty()) GTEST_SKIP() << "needs a cgroup v2 hierarchy to write to";
    set_up("cgroup");
  }
  TestCgroup cgroup_;
};

TEST_F(ReclaimByCgroup, KeepsTheLockUntilTheCgroupIsEmpty) {
  const ChildProcess first = owner([&] {
    if (!cgroup_.add(::getpid())) return 1;
    return create("locks/l");
  });
  ASSERT_EQ(first.hear(), 0);
  const ChildProcess second = owner([&] { return cgroup_.add(::getpid()) ? 0 : 1; });
  ASSERT_EQ(second.hear(), 0);
  first.kill();
  EXPECT_TRUE(stays("locks/l"));
  second.kill();
  EXPECT_TRUE(goes("locks/l"));
}

}  // namespace
}  // namespace ebbfs::test
