// SPDX-License-Identifier: Apache-2.0
#include "tools/render_views.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <clocale>
#include <cstdlib>
#include <ctime>

#include "tests/tools/sample_values.h"

namespace ebbfs {
namespace {

using namespace std::chrono_literals;

class RenderViewsTest : public testing::Test {
 protected:
  RenderViewsTest() {
    ::setenv("TZ", "UTC0", 1);
    ::tzset();
    std::setlocale(LC_CTYPE, "C.UTF-8");
  }
  const Style style_;
};

OwnerView alice() { return {1000, "alice", 4242, "node", "ci-17", "/workers/17"}; }

UnitView sample_unit() {
  return {.path = "worktrees/job-17",
          .class_name = "worktree",
          .owner = alice(),
          .created = kNow - 26h,
          .last_used = kNow - 2h - 13min,
          .usage = {{1'503'238'553}, 4650},
          .pinned = false,
          .open_files = 0,
          .expires_at = kNow + 21h + 47min,
          .state = UnitState::idle};
}

LockView sample_lock() {
  return {.path = "locks/deploy.lock",
          .class_name = "lock",
          .owner = alice(),
          .life = "alive",
          .certainty = "certain",
          .made = kNow - 2h,
          .age = 2h,
          .held = 2h,
          .reclaim_at = {},
          .state = LockState::held};
}

StatusView sample_status() {
  StatusView status;
  status.version = "0.1.0";
  status.pid = 4242;
  status.uptime = 76h;
  status.mount = "/mnt/ebs";
  status.mode = "enforce";
  status.enforcing = true;
  status.transport = "io_uring";
  status.passthrough = true;
  status.backing = {"/mnt/ebs", "xfs"};
  status.policy_source = "built-in default";
  status.volume = {{46'170'898'432}, {33'393'934'336}, {12'776'964'096},
                   21'000'000,       1'204'331,        19'795'669};
  status.trash = {{1'288'490'188}, 14, {1'288'490'188}, 14};
  status.classes = {{"worktree", "tree", 231, {{30'494'310'400}, 904'112}},
                    {"lock", "lock", 18, {{0}, 18}}};
  status.users = {{"alice", 1000, {{12'884'901'888}, 4}}, {"", 1003, {{536'870'912}, 4}}};
  status.next_expiry = kNow + 2h + 13min;
  status.next_expiry_path = "worktrees/job-17";
  status.last_reclaim = kNow - 14s;
  status.open_files = 12;
  status.known_inodes = 301'221;
  status.fds = {8192, 20'000};
  return status;
}

StatusView troubled_status() {
  StatusView status = sample_status();
  status.mode = "observe";
  status.enforcing = false;
  status.degraded = {
      "brake: 700 of 900 units due in one pass; look at them with ebbctl units "
      "--state due, then: ebbctl resume"};
  status.provisional = true;
  status.adoption = {true, 120'331, kNow - 1min};
  status.adopt_grace_until = kNow + 9min;
  status.due = {{3'000'000'000}, 12};
  return status;
}

std::size_t count_lines(const std::string& text) {
  return static_cast<std::size_t>(std::ranges::count(text, '\n'));
}

TEST_F(RenderViewsTest, StatusIsOneScreen) {
  EXPECT_EQ(render(sample_status(), style_, kNow),
            R"(/mnt/ebs  ENFORCING                                        ebbfs 0.1.0, up 3d 4h

volume        [#######################---------]  72 %  31.1 GiB of 43.0 GiB
              11.9 GiB free; 1,204,331 of 21,000,000 inodes, 6 %
next expiry   in 2h 13m (2024-10-04 14:13:00)  worktrees/job-17
last reclaim  14s ago (2024-10-04 11:59:46)
due now       nothing
trash         14 units, 1.2 GiB, reclaimable now

CLASS     KIND  COUNT     BYTES   INODES
worktree  tree    231  28.4 GiB  904,112
lock      lock     18         -       18

users         alice 12.0 GiB, uid 1003 512 MiB
transport     io_uring; large reads pass through the kernel
backing       xfs, mounted in place; policy: built-in default
daemon        pid 4242; 12 open files, 301,221 inodes known; 8,192 of 20,000 fds
)");
}

TEST_F(RenderViewsTest, StatusSaysLoudlyThatNothingIsEnforced) {
  const std::string text = render(troubled_status(), style_, kNow);
  EXPECT_TRUE(text.starts_with("/mnt/ebs  *** NOT ENFORCING ***  ")) << text;
  EXPECT_NE(text.find("\n! mode is \"observe\": verdicts are recorded, nothing is removed;"),
            std::string::npos);
  EXPECT_NE(text.find("\n! first mount: nothing is removed for 9m, until 2024-10-04 12:09:00\n"),
            std::string::npos);
  EXPECT_NE(text.find("\n! brake: 700 of 900 units due"), std::string::npos);
  EXPECT_NE(text.find("\n! usage is provisional while old content is adopted: 120,331 entries"),
            std::string::npos);
  EXPECT_NE(text.find("\ndue now       12 units, 2.8 GiB\n"), std::string::npos);
}

TEST_F(RenderViewsTest, StatusSaysThatRemovalIsLate) {
  StatusView status = sample_status();
  status.overdue = 90s;
  EXPECT_NE(render(status, style_, kNow).find("\n! removal is late by 1m 30s\n"),
            std::string::npos);
}

TEST_F(RenderViewsTest, StatusSaysThatTheVolumeIsFullAndWhatStandsInTheWay) {
  StatusView status = sample_status();
  status.space.level = "full";
  status.space.low = "75%";
  status.space.stuck = "nothing more may go; pinned 3 units (1.2 GiB)";
  Style wide;
  wide.width = 300;
  const std::string text = render(status, wide, kNow);
  EXPECT_NE(
      text.find("\n! full: new data waits for space, or is refused; locks still work; the low "
                "mark of 75% is out of reach: nothing more may go; pinned 3 units (1.2 GiB)\n"),
      std::string::npos)
      << text;
}

TEST_F(RenderViewsTest, StatusNamesAReserveThatTheVolumeIsTooSmallFor) {
  StatusView status = sample_status();
  status.space.level = "full";
  status.space.reserve = "100GiB";
  status.space.bytes_reserve = status.volume.bytes_total;
  Style wide;
  wide.width = 300;
  const std::string text = render(status, wide, kNow);
  EXPECT_NE(text.find("\n! the reserve of 100GiB is all of the volume"), std::string::npos) << text;
}

TEST_F(RenderViewsTest, StatusSaysThatUnitsAreBeingEvicted) {
  StatusView status = sample_status();
  status.space.level = "high";
  status.space.high = "85%";
  status.space.evicting = true;
  EXPECT_NE(render(status, style_, kNow)
                .find("\n! above the high mark of 85%; idle units are being evicted\n"),
            std::string::npos);
}

TEST_F(RenderViewsTest, StatusFitsATerminalOf80By24) {
  const Style terminal{.terminal = true, .unicode = true, .width = 80, .height = 24};
  StatusView status = troubled_status();
  status.next_expiry_path = std::string(200, 'p');
  for (std::size_t classes = 2; classes < 40; ++classes) {
    const std::string text = render(status, terminal, kNow);
    EXPECT_LE(count_lines(text), 23U) << text;
    EXPECT_EQ(text.find("\n\n") == std::string::npos, classes > 2) << text;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = text.find('\n', at);
      EXPECT_LE(display_width(std::string_view(text).substr(at, end - at)), 80U) << text;
      at = end + 1;
    }
    status.classes.push_back({"class-" + std::to_string(classes), "tree", 1, {}});
  }
}

TEST_F(RenderViewsTest, StatusShortensThePathOfTheNextExpiryAndNeverItsTime) {
  struct Case {
    std::size_t width;
    const char* want;
  };
  constexpr Case kCases[] = {
      {.width = 90,
       .want = "in 2h 13m (2024-10-04 14:13:00)  agents/2024/worktree...-17-0123456789abcdef"},
      {.width = 60, .want = "in 2h 13m  agents/2024/work...0123456789abcdef"},
      {.width = 40, .want = "in 2h 13m  agents...abcdef"},
  };
  StatusView status = sample_status();
  status.next_expiry_path = "agents/2024/worktrees/refactor/job-17-0123456789abcdef";
  for (const Case& row : kCases) {
    const std::string text = render(status, Style{.terminal = true, .width = row.width}, kNow);
    EXPECT_NE(text.find(std::string("\nnext expiry   ") + row.want + "\n"), std::string::npos)
        << text;
  }
}

// The journal may know of earlier ones.
TEST_F(RenderViewsTest, StatusDoesNotSayThatNothingWasEverRemoved) {
  StatusView status = sample_status();
  status.last_reclaim.reset();
  EXPECT_NE(render(status, style_, kNow).find("\nlast reclaim  none since the start\n"),
            std::string::npos);
}

TEST_F(RenderViewsTest, StatusOfAVolumeWithoutInodeLimitCountsThem) {
  StatusView status = sample_status();
  status.volume.inodes_total = 0;
  EXPECT_NE(render(status, style_, kNow).find("11.9 GiB free; 1,204,331 inodes\n"),
            std::string::npos);
}

TEST_F(RenderViewsTest, UnitsSayWhatBecomesOfEach) {
  UnitView busy = sample_unit();
  busy.state = UnitState::busy;
  busy.open_files = 3;
  busy.owner = {.uid = 1001, .user = {}, .pid = 0, .comm = {}, .job = {}, .cgroup = {}};
  UnitView pinned = sample_unit();
  pinned.state = UnitState::pinned;
  pinned.path = "worktrees/\x1b[31mred";
  UnitView due = sample_unit();
  due.state = UnitState::due;
  UnitView permanent = sample_unit();
  permanent.state = UnitState::permanent;
  const UnitsView units{{sample_unit(), busy, pinned, due, permanent}, 231, {{30'494'310'400}, 1}};
  EXPECT_EQ(render(units, style_, kNow),
            R"(  BYTES  USED        EXPIRES       OWNER        PATH
1.4 GiB  2h 13m ago  in 21h 47m    alice ci-17  worktrees/job-17
1.4 GiB  2h 13m ago  busy, 3 open  1001         worktrees/job-17
1.4 GiB  2h 13m ago  pinned        alice ci-17  worktrees/\x1b[31mred
1.4 GiB  2h 13m ago  due now       alice ci-17  worktrees/job-17
1.4 GiB  2h 13m ago  never         alice ci-17  worktrees/job-17
231 units, 28.4 GiB, 1 inode; 5 shown
)");
}

TEST_F(RenderViewsTest, UnitsOfSeveralClassesNameThem) {
  UnitView other = sample_unit();
  other.class_name = "cache";
  EXPECT_EQ(render(UnitsView{{sample_unit(), other}, 2, {{1}, 2}}, style_, kNow),
            R"(  BYTES  USED        EXPIRES     OWNER        CLASS     PATH
1.4 GiB  2h 13m ago  in 21h 47m  alice ci-17  worktree  worktrees/job-17
1.4 GiB  2h 13m ago  in 21h 47m  alice ci-17  cache     worktrees/job-17
2 units, 1 B, 2 inodes
)");
  EXPECT_EQ(render(UnitsView{}, style_, kNow), "no units\n");
}

TEST_F(RenderViewsTest, ListsHaveAbsoluteTimesWhereThereIsRoom) {
  const std::string text =
      render(UnitsView{{sample_unit()}, 1, {{1}, 2}}, Style{.width = 140}, kNow);
  EXPECT_NE(text.find("2h 13m ago (2024-10-04 09:47:00)  in 21h 47m (2024-10-05 09:47:00)"),
            std::string::npos)
      << text;
}

TEST_F(RenderViewsTest, LocksSayWhoHoldsThemAndHowLong) {
  LockView orphan = sample_lock();
  orphan.life = "killed";
  orphan.state = LockState::orphan;
  orphan.made = kNow - 14s;
  orphan.reclaim_at = kNow + 3s;
  LockView uncertain = sample_lock();
  uncertain.owner.pid = 0;
  uncertain.state = LockState::uncertain;
  uncertain.reclaim_at = kNow + 4min + 20s;
  EXPECT_EQ(render(LocksView{{sample_lock(), orphan, uncertain}, 3}, style_, kNow),
            R"(MADE     STATE                 OWNER  PROCESS            PATH
2h ago   held                  alice  node[4242]         locks/deploy.lock
14s ago  orphan, in 3s         alice  node[4242] killed  locks/deploy.lock
2h ago   uncertain, in 4m 20s  alice  ?                  locks/deploy.lock
3 locks
)");
  orphan.reclaim_at = kNow - 14s;
  EXPECT_NE(render(LocksView{{orphan}, 1}, style_, kNow).find("  orphan, due 14s ago  alice  "),
            std::string::npos);
  EXPECT_EQ(render(LocksView{}, style_, kNow), "no locks\n");
}

TEST_F(RenderViewsTest, ShowOfAUnitGivesVerdictRuleAndBlockers) {
  ShowView show;
  show.path = "worktrees/job-17";
  show.what = "unit";
  show.unit = sample_unit();
  show.rule = "idle 24h";
  show.expires_at = kNow + 21h;
  show.blockers = {{"open_files", "3 files are open inside"},
                   {"process_inside", "process 7 (bash) works in it"}};
  show.verdict = "stays while it is in use";
  EXPECT_EQ(render(show, style_, kNow), R"(worktrees/job-17: unit of class worktree
  verdict   stays while it is in use
  rule      idle 24h
  expires   in 21h (2024-10-05 09:00:00)
  held by   3 files are open inside
            process 7 (bash) works in it
  used      2h 13m ago (2024-10-04 09:47:00)
  made      1d 2h ago (2024-10-03 10:00:00)
  usage     1.4 GiB, 4,650 inodes
  owner     alice (uid 1000), node[4242], job ci-17
  cgroup    /workers/17
)");
}

TEST_F(RenderViewsTest, ShowOfALockGivesItsOwnerAndUnit) {
  ShowView show;
  show.path = "worktrees/job-17/x.lock";
  show.what = "lock";
  show.unit = sample_unit();
  show.lock = sample_lock();
  show.verdict = "stays while node[4242] lives";
  EXPECT_EQ(render(show, style_, kNow), R"(worktrees/job-17/x.lock: lock of class lock
  verdict   stays while node[4242] lives
  made      2h ago (2024-10-04 10:00:00)
  state     held, for 2h
  owner     alice (uid 1000), node[4242], job ci-17; alive, certain
  cgroup    /workers/17
  unit      worktrees/job-17
)");
}

TEST_F(RenderViewsTest, ShowOfAnOrphanSaysSinceWhenItIsOne) {
  ShowView show;
  show.path = "locks/deploy.lock";
  show.what = "lock";
  show.lock = sample_lock();
  show.lock->state = LockState::orphan;
  show.lock->held = 2h - 14s;
  show.expires_at = kNow - 4s;
  const std::string text = render(show, style_, kNow);
  EXPECT_NE(text.find("\n  reclaim   due 4s ago (2024-10-04 11:59:56)\n"), std::string::npos)
      << text;
  EXPECT_NE(text.find("\n  state     orphan, for 14s; held for 1h 59m before\n"), std::string::npos)
      << text;
}

TEST_F(RenderViewsTest, ShowSaysWhatAPathBelongsTo) {
  ShowView show;
  show.what = "root";
  EXPECT_EQ(render(show, style_, kNow), ".: the root of the volume, which never expires\n");
  show.path = "repo/file";
  show.what = "plain";
  EXPECT_EQ(render(show, style_, kNow), "repo/file: in no unit, never expires\n");
  show.unit = sample_unit();
  EXPECT_TRUE(render(show, style_, kNow).starts_with("repo/file: part of unit worktrees/job-17\n"));
  show.lock = sample_lock();
  EXPECT_TRUE(
      render(show, style_, kNow).starts_with("repo/file: part of lock locks/deploy.lock\n"));
}

TEST_F(RenderViewsTest, ChangesSayWhatHappenedOrWould) {
  struct Case {
    bool dry_run;
    bool changed;
    std::vector<BlockerView> blockers;
    const char* want;
    const char* action = "expired";
  };
  const Case cases[] = {
      {.dry_run = false, .changed = true, .blockers = {}, .want = "w/a: expired\n"},
      {.dry_run = false, .changed = false, .blockers = {}, .want = "w/a: not expired\n"},
      {.dry_run = true, .changed = false, .blockers = {}, .want = "w/a: would not be expired\n"},
      {.dry_run = false,
       .changed = false,
       .blockers = {},
       .want = "w/a: already pinned\n",
       .action = "pinned"},
      {.dry_run = true,
       .changed = false,
       .blockers = {},
       .want = "w/a: already unpinned\n",
       .action = "unpinned"},
      {.dry_run = false,
       .changed = false,
       .blockers = {{"", "b"}},
       .want = "w/a: not expired\n  held by   b\n"},
      {.dry_run = true, .changed = true, .blockers = {}, .want = "w/a: would be expired\n"},
      {.dry_run = true,
       .changed = false,
       .blockers = {{"", "b"}},
       .want = "w/a: would not be expired\n  held by   b\n"},
  };
  for (const Case& row : cases) {
    const ChangeView change{.path = "w/a",
                            .action = row.action,
                            .dry_run = row.dry_run,
                            .changed = row.changed,
                            .usage = {},
                            .restorable_until = {},
                            .blockers = row.blockers};
    EXPECT_EQ(render(change, style_, kNow), row.want);
  }
}

TEST_F(RenderViewsTest, ExpiryNamesWhatWentAndHowLongItCanComeBack) {
  const ChangeView change{.path = "w/a",
                          .action = "expired",
                          .dry_run = false,
                          .changed = true,
                          .usage = {{4096}, 1},
                          .restorable_until = kNow + 1h,
                          .blockers = {}};
  EXPECT_EQ(render(change, style_, kNow),
            "w/a: expired (4.0 KiB, 1 inode), restorable until 2024-10-04 13:00:00\n");
}

TEST_F(RenderViewsTest, EventsAreALineEachAndWrapOnATerminalOnly) {
  EventView expired;
  expired.time = kNow;
  expired.kind = "expired";
  expired.path = "worktrees/job-17";
  expired.rule = "idle 24h";
  expired.owner = "uid=1000 pid=4242 comm=node job=ci-17";
  expired.age = 25h;
  expired.usage = {{1'503'238'553}, 4650};
  EventView mounted;
  mounted.time = kNow;
  mounted.kind = "mounted";
  mounted.detail = "version 0.1.0";
  EventView unmounted;
  unmounted.time = kNow;
  unmounted.kind = "unmounted";
  const EventsView events{{expired, mounted, unmounted}, 2};
  EXPECT_EQ(render(events, style_, kNow),
            "2024-10-04 12:00:00  expired       worktrees/job-17: idle 24h; 1.4 GiB; age 1d 1h; "
            "uid=1000 pid=4242 comm=node job=ci-17\n"
            "2024-10-04 12:00:00  mounted       version 0.1.0\n"
            "2024-10-04 12:00:00  unmounted\n");
  EXPECT_EQ(render(events, Style{.terminal = true, .width = 80}, kNow),
            "2024-10-04 12:00:00  expired       worktrees/job-17: idle 24h; 1.4 GiB; age 1d\n"
            "                                   1h; uid=1000 pid=4242 comm=node job=ci-17\n"
            "2024-10-04 12:00:00  mounted       version 0.1.0\n"
            "2024-10-04 12:00:00  unmounted\n");
}

TEST_F(RenderViewsTest, ThePolicyInForceIsATomlFileAgain) {
  const PolicyView policy{.source = "p\n.toml",
                          .text = "mode = \"enforce\"\n[volume]\n",
                          .mode = "enforce",
                          .classes = {}};
  EXPECT_EQ(render(policy, style_, kNow),
            "# in force, from p\\n.toml\nmode = \"enforce\"\n[volume]\n");
}

TEST_F(RenderViewsTest, ACheckedPolicyListsItsClasses) {
  CheckView check{
      .valid = true, .file = "p.toml", .line = 0, .column = 0, .reason = {}, .policy = {}};
  check.policy = PolicyView{.source = {},
                            .text = {},
                            .mode = "observe",
                            .classes = {{"worktree", "tree", {"a/*", "b/*"}, {}, {}, {}, "", {}}}};
  EXPECT_EQ(render(check, style_, kNow),
            "p.toml: valid, mode \"observe\", 1 class:\n  worktree   tree  a/*, b/*\n");
  PolicyView policy = *check.policy;
  policy.source = "p.toml";
  EXPECT_EQ(render_reloaded(policy, style_),
            "p.toml: in force, mode \"observe\", 1 class:\n  worktree   tree  a/*, b/*\n");
}

}  // namespace
}  // namespace ebbfs
