// SPDX-License-Identifier: Apache-2.0
//
// Who sits inside, asked of real processes that do.
#include "fs/proc_scan.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fuse.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "fs/backing.h"
#include "tests/support/child.h"
#include "tests/support/temp_tree.h"

namespace ebbfs {
namespace {

struct stat status_of(const std::filesystem::path& path) {
  struct stat status{};
  EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
  return status;
}

class InUse : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_ptrace_capability()) GTEST_SKIP() << "needs CAP_SYS_PTRACE";
    tree_.make_dir("unit");
  }

  // Whether the scan finds the object at `relative`.
  [[nodiscard]] bool finds(std::string_view relative) const {
    const auto status = status_of(tree_.at(relative));
    const auto found = scan_in_use(*proc_, {.mount = status.st_dev}, ProcessLook::all);
    EXPECT_TRUE(found.has_value());
    return found && found->inodes.contains(status.st_ino);
  }
  [[nodiscard]] std::string unit() const { return tree_.at("unit"); }

  TempTree tree_;
  Result<ProcFiles> proc_ = ProcFiles::open();
};

// A child that runs `sit`, says that it did, and stays.
template <typename Sit>
auto sitting(const Sit& sit) {
  return [sit](const ChildProcess::Talk& talk) -> int {
    const bool sits = sit();
    talk.tell(sits ? 1 : 0);
    talk.wait_for_ever();
  };
}

TEST_F(InUse, IsNotLookedForInTheProcessThatIsToBePassedOver) {
  const UniqueFd open(::open(unit().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_TRUE(open.valid());
  EXPECT_TRUE(finds("unit"));
  const auto status = status_of(unit());
  const auto others =
      scan_in_use(*proc_, {.mount = status.st_dev}, ProcessLook::all, own_pid(*proc_));
  ASSERT_TRUE(others.has_value());
  EXPECT_FALSE(others->inodes.contains(status.st_ino));
}

TEST_F(InUse, IsNobodyAtFirst) { EXPECT_FALSE(finds("unit")); }

TEST_F(InUse, IsWorkingDirectoryUntilItsProcessEnds) {
  const ChildProcess child(sitting([&] { return ::chdir(unit().c_str()) == 0; }));
  ASSERT_EQ(child.hear(), 1);
  EXPECT_TRUE(finds("unit"));
  child.kill();
  EXPECT_FALSE(finds("unit"));
}

TEST_F(InUse, IsRootDirectory) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const ChildProcess child(sitting([&] { return ::chroot(unit().c_str()) == 0; }));
  ASSERT_EQ(child.hear(), 1);
  EXPECT_TRUE(finds("unit"));
}

TEST_F(InUse, IsRunningProgram) {
  std::filesystem::copy_file("/bin/sleep", tree_.at("unit/worker"));
  const ChildProcess child(
      [&](const ChildProcess::Talk&) -> int { exec_command({unit() + "/worker", "20"}); });
  EXPECT_TRUE(becomes_true([&] { return finds("unit/worker"); }));
}

TEST_F(InUse, IsWhateverIsOpen) {
  tree_.write_file("unit/file", "");
  tree_.write_file("unit/path", "");
  tree_.write_file("unit/closed", "");
  ASSERT_EQ(::mkfifo((unit() + "/fifo").c_str(), 0600), 0);
  const ChildProcess child(sitting([&] {
    return ::open(unit().c_str(), O_RDONLY | O_DIRECTORY) >= 0 &&
           ::open((unit() + "/file").c_str(), O_RDONLY) >= 0 &&
           ::open((unit() + "/path").c_str(), O_PATH) >= 0 &&
           ::open((unit() + "/fifo").c_str(), O_RDWR) >= 0;
  }));
  ASSERT_EQ(child.hear(), 1);
  for (const char* open : {"unit", "unit/file", "unit/path", "unit/fifo"}) {
    EXPECT_TRUE(finds(open)) << open;
  }
  EXPECT_FALSE(finds("unit/closed"));
}

TEST_F(InUse, IsNamedByItsHandleWhereItIsBeneathTheMount) {
  tree_.write_file("unit/file", "");
  const ChildProcess child(sitting([&] {
    return ::chdir(unit().c_str()) == 0 && ::open("file", O_RDONLY) >= 0 &&
           ::open("file", O_RDONLY) >= 0;
  }));
  ASSERT_EQ(child.hear(), 1);
  const auto found =
      scan_in_use(*proc_, {.mount = 0, .backing = status_of(unit()).st_dev}, ProcessLook::all);
  ASSERT_TRUE(found.has_value());
  for (const char* used : {"unit", "unit/file"}) {
    EXPECT_TRUE(found->inodes.contains(status_of(tree_.at(used)).st_ino)) << used;
    const auto handle = handle_at(AT_FDCWD, tree_.at(used).c_str(), 0);
    ASSERT_TRUE(handle.has_value());
    EXPECT_EQ(std::ranges::count(found->beneath, *handle), 1) << used;
  }
}

// Maps the file at `path` and closes it.
bool map_file(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return ::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE, fd.get(), 0) != MAP_FAILED;
}

TEST_F(InUse, IsMappedFileThoughItIsClosed) {
  tree_.write_file("unit/mapped", "x");
  const auto status = status_of(tree_.at("unit/mapped"));
  const ChildProcess child(sitting([&] { return map_file(unit() + "/mapped"); }));
  ASSERT_EQ(child.hear(), 1);
  EXPECT_TRUE(finds("unit/mapped"));
  const auto opens = scan_in_use(*proc_, {.mount = status.st_dev}, ProcessLook::opens);
  ASSERT_TRUE(opens.has_value());
  EXPECT_FALSE(opens->inodes.contains(status.st_ino));
  const auto beneath =
      scan_in_use(*proc_, {.mount = 0, .backing = status.st_dev}, ProcessLook::all);
  ASSERT_TRUE(beneath.has_value());
  EXPECT_EQ(std::ranges::count(beneath->beneath,
                               handle_at(AT_FDCWD, tree_.at("unit/mapped").c_str(), 0).value()),
            1);
}

TEST_F(InUse, IsMappedFileOfProcessWhoseLeaderHasEnded) {
  tree_.write_file("unit/mapped", "x");
  const ChildProcess child([&](const ChildProcess::Talk& talk) -> int {
    if (!map_file(unit() + "/mapped")) return 1;
    std::thread thread([&] { talk.wait_for_ever(); });
    ::syscall(SYS_exit, 0);
    return 1;
  });
  ASSERT_TRUE(becomes_true([&] { return proc_->stat(child.pid())->state == 'Z'; }));
  EXPECT_TRUE(finds("unit/mapped"));
}

TEST_F(InUse, TellsWhatIsMountedUponItInOtherNamespaces) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  tree_.make_dir("fs");
  const auto in_namespace = sitting([&] {
    const std::string fs = tree_.at("fs");
    return ::unshare(CLONE_NEWNS) == 0 && ::mount("", "/", "", MS_REC | MS_PRIVATE, nullptr) == 0 &&
           ::mount("t", fs.c_str(), "tmpfs", 0, nullptr) == 0 &&
           ::mkdir((fs + "/a b").c_str(), 0755) == 0 &&
           ::mkdir((fs + "/a b/c").c_str(), 0755) == 0 &&
           ::mount("t", (fs + "/a b/c").c_str(), "tmpfs", 0, nullptr) == 0 &&
           ::mount((fs + "/a b").c_str(), unit().c_str(), "", MS_BIND, nullptr) == 0 &&
           ::mount("t", (unit() + "/c").c_str(), "tmpfs", 0, nullptr) == 0 &&
           ::chdir((fs + "/a b").c_str()) == 0;
  });
  const ChildProcess child(in_namespace);
  ASSERT_EQ(child.hear(), 1);
  const auto device = status_of("/proc/" + std::to_string(child.pid()) + "/cwd").st_dev;
  const auto found = scan_in_use(*proc_, {.mount = device}, ProcessLook::all);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->mounted_upon, (std::vector<std::string>{"a b/c", "a b/c"}));
}

TEST_F(InUse, IsRemovedDirectory) {
  const auto status = status_of(tree_.at("unit"));
  const ChildProcess child(
      sitting([&] { return ::chdir(unit().c_str()) == 0 && ::rmdir(unit().c_str()) == 0; }));
  ASSERT_EQ(child.hear(), 1);
  const auto found = scan_in_use(*proc_, {.mount = status.st_dev}, ProcessLook::all);
  ASSERT_TRUE(found.has_value());
  EXPECT_TRUE(found->inodes.contains(status.st_ino));
}

// Runs `sit` on a thread of its own while the leader stays elsewhere.
int sit_on_thread(const ChildProcess::Talk& talk, const std::function<bool()>& sit) {
  std::thread([&] {
    talk.tell(sit() ? 1 : 0);
    talk.wait_for_ever();
  }).join();
  return 1;
}

TEST_F(InUse, IsWorkingDirectoryOfOneThread) {
  const ChildProcess child([&](const ChildProcess::Talk& talk) {
    return sit_on_thread(talk,
                         [&] { return ::unshare(CLONE_FS) == 0 && ::chdir(unit().c_str()) == 0; });
  });
  ASSERT_EQ(child.hear(), 1);
  EXPECT_TRUE(finds("unit"));
}

TEST_F(InUse, IsOpenDirectoryOfOneThread) {
  const ChildProcess child([&](const ChildProcess::Talk& talk) {
    return sit_on_thread(talk, [&] {
      return ::unshare(CLONE_FILES) == 0 && ::open(unit().c_str(), O_RDONLY | O_DIRECTORY) >= 0;
    });
  });
  ASSERT_EQ(child.hear(), 1);
  EXPECT_TRUE(finds("unit"));
}

TEST_F(InUse, IsWorkingDirectoryOfProcessWhoseLeaderHasEnded) {
  const ChildProcess child([&](const ChildProcess::Talk& talk) -> int {
    if (::chdir(unit().c_str()) != 0) return 1;
    std::thread thread([&] { talk.wait_for_ever(); });
    ::syscall(SYS_exit, 0);
    return 1;
  });
  ASSERT_TRUE(becomes_true([&] { return proc_->stat(child.pid())->state == 'Z'; }));
  EXPECT_TRUE(finds("unit"));
}

TEST_F(InUse, CountsOnlyTheFilesystemAskedFor) {
  const ChildProcess child(sitting([&] { return ::chdir(unit().c_str()) == 0; }));
  ASSERT_EQ(child.hear(), 1);
  const auto found = scan_in_use(*proc_, {.mount = status_of("/proc").st_dev}, ProcessLook::all);
  ASSERT_TRUE(found.has_value());
  EXPECT_FALSE(found->inodes.contains(status_of(tree_.at("unit")).st_ino));
}

TEST_F(InUse, IsUnknownToWhomMayNotLook) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const auto device = status_of(tree_.at("unit")).st_dev;
  const ChildProcess child([&](const ChildProcess::Talk& talk) -> int {
    if (::setresuid(1000, 1000, 1000) != 0) return 1;
    const auto found = scan_in_use(*ProcFiles::open(), {.mount = device}, ProcessLook::all);
    talk.tell(found ? 0 : code(found.error()));
    return 0;
  });
  EXPECT_EQ(child.hear(), EACCES);
}

// A FUSE mount of user 1000 that is closed to all others, root too. Knows only its root directory,
// and answers whatever else it is asked with ENOSYS.
class PrivateFuse {
 public:
  explicit PrivateFuse(std::string at) : at_(std::move(at)) {
    device_.reset(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
    const auto options =
        "fd=" + std::to_string(device_.get()) + ",rootmode=40000,user_id=1000,group_id=1000";
    mounted_ = device_.valid() && ::mount("ebbfs-test", at_.c_str(), "fuse", MS_NOSUID | MS_NODEV,
                                          options.c_str()) == 0;
    if (mounted_) server_ = std::thread([this] { serve(); });
  }
  ~PrivateFuse() {
    if (!mounted_) return;
    ::umount2(at_.c_str(), MNT_DETACH);
    server_.join();
  }
  PrivateFuse(const PrivateFuse&) = delete;
  PrivateFuse& operator=(const PrivateFuse&) = delete;
  [[nodiscard]] bool mounted() const { return mounted_; }

 private:
  void serve() const {
    alignas(fuse_in_header) std::array<char, 1U << 16U> request{};
    while (::read(device_.get(), request.data(), request.size()) > 0) {
      fuse_in_header in{};
      std::memcpy(&in, request.data(), sizeof in);
      if (in.opcode == FUSE_FORGET || in.opcode == FUSE_DESTROY) continue;
      struct {
        fuse_out_header header;
        fuse_init_out init;
      } out{};
      out.header.unique = in.unique;
      out.header.len = sizeof out.header;
      if (in.opcode == FUSE_INIT) {
        out.init.major = FUSE_KERNEL_VERSION;
        out.init.minor = FUSE_KERNEL_MINOR_VERSION;
        out.init.max_write = 4096;
        out.header.len = sizeof out;
      } else {
        out.header.error = -ENOSYS;
      }
      if (::write(device_.get(), &out, out.header.len) < 0) return;
    }
  }

  const std::string at_;
  UniqueFd device_;
  bool mounted_ = false;
  std::thread server_;
};

TEST_F(InUse, IsKnownThoughSomebodySitsInFuseMountClosedToRoot) {
  tree_.make_dir("private");
  ASSERT_EQ(::chmod(tree_.path().c_str(), 0755), 0);
  const PrivateFuse fuse(tree_.at("private"));
  if (!fuse.mounted()) GTEST_SKIP() << "cannot mount FUSE";
  const ChildProcess other(sitting([&] {
    return ::setresgid(1000, 1000, 1000) == 0 && ::setresuid(1000, 1000, 1000) == 0 &&
           ::chdir(tree_.at("private").c_str()) == 0;
  }));
  ASSERT_EQ(other.hear(), 1);
  struct stat status{};
  ASSERT_NE(::stat(("/proc/" + std::to_string(other.pid()) + "/cwd").c_str(), &status), 0);
  ASSERT_EQ(errno, EACCES);
  const ChildProcess child(sitting([&] { return ::chdir(unit().c_str()) == 0; }));
  ASSERT_EQ(child.hear(), 1);
  EXPECT_TRUE(finds("unit"));
}

TEST_F(InUse, IsKnownWhileProcessesComeAndGo) {
  const ChildProcess churn([](const ChildProcess::Talk& talk) -> int {
    talk.tell(0);
    for (;;) {
      const ChildProcess brief([](const ChildProcess::Talk&) { return 0; });
    }
  });
  churn.hear();
  const ChildProcess child(sitting([&] { return ::chdir(unit().c_str()) == 0; }));
  ASSERT_EQ(child.hear(), 1);
  for (int time = 0; time < 20; ++time) EXPECT_TRUE(finds("unit"));
}

}  // namespace
}  // namespace ebbfs
