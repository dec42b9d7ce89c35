// SPDX-License-Identifier: Apache-2.0
//
// Workers on locks, and on git worktrees.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>
#include <set>

#include "fs/unique_fd.h"
#include "tests/crash/workload.h"
#include "tests/support/mounted_volume.h"
#include "tests/support/plain_files.h"
#include "tools/control_client.h"

namespace ebbfs::test {
namespace {

// Takes and gives back locks of every kind, and leaves some behind that a killed process took.
class LockWorker final : public Worker {
 public:
  LockWorker(std::string root, const std::string& name)
      : root_(std::move(root)), directory_("locks/" + name) {}

  bool step(std::mt19937& random) override {
    const unsigned kind = random() % 8;
    const std::string path = directory_ + "-" + std::to_string(random() % 6);
    if (kind == 0 && random() % 4 == 0) return die_holding();
    pending_ = path;
    const bool held = held_.contains(path);
    const std::string full = root_ + "/" + path;
    const bool done = held ? ::remove(full.c_str()) == 0 : take(full, kind);
    if (!done && is_dead(errno)) return false;
    if (done && held) held_.erase(path);
    if (done && !held) held_.insert(path);
    pending_.clear();
    return true;
  }

  std::string verify() override {
    ControlRequest request;
    request.command = command::kLocks;
    const nlohmann::json body = ask(root_, request).body;
    std::map<std::string, nlohmann::json> known;
    for (const auto& lock : body.value("locks", nlohmann::json::array())) {
      known[lock["path"]] = lock;
    }
    // In flight: done or not, and if so not necessarily known to be ours.
    if (!pending_.empty()) {
      held_.erase(pending_);
      (void)::remove((root_ + "/" + pending_).c_str());
      pending_.clear();
    }
    for (const std::string& path : held_) {
      if (!exists(root_ + "/" + path)) return path + " is gone, and its owner lives";
      if (!known.contains(path)) return path + " is no lock any more";
      const auto& lock = known[path];
      if (lock["owner"]["pid"] != ::getpid() || lock["certainty"] != "certain") {
        return path + " has another owner: " + lock.dump();
      }
    }
    return {};
  }

 private:
  static bool take(const std::string& path, unsigned kind) {
    if (kind < 3) return ::mkdir(path.c_str(), 0755) == 0;
    if (kind < 5) return ::symlink("held", path.c_str()) == 0;
    return UniqueFd(::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644)).valid();
  }

  bool die_holding() {
    const std::string path = root_ + "/" + directory_ + "-left-" + std::to_string(++left_);
    const pid_t child = ::fork();
    if (child == 0) {
      take(path, static_cast<unsigned>(left_ % 8));
      ::kill(::getpid(), SIGKILL);
    }
    return ::waitpid(child, nullptr, 0) == child && exists(root_ + "/locks");
  }

  const std::string root_;
  const std::string directory_;
  std::set<std::string> held_;
  std::string pending_;
  int left_ = 0;
};

// Real git: worktrees made, committed in and removed.
class GitWorker final : public Worker {
 public:
  GitWorker(std::string root, const std::string& name)
      : root_(std::move(root)), repository_(root_ + "/plain/" + name + ".repo"), name_(name) {
    (void)git("init -q -b main '" + repository_ + "'", root_);
    (void)git("commit -q --allow-empty -m first", repository_);
  }

  bool step(std::mt19937& random) override {
    if (trees_.size() < 2) {
      const std::string tree = root_ + "/units/" + name_ + "-" + std::to_string(++made_);
      if (!git("worktree add -q '" + tree + "' -b b" + std::to_string(made_), repository_)) {
        return false;
      }
      trees_[tree] = "HEAD";
      return true;
    }
    auto tree = trees_.begin();
    std::advance(tree, random() % trees_.size());
    if (random() % 4 == 0) {
      const std::string path = tree->first;
      trees_.erase(tree);
      return git("worktree remove --force '" + path + "'", repository_);
    }
    const std::string content = std::to_string(random());
    const std::string write = "status --short && echo " + content + " >file";
    if (!git(write + " && git add -A && git commit -q -m x && git rev-parse HEAD", tree->first)) {
      return false;
    }
    tree->second = said_.substr(said_.size() - 41, 40);
    return true;
  }

  std::string verify() override {
    // What git leaves behind when it is interrupted, here as on any other filesystem.
    (void)shell("find .git -name '*.lock' -delete", repository_);
    for (const auto& [tree, commit] : trees_) {
      if (!git("cat-file -e " + commit + " && git merge-base --is-ancestor " + commit + " HEAD",
               tree)) {
        return tree + " has lost commit " + commit + ": " + said_;
      }
    }
    return {};
  }

 private:
  bool git(const std::string& arguments, const std::string& directory) {
    const Ran ran = shell(
        "export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=t "
        "GIT_COMMITTER_NAME=t GIT_AUTHOR_EMAIL=t@example.org GIT_COMMITTER_EMAIL=t@example.org "
        "GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=gc.auto GIT_CONFIG_VALUE_0=0\n"
        "git " +
            arguments,
        directory);
    said_ = ran.out;
    return ran.exit_code == 0;
  }

  const std::string root_;
  const std::string repository_;
  const std::string name_;
  std::map<std::string, std::string> trees_;  // path, and the last commit that was acknowledged
  std::string said_;
  int made_ = 0;
};

}  // namespace

std::unique_ptr<Worker> lock_worker(const std::string& root, const std::string& name) {
  return std::make_unique<LockWorker>(root, name);
}
std::unique_ptr<Worker> git_worker(const std::string& root, const std::string& name) {
  return std::make_unique<GitWorker>(root, name);
}

}  // namespace ebbfs::test
