// SPDX-License-Identifier: Apache-2.0
#include "fs/proc_files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>
#include <sys/prctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "tests/support/child.h"
#include "tests/support/temp_tree.h"

namespace ebbfs {
namespace {

// A PID/stat line of a process with this name; fields 5 to 51 hold their own numbers.
std::string stat_line(std::string_view comm, std::string_view state = "S",
                      std::string_view ppid = "41", std::string_view start = "123456",
                      std::string_view exit_code = "9", std::string_view flags = "9") {
  std::string line = fmt::format("4242 ({}) {} {}", comm, state, ppid);
  for (int field = 5; field <= 51; ++field) {
    line += ' ';
    line += field == 22  ? std::string(start)
            : field == 9 ? std::string(flags)
                         : std::to_string(field);
  }
  return line + ' ' + std::string(exit_code) + '\n';
}

struct CommCase {
  const char* name;
  const char* comm;
  const char* want;
};

TEST(ParseStat, ReadsFieldsWhateverTheCommandIsCalled) {
  constexpr CommCase kCases[] = {
      {"plain", "git", "git"},
      {"blank", "tmux: server", "tmux: server"},
      {"parentheses", ") Z 1 (", ") Z 1 ("},
      {"newline", "a\nb", "a\nb"},
      {"empty", "", ""},
      {"longer than a process can have", "kworker/u8:3-events_unbound", "kworker/u8:3-ev"},
  };
  for (const auto& row : kCases) {
    const auto stat = parse_stat(stat_line(row.comm));
    ASSERT_TRUE(stat.has_value()) << row.name;
    EXPECT_EQ(stat->pid, 4242) << row.name;
    EXPECT_EQ(stat->comm, row.want) << row.name;
    EXPECT_EQ(stat->state, 'S') << row.name;
    EXPECT_EQ(stat->ppid, 41) << row.name;
    EXPECT_EQ(stat->start_time, 123456U) << row.name;
    EXPECT_EQ(stat->exit_code, 9) << row.name;
  }
}

TEST(ParseStat, TellsThreadsOfTheKernel) {
  EXPECT_FALSE(parse_stat(stat_line("git"))->kernel_thread);
  // kthreadd of Linux 6.12.
  EXPECT_TRUE(parse_stat(stat_line("kthreadd", "S", "0", "1", "0", "2129984"))->kernel_thread);
}

TEST(ParseStat, RefusesWhatItDoesNotUnderstand) {
  const std::string good = stat_line("git");
  const std::string bad[] = {
      "",
      "4242",
      "4242 (git",
      "4242 )git(",
      "(git) S 1",
      good.substr(0, good.size() - 3),  // no last field
      stat_line("git", "SS"),
      stat_line("git", "S", "x"),
      stat_line("git", "S", "41", "-1"),
      stat_line("git", "S", "41", "99999999999999999999"),
      stat_line("git", "S", "41", "123456", ""),
      stat_line("git", "S", "41", "123456", "9", "x"),
      "x" + good,
  };
  for (const auto& text : bad) EXPECT_FALSE(parse_stat(text).has_value()) << text;
}

TEST(ParseStatus, FindsProcessAndInnermostNumber) {
  const auto nested = parse_status("Name:\tgit\nTgid:\t77\nPid:\t78\nNSpid:\t78\t12\t3\nX:\t1\n");
  ASSERT_TRUE(nested.has_value());
  EXPECT_EQ(nested->tgid, 77);
  EXPECT_EQ(nested->ns_pids, (std::vector<std::int32_t>{78, 12, 3}));
  EXPECT_EQ(nested->ns_pid(), 3);
  const auto plain = parse_status("Name:\tNSpid\\n\nTgid:\t77\nNSpid:\t77\n");
  ASSERT_TRUE(plain.has_value());
  EXPECT_EQ(plain->ns_pid(), 77);
  const auto without_namespaces = parse_status("Tgid:\t77\n");
  ASSERT_TRUE(without_namespaces.has_value());
  EXPECT_EQ(without_namespaces->ns_pid(), 77);
  EXPECT_FALSE(parse_status("Name:\tgit\nPid:\t78\n").has_value());
  EXPECT_FALSE(parse_status("Tgid:\tx\n").has_value());
  EXPECT_FALSE(parse_status("").has_value());
}

TEST(ParseCgroup, FindsV2AmongOthers) {
  EXPECT_EQ(parse_cgroup_v2("9:name=systemd:/\n4:memory:/x\n0::/a/b\n"), "/a/b");
  EXPECT_EQ(parse_cgroup_v2("0::/\n"), "/");
  EXPECT_EQ(parse_cgroup_v2("0::/a b:c (deleted)\n"), "/a b:c (deleted)");
  EXPECT_EQ(parse_cgroup_v2("4:memory:/x\n"), "");
  EXPECT_EQ(parse_cgroup_v2("4:memory:/0::/x\n10::/x\n"), "");
  EXPECT_EQ(parse_cgroup_v2(""), "");
}

struct MountCase {
  const char* name;
  const char* mountinfo;
  const char* want_path;
  const char* want_root;
};

TEST(ParseMountinfo, FindsCgroupMount) {
  constexpr MountCase kCases[] = {
      {"hybrid",
       "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
       "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
       "/sys/fs/cgroup/unified", "/"},
      {"optional fields", "41 31 0:38 / /sys/fs/cgroup rw shared:9 master:3 - cgroup2 none rw\n",
       "/sys/fs/cgroup", "/"},
      {"part of the hierarchy", "41 31 0:38 /docker/ab /cg rw - cgroup2 c rw\n", "/cg",
       "/docker/ab"},
      {"all before part",
       "41 31 0:38 /docker/ab /part rw - cgroup2 c rw\n"
       "42 31 0:38 / /all rw - cgroup2 c rw\n"
       "43 31 0:38 / /again rw - cgroup2 c rw\n",
       "/all", "/"},
      {"escaped", "41 31 0:38 / /a\\040b\\134 rw - cgroup2 c rw\n", "/a b\\", "/"},
  };
  for (const auto& row : kCases) {
    const auto mount = parse_cgroup_mount(row.mountinfo);
    ASSERT_TRUE(mount.has_value()) << row.name;
    EXPECT_EQ(mount->path, row.want_path) << row.name;
    EXPECT_EQ(mount->root, row.want_root) << row.name;
  }
}

TEST(ParseMountinfo, FindsNoCgroupMountWhereThereIsNone) {
  for (const char* text : {"", "41 31 0:38 / /cgroup2 rw - tmpfs cgroup2 rw\n", "cgroup2\n",
                           " - cgroup2\n", "41 31 0:38 - cgroup2 c rw\n"}) {
    EXPECT_FALSE(parse_cgroup_mount(text).has_value()) << text;
  }
}

TEST(ParseMapping, FindsMappedFiles) {
  const auto mapped = parse_mapping(
      "7efce5588000-7efce5598000 r--p 00000000 00:3a 28                         /a b/lib.so");
  ASSERT_TRUE(mapped.has_value());
  EXPECT_EQ(mapped->start, 0x7efce5588000U);
  EXPECT_EQ(mapped->end, 0x7efce5598000U);
  EXPECT_EQ(mapped->device, makedev(0, 0x3a));
  EXPECT_EQ(mapped->inode, 28U);
  EXPECT_TRUE(parse_mapping("00400000-00401000 r--p 00000000 08:01 9 ").has_value());
  for (const char* none : {"7ffd0000-7ffd1000 rw-p 00000000 00:00 0          [stack]", "",
                           "nonsense", "7ffd0000-7ffd1000 rw-p 00000000 00:zz 5 x"}) {
    EXPECT_FALSE(parse_mapping(none).has_value()) << none;
  }
}

TEST(ParseBootId, TakesThirtyTwoDigits) {
  const auto id = parse_boot_id("00112233-4455-6677-8899-aabbccddeeff\n");
  ASSERT_TRUE(id.has_value());
  EXPECT_EQ(id->bytes[0], 0x00);
  EXPECT_EQ(id->bytes[1], 0x11);
  EXPECT_EQ(id->bytes[15], 0xff);
  for (const char* text : {"", "0011", "00112233-4455-6677-8899-aabbccddeeff0",
                           "00112233-4455-6677-8899-aabbccddeefg"}) {
    EXPECT_FALSE(parse_boot_id(text).has_value()) << text;
  }
}

TEST(ProcFiles, ReadsItsOwnProcess) {
  const auto proc = ProcFiles::open();
  ASSERT_TRUE(proc.has_value());
  const auto stat = proc->stat(::getpid());
  ASSERT_TRUE(stat.has_value());
  EXPECT_EQ(stat->pid, ::getpid());
  EXPECT_EQ(stat->ppid, ::getppid());
  EXPECT_EQ(proc->comm(::getpid()), stat->comm);
  EXPECT_NE(proc->boot_id(), BootId{});
}

TEST(ProcFiles, ReadsThreadAsOneOfItsProcess) {
  const auto proc = ProcFiles::open();
  std::thread([&] {
    const auto status = proc->status(::gettid());
    ASSERT_TRUE(status.has_value());
    EXPECT_EQ(status->tgid, ::getpid());
    EXPECT_EQ(status->ns_pid(), ::gettid());
  }).join();
}

TEST(ProcFiles, ReadsHostileCommandName) {
  const ChildProcess child([](const ChildProcess::Talk& talk) -> int {
    ::prctl(PR_SET_NAME, ") Z 1\nTgid:\t1");
    talk.tell(0);
    talk.wait_for_ever();
  });
  child.hear();
  const auto proc = ProcFiles::open();
  EXPECT_EQ(proc->stat(child.pid())->comm, ") Z 1\nTgid:\t1");
  EXPECT_EQ(proc->stat(child.pid())->ppid, ::getpid());
  EXPECT_EQ(proc->status(child.pid())->tgid, child.pid());
}

TEST(ProcFiles, SaysThatProcessIsGone) {
  ChildProcess child;
  child.kill();
  child.reap();
  const auto proc = ProcFiles::open();
  EXPECT_EQ(proc->stat(child.pid()), fail(ESRCH));
  EXPECT_EQ(proc->comm(child.pid()), fail(ESRCH));
  EXPECT_EQ(proc->pid_namespace(child.pid()), fail(ESRCH));
  EXPECT_EQ(proc->stat(0), fail(ESRCH));
  EXPECT_EQ(proc->stat(-1), fail(ESRCH));
}

TEST(ReadFileAt, ReadsMoreThanOneBuffer) {
  const TempTree tree;
  const std::string content(100'000, 'x');
  tree.write_file("file", content);
  EXPECT_EQ(read_file_at(AT_FDCWD, tree.at("file").c_str()), content);
  EXPECT_EQ(read_file_at(AT_FDCWD, tree.at("none").c_str()), fail(ENOENT));
}

}  // namespace
}  // namespace ebbfs
