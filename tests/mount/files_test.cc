// SPDX-License-Identifier: Apache-2.0
//
// Contents of regular files through a real mount.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <random>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/support/each_filesystem.h"

namespace ebbfs::test {
namespace {

class Files : public OnEachFilesystem {};
INSTANTIATE_TEST_SUITE_P(, Files, testing::ValuesIn(kFilesystemsAndTransports), ground_name);

TEST_P(Files, AreServedOverTheTransportThatWasAskedFor) {
  const std::string transport = volume_->json("status")["transport"];
  if (std::string(GetParam().transport) == "dev") {
    EXPECT_EQ(transport, "/dev/fuse");
  } else {
    EXPECT_TRUE(transport == "/dev/fuse" || transport == "io_uring") << transport;
  }
}

// Around a page, around what passes through to the backing file, and beyond one request.
TEST_P(Files, ReadAsTheyWereWrittenInEverySize) {
  constexpr std::size_t kSizes[] = {0,      1,      4095,   4096,    4097,
                                    131071, 131072, 131073, 1048576, 3000001};
  for (const std::size_t size : kSizes) {
    const std::string content = pattern(size);
    put(at("file"), content);
    EXPECT_TRUE(get(at("file")) == content) << size << " bytes";
    EXPECT_EQ(status_of(at("file")).st_size, static_cast<off_t>(size));
  }
}

TEST_P(Files, KeepTheirContentWithoutTheDaemon) {
  const std::string content = pattern(300000);
  put(at("file"), content);
  volume_->unmount();
  EXPECT_TRUE(get(at("file")) == content);
  volume_->mount();
  EXPECT_TRUE(get(at("file")) == content);
}

TEST_P(Files, TruncateToShorterAndToLongerWithZeros) {
  const std::string content = pattern(10000);
  put(at("file"), content);
  ASSERT_EQ(::truncate(at("file").c_str(), 5000), 0);
  ASSERT_EQ(::truncate(at("file").c_str(), 9000), 0);
  EXPECT_TRUE(get(at("file")) == content.substr(0, 5000) + std::string(4000, '\0'));
  const UniqueFd fd = opened(at("file"), O_RDWR);
  ASSERT_EQ(::ftruncate(fd.get(), 100), 0);
  EXPECT_TRUE(get(at("file")) == content.substr(0, 100));
  EXPECT_EQ(errno_of(::ftruncate(opened(at("file"), O_RDONLY).get(), 1)), EINVAL);
  EXPECT_EQ(errno_of(::truncate(volume_->path().c_str(), 1)), EISDIR);
}

TEST_P(Files, MayBeSparseOverEightTebibytes) {
  constexpr off_t kEnd = off_t{8} << 40;
  const UniqueFd fd = opened(at("file"), O_RDWR | O_CREAT);
  ASSERT_EQ(::ftruncate(fd.get(), kEnd - 4), 0);
  ASSERT_EQ(::pwrite(fd.get(), "tail", 4, kEnd - 4), 4);
  ASSERT_EQ(::pwrite(fd.get(), "middle", 6, kEnd / 2), 6);
  char seen[8] = {};
  ASSERT_EQ(::pread(fd.get(), seen, 8, kEnd - 4), 4);
  EXPECT_STREQ(seen, "tail");
  EXPECT_EQ(::lseek(fd.get(), kEnd / 2 + 65536, SEEK_DATA) / 65536, (kEnd - 4) / 65536);
  const struct stat status = status_of(at("file"));
  EXPECT_EQ(status.st_size, kEnd);
  EXPECT_LT(status.st_blocks * 512, 1'000'000);
  EXPECT_EQ(volume_->charged().bytes, kEnd);
}

TEST_P(Files, OpenAsTheirFlagsSay) {
  put(at("file"), "content");
  ASSERT_EQ(::symlink("file", at("link").c_str()), 0);
  ASSERT_EQ(::mkdir(at("dir").c_str(), 0755), 0);
  const auto open_errno = [&](const std::string& name, int flags) {
    const UniqueFd fd(::open(at(name).c_str(), flags | O_CLOEXEC, 0644));
    return fd.valid() ? 0 : errno;
  };
  EXPECT_EQ(open_errno("file", O_CREAT | O_EXCL | O_WRONLY), EEXIST);
  EXPECT_EQ(open_errno("link", O_CREAT | O_EXCL | O_WRONLY), EEXIST);
  EXPECT_EQ(open_errno("link", O_RDONLY | O_NOFOLLOW), ELOOP);
  EXPECT_EQ(open_errno("missing", O_RDONLY), ENOENT);
  EXPECT_EQ(open_errno("file", O_RDONLY | O_DIRECTORY), ENOTDIR);
  EXPECT_EQ(open_errno("dir", O_WRONLY), EISDIR);
  EXPECT_EQ(open_errno("file/below", O_RDONLY), ENOTDIR);
  EXPECT_EQ(errno_of(::write(opened(at("file"), O_RDONLY).get(), "x", 1)), EBADF);
  char byte = 0;
  EXPECT_EQ(errno_of(::read(opened(at("file"), O_WRONLY).get(), &byte, 1)), EBADF);
  EXPECT_EQ(get(at("file")), "content");
  EXPECT_EQ(open_errno("file", O_WRONLY | O_TRUNC), 0);
  EXPECT_EQ(get(at("file")), "");
}

// Two descriptors on one file: what one writes, the other reads, whatever is cached in between.
TEST_P(Files, AgreeWithAPictureInMemoryAfterRandomWritesAndTruncates) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::string picture;
  put(at("file"), "");
  UniqueFd writer = opened(at("file"), O_RDWR);
  UniqueFd reader = opened(at("file"), O_RDONLY);
  for (int step = 0; step < 300; ++step) {
    const std::size_t offset = random() % 200000;
    const std::size_t size = random() % 20000;
    switch (random() % 5) {
      case 0:
        ASSERT_EQ(::ftruncate(writer.get(), static_cast<off_t>(offset)), 0);
        picture.resize(offset, '\0');
        break;
      case 1:
        reader = opened(at("file"), O_RDONLY);
        break;
      case 2:
        writer = opened(at("file"), O_RDWR);
        break;
      default: {
        const std::string bytes = pattern(size, static_cast<unsigned>(step));
        ASSERT_EQ(::pwrite(writer.get(), bytes.data(), size, static_cast<off_t>(offset)),
                  static_cast<ssize_t>(size));
        if (picture.size() < offset + size) picture.resize(offset + size, '\0');
        picture.replace(offset, size, bytes);
      }
    }
    std::string seen(20000, '\0');
    const std::size_t from = random() % 200000;
    const ssize_t count = ::pread(reader.get(), seen.data(), seen.size(), static_cast<off_t>(from));
    ASSERT_GE(count, 0);
    seen.resize(static_cast<std::size_t>(count));
    const std::string expected = from < picture.size() ? picture.substr(from, 20000) : "";
    ASSERT_TRUE(seen == expected) << "step " << step << ", at " << from;
  }
  EXPECT_TRUE(get(at("file")) == picture);
}

TEST_P(Files, TakeAppendsOfManyProcessesWithoutLosingOne) {
  constexpr int kProcesses = 4;
  constexpr int kRecords = 200;
  constexpr std::size_t kSize = 100;
  put(at("log"), "");
  std::vector<pid_t> children;
  for (int process = 0; process < kProcesses; ++process) {
    const pid_t child = ::fork();
    if (child == 0) {
      const int fd = ::open(at("log").c_str(), O_WRONLY | O_APPEND);
      const std::string record = std::string(kSize - 1, static_cast<char>('a' + process)) + "\n";
      for (int i = 0; i < kRecords; ++i) {
        if (::write(fd, record.data(), kSize) != static_cast<ssize_t>(kSize)) ::_exit(1);
      }
      ::_exit(0);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  const std::string log = get(at("log"));
  ASSERT_EQ(log.size(), kProcesses * kRecords * kSize);
  for (std::size_t offset = 0; offset < log.size(); offset += kSize) {
    const std::string record = log.substr(offset, kSize);
    ASSERT_EQ(record, std::string(kSize - 1, record[0]) + "\n") << "at " << offset;
  }
}

TEST_P(Files, StayUsableAndChargedWhileOpenAfterTheirLastNameIsGone) {
  put(at("other"), "x");
  const MountedVolume::Counted without = volume_->count();
  {
    const UniqueFd fd = opened(at("file"), O_RDWR | O_CREAT);
    ASSERT_EQ(::unlink(at("file").c_str()), 0);
    ASSERT_EQ(::pwrite(fd.get(), "content", 7, 8192), 7);
    char seen[8] = {};
    ASSERT_EQ(::pread(fd.get(), seen, 7, 8192), 7);
    EXPECT_STREQ(seen, "content");
    struct stat status{};
    ASSERT_EQ(::fstat(fd.get(), &status), 0);
    EXPECT_EQ(status.st_nlink, 0U);
    EXPECT_EQ(status.st_size, 8199);
    ASSERT_EQ(::fchmod(fd.get(), 0600), 0);
    ASSERT_EQ(::ftruncate(fd.get(), 5000), 0);
    EXPECT_FALSE(exists(at("file")));
    EXPECT_EQ(volume_->charged().bytes, without.bytes + 8192);
    EXPECT_EQ(volume_->charged().inodes, without.inodes + 1);
  }
  EXPECT_TRUE(eventually([&] { return volume_->charged() == without; }, std::chrono::seconds(10)));
}

class NumbersUsedAgain : public OnEachFilesystem {};
INSTANTIATE_TEST_SUITE_P(, NumbersUsedAgain, testing::Values(kFilesystems[1], kFilesystems[2]),
                         ground_name);

// A descriptor by O_PATH keeps the inode in the kernel, not the backing file.
TEST_P(NumbersUsedAgain, DoNotLeadFromAFileThatIsGoneToTheNewOne) {
  put(at("old"), "old");
  const UniqueFd held = opened(at("old"), O_PATH);
  const ino_t number = status_of(at("old")).st_ino;
  ASSERT_EQ(::unlink(at("old").c_str()), 0);
  std::string name;
  for (int i = 0; i < 64 && name.empty(); ++i) {
    const std::string path = at("new" + std::to_string(i));
    put(path, "new");
    if (status_of(path).st_ino == number) name = path;
    ::usleep(1000);  // XFS gives a number back in the background
  }
  ASSERT_FALSE(name.empty());
  const std::string old = "/proc/self/fd/" + std::to_string(held.get());
  EXPECT_EQ(errno_of(::open(old.c_str(), O_RDWR | O_CLOEXEC)), ESTALE);
  EXPECT_EQ(errno_of(::truncate(old.c_str(), 0)), ESTALE);
  EXPECT_EQ(get(name), "new");
  EXPECT_EQ(status_of(name).st_ino, number);
}

// Each file holds what no other does. Whoever had one keeps a descriptor by O_PATH, by which it can
// be opened as long as it has a name.
TEST_P(NumbersUsedAgain, LeadToNoOtherFileWhileManyAreMadeAndRemoved) {
  constexpr int kThreads = 4;
  const auto seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::atomic<int> same{0};
  std::atomic<int> stale{0};
  const auto work = [&](unsigned me) {
    std::minstd_rand random(seed + me);
    const auto name = [&] { return at(std::to_string(me) + "-" + std::to_string(random() % 8)); };
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(2);
    for (int i = 0; std::chrono::steady_clock::now() < until; ++i) {
      const std::string path = name();
      const std::string content = std::to_string(me) + ":" + std::to_string(i);
      put(path, content);
      const UniqueFd held = opened(path, O_PATH);
      if (random() % 2 == 0) {
        EXPECT_EQ(::unlink(path.c_str()), 0);
      } else {
        EXPECT_EQ(::rename(path.c_str(), name().c_str()), 0);
      }
      put(name(), content + " once more");
      const std::string by = "/proc/self/fd/" + std::to_string(held.get());
      const UniqueFd again(::open(by.c_str(), O_RDONLY | O_CLOEXEC));
      if (!again.valid()) {
        EXPECT_EQ(errno, ESTALE);
        ++stale;
        continue;
      }
      std::array<char, 64> seen{};
      ASSERT_GT(::read(again.get(), seen.data(), seen.size() - 1), 0);
      EXPECT_TRUE(std::string_view(seen.data()).starts_with(content)) << content;
      ++same;
    }
  };
  {
    std::vector<std::jthread> threads;
    for (unsigned me = 0; me < kThreads; ++me) threads.emplace_back(work, me);
  }
  EXPECT_GT(same, 0);
  EXPECT_GT(stale, 0);
}

TEST_P(Files, StayTheSameWhenRenamedOrReplacedWhileOpen) {
  put(at("file"), "first");
  put(at("other"), "second");
  const UniqueFd first = opened(at("file"), O_RDWR);
  const UniqueFd second = opened(at("other"), O_RDWR);
  ASSERT_EQ(::rename(at("file").c_str(), at("other").c_str()), 0);
  ASSERT_EQ(::pwrite(first.get(), "FIR", 3, 0), 3);
  char seen[8] = {};
  ASSERT_EQ(::pread(second.get(), seen, 6, 0), 6);
  EXPECT_STREQ(seen, "second");
  EXPECT_EQ(get(at("other")), "FIRst");
}

TEST_P(Files, AreVisibleToOthersBeforeTheyAreClosed) {
  const UniqueFd fd = opened(at("file"), O_WRONLY | O_CREAT);
  ASSERT_EQ(::write(fd.get(), "early", 5), 5);
  EXPECT_EQ(as(alice(), [&] { return get(at("file")) == "early" ? 0 : 1; }), 0);
}

}  // namespace
}  // namespace ebbfs::test
