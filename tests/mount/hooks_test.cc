// SPDX-License-Identifier: Apache-2.0
//
// [[hook]] on a real mount.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "index/mutex.h"
#include "tests/support/each_filesystem.h"
#include "tests/support/git.h"
#include "tests/support/temp_tree.h"

namespace ebbfs::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

class HooksTest : public OnVolume {
 protected:
  // `hooks`: what follows the classes. $OUT stands for a directory where hooks may write.
  void begin(const std::string& hooks, const std::string& ttl = "6s") {
    ::chmod(out_.path().c_str(), 0777);
    policy_ = kClasses + hooks;
    const auto put = [&](const std::string& mark, const std::string& text) {
      for (std::size_t at = 0; (at = policy_.find(mark, at)) != std::string::npos;) {
        policy_.replace(at, mark.size(), text);
      }
    };
    put("$OUT", out_.path().string());
    put("$TTL", ttl);
    mount({.policy = policy_});
    if (IsSkipped()) return;
    ASSERT_EQ(
        shell("mkdir -p agents/ci-1 agents/ci-2 locks; chmod 777 . agents/* locks", volume_->path())
            .exit_code,
        0);
  }
  void SetUp() override {}
  json hook_events() const {
    json found = json::array();
    for (const json& event : volume_->events()) {
      if (event["kind"] == "hook") found.push_back(event);
    }
    return found;
  }
  // The events of hooks, once there are so many.
  json wait_for(std::size_t count, std::chrono::milliseconds patience = 15s) const {
    EXPECT_TRUE(eventually([&] { return hook_events().size() >= count; }, patience))
        << volume_->events().dump(1);
    return hook_events();
  }
  // The process whose number a hook has written; whoever inherits it may take a while to reap it.
  bool has_ended() const {
    const std::string look = "kill -0 " + out_.read_file("pid");
    return eventually([&] { return shell(look).exit_code != 0; }, 10s);
  }
  bool in_volume(const std::string& command) const {
    return shell(command, volume_->path()).exit_code == 0;
  }

  static constexpr const char* kClasses = R"(
[volume]
adopt_grace = "0s"
[[class]]
name = "tree"
kind = "tree"
match = ["agents/{job}/*"]
ttl = "$TTL"
keep = "0s"
[[class]]
name = "lock"
kind = "lock"
match = ["locks/**", "{git}/**/*.lock"]
orphan_grace = "0s"
)";
  TempTree out_{"/tmp"};
  std::string policy_;
};

TEST_F(HooksTest, RunsWordsAsTheyAreAsItsUserInTheVolume) {
  ASSERT_NO_FATAL_FAILURE(begin(R"(
[[hook]]
on = "expired"
command = ["/bin/sh", "-c", "printf '%s\n' \"$@\" \"$(id -u):$(id -G)\" \"$PWD\" >$OUT/said",
           "sh", "{path}", "job={job};{class}"]
user = "65534"
)"));
  if (IsSkipped()) return;
  ASSERT_TRUE(in_volume("mkdir 'agents/ci-1/$(touch x) y' && touch 'agents/ci-1/$(touch x) y/f'"));
  const json events = wait_for(1);
  EXPECT_EQ(events[0]["detail"], "exit 0");
  EXPECT_EQ(events[0]["path"], "agents/ci-1/$(touch x) y");
  EXPECT_EQ(out_.read_file("said"), volume_->at("agents/ci-1/$(touch x) y") +
                                        "\njob=ci-1;tree\n65534:65534\n" + volume_->path() + "\n");
}

TEST_F(HooksTest, TellsOfALockThatWasLeftBehindAndItsRepository) {
  ASSERT_NO_FATAL_FAILURE(begin(R"(
[[hook]]
on = "reclaimed"
command = ["/bin/echo", "in", "{repo}"]
user = "nobody"
)"));
  if (IsSkipped()) return;
  ASSERT_TRUE(
      in_volume("git init -q repo && "
                "bash -c 'touch repo/.git/index.lock & wait; kill -9 $$'; true"));
  const json events = wait_for(1);
  EXPECT_EQ(events[0]["path"], "repo/.git/index.lock");
  EXPECT_EQ(events[0]["detail"], "exit 0: in " + volume_->at("repo"));
  ASSERT_TRUE(in_volume("bash -c 'mkdir locks/a & wait; kill -9 $$'; true"));
  EXPECT_TRUE(eventually([&] { return volume_->locks().empty(); }, 10s));
  EXPECT_FALSE(eventually([&] { return hook_events().size() > 1; }, 1500ms)) << "it has no {repo}";
}

TEST_F(HooksTest, KillsWhatDoesNotEndAndSaysSo) {
  ASSERT_NO_FATAL_FAILURE(begin(R"(
[[hook]]
on = "expired"
command = ["/bin/sh", "-c", "sleep 300 & echo $! >$OUT/pid; wait"]
user = "nobody"
timeout = "1s"
[[hook]]
on = "expired"
command = ["/nowhere/at/all"]
user = "nobody"
[[hook]]
on = "expired"
command = ["/bin/sh", "-c", "echo one; echo two; kill -TERM $$"]
user = "nobody"
)"));
  if (IsSkipped()) return;
  ASSERT_TRUE(in_volume("mkdir agents/ci-1/a"));
  const json events = wait_for(3, 20s);
  std::vector<std::string> details;
  for (const json& event : events) details.push_back(event["detail"]);
  std::ranges::sort(details);
  // Under the thread sanitizer there is no vfork, so nobody hears why nothing was executed.
  std::vector<std::string> expected{
      "killed after 1s", "killed by signal 15: two",
      kUnderThreadSanitizer ? "exit 127" : "not run: /nowhere/at/all: No such file or directory"};
  std::ranges::sort(expected);
  EXPECT_EQ(details, expected);
  EXPECT_TRUE(has_ended()) << "its child went with it";
}

TEST_F(HooksTest, RunsNoMoreAtOnceThanItMayAndHoldsUpNoRemoval) {
  ASSERT_NO_FATAL_FAILURE(begin(R"(
[[hook]]
on = "expired"
command = ["/bin/sh", "-c", "echo + >>$OUT/n; sleep 1.5; echo - >>$OUT/n"]
user = "nobody"
parallel = 2
)"));
  if (IsSkipped()) return;
  ASSERT_TRUE(in_volume("for i in 1 2 3 4 5; do mkdir agents/ci-1/$i; done"));
  ASSERT_TRUE(eventually([&] { return volume_->units().empty(); }, 10s));
  EXPECT_LT(hook_events().size(), 5U) << "all are gone before the hooks are through";
  (void)wait_for(5, 20s);
  int running = 0;
  int most = 0;
  for (const char c : out_.read_file("n")) {
    running += c == '+' ? 1 : c == '-' ? -1 : 0;
    most = std::max(most, running);
  }
  EXPECT_EQ(most, 2);
}

TEST_F(HooksTest, OwnUseOfAnIdleUnitDoesNotKeepIt) {
  ASSERT_NO_FATAL_FAILURE(begin(R"(
[[hook]]
on = "idle"
after = "2s"
command = ["/bin/sh", "-c", "echo x >>\"$0\"/used", "{path}"]
user = "root"
[[hook]]
on = "idle"
after = "3s"
command = ["/bin/touch", "{path}/other"]
user = "root"
)"));
  if (IsSkipped()) return;
  ASSERT_TRUE(in_volume("mkdir agents/ci-1/a && touch agents/ci-1/a/f"));
  // Each puts it off once: 6 s after the later of them at the most.
  EXPECT_TRUE(eventually([&] { return volume_->units().empty(); }, 25s));
  EXPECT_EQ(hook_events().size(), 2U) << hook_events().dump(1);
}

TEST_F(HooksTest, IdleIsRunAgainAfterSomebodyElseHasUsedIt) {
  ASSERT_NO_FATAL_FAILURE(begin(R"(
[[hook]]
on = "idle"
after = "1s"
command = ["/bin/true", "{path}"]
user = "nobody"
)"));
  if (IsSkipped()) return;
  ASSERT_TRUE(in_volume("mkdir agents/ci-1/a"));
  (void)wait_for(1);
  // Longer than what settles.
  EXPECT_FALSE(eventually([&] { return hook_events().size() > 1; }, 2500ms));
  ASSERT_TRUE(in_volume("touch agents/ci-1/a/f"));
  EXPECT_EQ(wait_for(2).size(), 2U);
}

TEST_F(HooksTest, MaintainsARepositoryOnceAllOfItsWorktreesAreIdle) {
  ASSERT_NO_FATAL_FAILURE(begin(R"(
[[hook]]
on = "idle"
after = "3s"
command = ["/usr/bin/env", "git", "-C", "{repo}", "-c", "gc.autoDetach=false",
           "-c", "maintenance.autoDetach=false", "maintenance", "run", "--task=pack-refs"]
user = "root"
timeout = "20s"
)",
                                "1h"));
  if (IsSkipped()) return;
  ASSERT_TRUE(in_volume(
      "git init -q repo && git -C repo -c user.name=n -c user.email=e commit -q --allow-empty -m c "
      "&& git -C repo worktree add -q ../agents/ci-1/a && git -C repo worktree add -q "
      "../agents/ci-2/b"));
  for (int i = 0; i < 8; ++i) {
    ASSERT_TRUE(in_volume("touch agents/ci-2/b/f"));
    (void)eventually([] { return false; }, 500ms);
  }
  EXPECT_EQ(hook_events().size(), 0U) << "one of them is used";
  const json events = wait_for(1);
  EXPECT_EQ(events[0]["detail"].get<std::string>().substr(0, 6), "exit 0") << events.dump(1);
  EXPECT_TRUE(std::filesystem::exists(volume_->at("repo/.git/packed-refs")));
  EXPECT_FALSE(eventually([&] { return hook_events().size() > 1; }, 2s)) << "once for both";
}

TEST_F(HooksTest, EndWithTheMount) {
  ASSERT_NO_FATAL_FAILURE(begin(R"(
[[hook]]
on = "expired"
command = ["/bin/sh", "-c", "echo $$ >$OUT/pid; exec sleep 300"]
user = "nobody"
timeout = "10m"
)"));
  if (IsSkipped()) return;
  ASSERT_TRUE(in_volume("mkdir agents/ci-1/a"));
  ASSERT_TRUE(eventually([&] { return out_.exists("pid"); }, 15s));
  volume_->unmount();
  EXPECT_TRUE(has_ended());
  volume_->mount();
}

TEST_F(HooksTest, UserThatIsNotThereIsRefused) {
  ASSERT_NO_FATAL_FAILURE(begin(""));
  if (IsSkipped()) return;
  volume_->set_policy(policy_ +
                      "[[hook]]\non = \"expired\"\ncommand = [\"/bin/true\"]\n"
                      "user = \"no-such-user\"\n");
  const Ran ran = volume_->ebbctl("policy reload");
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_NE(ran.out.find("no-such-user"), std::string::npos) << ran.out;
}

// How often the threads of `pid` have been woken.
std::map<std::string, long> wakes(pid_t pid) {
  std::map<std::string, long> found;
  const std::filesystem::path tasks = "/proc/" + std::to_string(pid) + "/task";
  for (const auto& task : std::filesystem::directory_iterator(tasks)) {
    std::ifstream status(task.path() / "status");
    for (std::string key; status >> key;) {
      if (key == "voluntary_ctxt_switches:") status >> found[task.path().filename()];
    }
  }
  return found;
}

TEST_F(HooksTest, NobodyLooksForWhatNoHookIsAbout) {
  if (kUnderThreadSanitizer) GTEST_SKIP() << "the sanitizer has a thread that wakes up by itself";
  ASSERT_NO_FATAL_FAILURE(begin("", "1h"));
  if (IsSkipped()) return;
  const auto pid = volume_->json("status")["pid"].get<pid_t>();
  std::this_thread::sleep_for(1s);
  const auto before = wakes(pid);
  std::this_thread::sleep_for(3s);
  for (const auto& [thread, count] : wakes(pid)) {
    const auto earlier = before.find(thread);
    EXPECT_LT(count - (earlier == before.end() ? 0 : earlier->second), 5) << "thread " << thread;
  }
}

TEST_F(HooksTest, CanBeAddedByAReload) {
  ASSERT_NO_FATAL_FAILURE(begin(""));
  if (IsSkipped()) return;
  volume_->set_policy(policy_ +
                      "[[hook]]\non = \"expired\"\ncommand = [\"/bin/true\"]\n"
                      "user = \"nobody\"\n");
  ASSERT_EQ(volume_->ebbctl("policy reload").exit_code, 0);
  ASSERT_TRUE(in_volume("mkdir agents/ci-1/a"));
  EXPECT_EQ(wait_for(1)[0]["detail"], "exit 0");
}

}  // namespace
}  // namespace ebbfs::test
