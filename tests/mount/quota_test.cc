// SPDX-License-Identifier: Apache-2.0
//
// Limits on a real mount: the scopes that they bind, the programs that people run into them with,
// and what administrators and users see.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>
#include <thread>

#include "tests/mount/quota_fixture.h"
#include "tests/support/plain_files.h"

namespace ebbfs::test {
namespace {

using namespace std::chrono_literals;

// ---- Scopes ----

TEST_F(QuotaTest, BoundsARequestByEveryScopeOfItsInode) {
  ASSERT_EQ(::mkdir(at("agents/ci-7").c_str(), 0777), 0);
  ASSERT_EQ(::chmod(at("agents/ci-7").c_str(), 0777), 0);
  const auto fill = [&] {
    return as(alice(), [&] {
      (void)::mkdir(at("agents/ci-7/w").c_str(), 0755);
      const UniqueFd fd(::open(at("agents/ci-7/w/f").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
      return result_of(::ftruncate(fd.get(), 0) == 0 && ::ftruncate(fd.get(), 1 << 20) == 0);
    });
  };
  ASSERT_EQ(fill(), 0);
  const std::string user = std::to_string(kAlice);
  for (const std::string& scope : std::vector<std::string>{
           "unit:agents/ci-7/w", "class:tree", "user:" + user, "group:" + user, "job:ci-7"}) {
    set(scope + " --bytes 1000000");
    EXPECT_EQ(fill(), EDQUOT) << scope;
    ASSERT_EQ(quota("clear " + scope).exit_code, 0);
    EXPECT_EQ(fill(), 0) << scope;
  }
  set("volume --bytes 1000000");
  EXPECT_EQ(fill(), ENOSPC);
}

TEST_F(QuotaTest, OfAUnitIsFreeAgainWhenTheUnitIsGone) {
  set("class:tree --bytes 1M");
  ASSERT_EQ(run("mkdir units/a && head -c 1M /dev/zero >units/a/f").exit_code, 0);
  EXPECT_NE(run("mkdir units/b && head -c 1 /dev/zero >units/b/f").exit_code, 0);
  ASSERT_EQ(volume_->ebbctl("expire " + at("units/a")).exit_code, 0);
  EXPECT_EQ(run("head -c 1M /dev/zero >units/b/f").exit_code, 0)
      << "what is in the trash is charged to the volume alone";
}

TEST_F(QuotaTest, ADryRunShowsWhatWouldBeAndChangesNothing) {
  ASSERT_EQ(run("mkdir units/a && head -c 8192 /dev/zero >units/a/f").exit_code, 0);
  const auto origin = [&]() -> std::string {
    return volume_->json("quota show class:tree")["quotas"][0]["origin"];
  };
  const Ran set = quota("set class:tree --bytes 1M --dry-run");
  EXPECT_EQ(set.exit_code, 0) << set.out;
  EXPECT_TRUE(set.out.contains("nothing is changed; it would be:")) << set.out;
  EXPECT_TRUE(set.out.contains("1.0 MiB")) << set.out;
  EXPECT_EQ(origin(), "none");
  ASSERT_EQ(quota("set class:tree --bytes 1M").exit_code, 0);
  EXPECT_EQ(quota("clear class:tree --dry-run").exit_code, 0);
  EXPECT_EQ(origin(), "set");
  EXPECT_EQ(quota("clear user:21001 --dry-run").exit_code, 1);
  EXPECT_EQ(volume_->ebbctl("pin --dry-run units/a").exit_code, 0);
  EXPECT_EQ(volume_->units().at(0)["pinned"], false);
}

// ---- Programs ----

TEST_F(QuotaTest, IsTheErrorThatPeopleKnow) {
  ASSERT_EQ(run("mkdir units/u && head -c 2M /dev/urandom >plain/big && git init -q plain/repo &&"
                "cp plain/big plain/repo/big && git -C plain/repo add big &&"
                "git -C plain/repo -c user.name=a -c user.email=a@b commit -qm big")
                .exit_code,
            0);
  set("unit:units/u --bytes 1M");
  for (const char* command :
       {"dd if=/dev/zero of=units/u/dd bs=64k count=64", "cp plain/big units/u/cp",
        "fallocate -l 2M units/u/fallocate", "truncate -s 2M units/u/truncate",
        "git clone -q --no-hardlinks plain/repo units/u/clone",
        "python3 -c 'open(\"units/u/py\", \"w\").write(\"x\" * 3000000)'"}) {
    const Ran ran = run(std::string("LC_ALL=C ") + command + " 2>&1");
    EXPECT_NE(ran.exit_code, 0) << command;
    EXPECT_NE(ran.out.find("Disk quota exceeded"), std::string::npos) << command << "\n" << ran.out;
    EXPECT_LE(volume_->count("units/u").bytes, 1 << 20);
    EXPECT_EQ(run("rm -rf units/u/*").exit_code, 0);
    EXPECT_EQ(run("head -c 3M /dev/zero >plain/others && rm plain/others").exit_code, 0);
    EXPECT_TRUE(volume_->counts_right()) << command;
  }
}

TEST_F(QuotaTest, OfAUnitIsWhatDfShowsInside) {
  ASSERT_EQ(run("mkdir units/u && head -c 1M /dev/zero >units/u/f").exit_code, 0);
  struct statvfs outside;
  ASSERT_EQ(::statvfs(at("plain").c_str(), &outside), 0);
  set("unit:units/u --bytes 4M --inodes 100");
  struct statvfs inside;
  for (const char* path : {"units/u", "units/u/f"}) {
    ASSERT_EQ(::statvfs(at(path).c_str(), &inside), 0);
    EXPECT_EQ(inside.f_blocks * inside.f_frsize, 4U << 20U);
    EXPECT_EQ(inside.f_bavail * inside.f_frsize, 3U << 20U);
    EXPECT_EQ(inside.f_files, 100U);
    EXPECT_EQ(inside.f_favail, 98U);
  }
  struct statvfs still;
  ASSERT_EQ(::statvfs(at("plain").c_str(), &still), 0);
  EXPECT_EQ(still.f_blocks, outside.f_blocks);
}

// ---- Administrators and users ----

TEST_F(QuotaTest, IsKeptOverARestartWithTheTimeOfItsSoftLimit) {
  ASSERT_EQ(::mkdir(at("units/u").c_str(), 0755), 0);
  set("unit:units/u --bytes 3M --soft 1M --grace 1h");
  ASSERT_EQ(run("head -c 2M /dev/zero >units/u/f").exit_code, 0);
  const auto since = show("unit:units/u")["bytes"]["over_since"];
  ASSERT_TRUE(since.is_string());
  ASSERT_TRUE(
      eventually([&] { return !volume_->json("events --kind quota")["events"].empty(); }, 5s));
  const auto warned = [&] {
    const auto& events = volume_->events();
    return std::ranges::any_of(events, [](const auto& event) {
      return event["rule"] == "unit:units/u: above the soft limit, which is hard in 1h";
    });
  };
  EXPECT_TRUE(eventually(warned, 5s));
  std::this_thread::sleep_for(100ms);
  volume_->kill_daemon();
  volume_->mount();
  const auto again = show("unit:units/u");
  EXPECT_EQ(again["bytes"]["hard"], 3 << 20);
  EXPECT_EQ(again["bytes"]["soft"], 1 << 20);
  EXPECT_EQ(again["bytes"]["over_since"], since);
  EXPECT_EQ(again["origin"], "set");
  EXPECT_NE(run("head -c 2M /dev/zero >units/u/g").exit_code, 0);
}

TEST_F(QuotaTest, IsRefusedGrowthWhenTheGraceOfASoftLimitIsOver) {
  ASSERT_EQ(::mkdir(at("units/u").c_str(), 0755), 0);
  set("unit:units/u --soft 1M --grace 1s");
  EXPECT_EQ(run("head -c 2M /dev/zero >units/u/f").exit_code, 0);
  EXPECT_TRUE(
      eventually([&] { return run("head -c 4096 /dev/zero >>units/u/f").exit_code != 0; }, 5s));
  EXPECT_EQ(run("rm units/u/f && echo x >units/u/f").exit_code, 0);
}

TEST_F(QuotaTest, WarnsOnceAtEachMark) {
  ASSERT_EQ(::mkdir(at("units/u").c_str(), 0755), 0);
  set("unit:units/u --bytes 1M");
  const auto count = [&](const std::string& rule) {
    const auto& events = volume_->events();
    return std::ranges::count_if(events, [&](const auto& event) { return event["rule"] == rule; });
  };
  ASSERT_EQ(run("head -c 850k /dev/zero >units/u/f").exit_code, 0);
  EXPECT_TRUE(eventually([&] { return count("unit:units/u: 80 % of the limit") == 1; }, 5s));
  ASSERT_EQ(run("head -c 90k /dev/zero >units/u/g").exit_code, 0);
  EXPECT_TRUE(eventually([&] { return count("unit:units/u: 90 % of the limit") == 1; }, 5s));
  EXPECT_NE(run("head -c 900k /dev/zero >units/u/h").exit_code, 0);
  EXPECT_TRUE(eventually([&] { return count("unit:units/u: limit reached") == 1; }, 5s));
  std::this_thread::sleep_for(2500ms);
  EXPECT_EQ(count("unit:units/u: 80 % of the limit"), 1);
  EXPECT_EQ(count("unit:units/u: limit reached"), 1);
}

TEST_F(QuotaTest, ShowsWhereItComesFrom) {
  const std::string user = "user:" + std::to_string(kAlice);
  EXPECT_EQ(show(user)["origin"], "none");
  ASSERT_EQ(quota("default user --bytes 20M").exit_code, 0);
  EXPECT_EQ(show(user)["origin"], "set");
  EXPECT_EQ(show(user)["rule"], "user:*");
  set(user + " --bytes 10M --soft 8M --inodes 1M --grace 3d");
  const auto view = show(user);
  EXPECT_EQ(view["rule"], user);
  EXPECT_EQ(view["bytes"]["hard"], 10 << 20);
  EXPECT_EQ(view["inodes"]["hard"], 1'000'000);
  EXPECT_EQ(view["grace_seconds"], 3 * 86400);
  const Ran table = quota("list");
  EXPECT_NE(table.out.find("8.0 MiB"), std::string::npos) << table.out;
  ASSERT_EQ(quota("clear " + user).exit_code, 0);
  EXPECT_EQ(show(user)["rule"], "user:*");
}

TEST_F(QuotaTest, ShowsWhereItComesFromForANameThatIsNotUtf8) {
  ASSERT_EQ(run("mkdir units/a$'\\xff'").exit_code, 0);
  set("unit:units/a$'\\xff' --bytes 1M");
  const Ran table = quota("list");
  EXPECT_EQ(table.out.find("\xef\xbf\xbd"), std::string::npos) << table.out;
}

TEST_F(QuotaTest, ListsWhatIsLimitedOrSetUnlessAllIsWanted) {
  ASSERT_EQ(run("mkdir units/a units/b units/c && head -c 8192 /dev/zero >units/b/f").exit_code, 0);
  const std::string user = "user:" + std::to_string(kAlice);
  set("unit:units/a --bytes 1M");
  set("unit:units/b --bytes none");
  set(user + " --inodes 5");
  const auto listed = [&](const std::string& options) {
    std::map<std::string, std::int64_t> used;
    const auto view = volume_->json("quota list" + options);
    for (const auto& one : view["quotas"]) {
      used[one["scope"]] = one["bytes"]["used"];
    }
    return used;
  };
  const std::map<std::string, std::int64_t> limited = {
      {"unit:units/a", 0}, {"unit:units/b", 8192}, {show(user)["scope"], 0}};
  EXPECT_EQ(listed(""), limited);
  const auto all = listed(" --all");
  for (const char* scope : {"volume", "unit:units/b", "unit:units/c", "class:tree"}) {
    EXPECT_TRUE(all.contains(scope)) << scope;
  }
  const auto top = volume_->json("top --once --interval 100ms")["fullest"];
  ASSERT_EQ(top.size(), 1U) << "what has a limit, and holds something";
  EXPECT_EQ(top[0]["scope"], "unit:units/a");
}

TEST_F(QuotaTest, OfThePolicyIsInForceAndReloaded) {
  const std::string user = std::to_string(kAlice);
  volume_->set_policy(std::string(kQuotaPolicy) + "[[quota]]\nscope = \"user:" + user +
                      "\"\nbytes = \"1MiB\"\n");
  ASSERT_EQ(volume_->ebbctl("policy reload").exit_code, 0);
  EXPECT_EQ(show("user:" + user)["origin"], "policy");
  const auto write = [&] {
    return as(alice(), [&] {
      const UniqueFd fd(
          ::open(at("plain/f").c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
      return result_of(::ftruncate(fd.get(), 2 << 20) == 0);
    });
  };
  EXPECT_EQ(write(), EDQUOT);
  volume_->set_policy(kQuotaPolicy);
  ASSERT_EQ(volume_->ebbctl("policy reload").exit_code, 0);
  EXPECT_EQ(write(), 0);
}

TEST_F(QuotaTest, OfAUserIsSeenByTheUserAndChangedByRootOnly) {
  const std::string alices = "user:" + std::to_string(kAlice);
  const std::string bobs = "user:" + std::to_string(kBob);
  set(alices + " --bytes 1M");
  set(bobs + " --bytes 1M");
  const auto exit_code = [&](const std::string& arguments) {
    return as(alice(), [&] { return quota(arguments).exit_code; });
  };
  EXPECT_EQ(exit_code("show " + alices), 0);
  EXPECT_EQ(exit_code("show " + bobs), 1);
  EXPECT_EQ(exit_code("set " + alices + " --bytes 2M"), 1);
  EXPECT_EQ(exit_code("clear " + alices), 1);
}

TEST_F(QuotaTest, RefusesWhatIsNoScopeOrLimit) {
  for (const char* arguments :
       {"set user:nobody-of-this-name --bytes 1M", "set planet:earth --bytes 1M",
        "set class:nothing --bytes 1M", "set user:0 --bytes much", "set user:0"}) {
    EXPECT_EQ(quota(arguments).exit_code, 2) << arguments;
  }
  EXPECT_EQ(quota("set user:0 --bytes 1M --soft 2M").exit_code, 1);
  EXPECT_EQ(quota("clear user:0").exit_code, 1);
}

}  // namespace
}  // namespace ebbfs::test
