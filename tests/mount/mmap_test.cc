// SPDX-License-Identifier: Apache-2.0
//
// Files mapped into memory through a real mount, in each way that the daemon opens them: small ones
// are cached by the kernel, larger ones pass through to the backing file, who only writes is
// direct.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "tests/support/each_filesystem.h"

namespace ebbfs::test {
namespace {

constexpr std::size_t kSmall = 8192;
constexpr std::size_t kLarge = 1 << 20;

class Mapping {
 public:
  Mapping(int fd, std::size_t size, int protection, int flags)
      : size_(size), memory_(static_cast<char*>(::mmap(nullptr, size, protection, flags, fd, 0))) {
    if (memory_ == MAP_FAILED) ADD_FAILURE() << "mmap: errno " << errno;
  }
  ~Mapping() { ::munmap(memory_, size_); }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  [[nodiscard]] char* get() const { return memory_; }
  [[nodiscard]] bool valid() const { return memory_ != MAP_FAILED; }
  [[nodiscard]] std::string text() const { return {memory_, size_}; }

 private:
  const std::size_t size_;
  char* const memory_;
};

class Mmap : public OnEachFilesystem {
 protected:
  void writes_arrive(std::size_t size) {
    std::string content = pattern(size);
    put(at("file"), content);
    {
      const UniqueFd fd = opened(at("file"), O_RDWR);
      const Mapping shared(fd.get(), size, PROT_READ | PROT_WRITE, MAP_SHARED);
      ASSERT_TRUE(shared.valid());
      EXPECT_TRUE(shared.text() == content);
      content.replace(size / 2, 6, "mapped");
      std::string("mapped").copy(shared.get() + size / 2, 6);
      ASSERT_EQ(::msync(shared.get(), size, MS_SYNC), 0);
      EXPECT_TRUE(get(at("file")) == content);
    }
    EXPECT_TRUE(get(at("file")) == content);
    volume_->unmount();
    EXPECT_TRUE(get(at("file")) == content);
    volume_->mount();
  }
};
INSTANTIATE_TEST_SUITE_P(, Mmap, testing::ValuesIn(kFilesystemsAndTransports), ground_name);

TEST_P(Mmap, WritesThroughASharedMappingArriveInASmallFile) { writes_arrive(kSmall); }
TEST_P(Mmap, WritesThroughASharedMappingArriveInALargeFile) { writes_arrive(kLarge); }

TEST_P(Mmap, WritesThroughAPrivateMappingStayPrivate) {
  for (const std::size_t size : {kSmall, kLarge}) {
    put(at("file"), pattern(size));
    const UniqueFd fd = opened(at("file"), O_RDONLY);
    const Mapping mapping(fd.get(), size, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    ASSERT_TRUE(mapping.valid());
    mapping.get()[10] = static_cast<char>(~mapping.get()[10]);
    EXPECT_TRUE(get(at("file")) == pattern(size));
  }
}

TEST_P(Mmap, AMappingSurvivesTheCloseOfItsDescriptorAndTheUnlinkOfItsName) {
  for (const std::size_t size : {kSmall, kLarge}) {
    put(at("file"), pattern(size));
    UniqueFd fd = opened(at("file"), O_RDWR);
    const Mapping mapping(fd.get(), size, PROT_READ | PROT_WRITE, MAP_SHARED);
    fd.reset();
    ASSERT_EQ(::unlink(at("file").c_str()), 0);
    ASSERT_TRUE(mapping.valid());
    EXPECT_TRUE(mapping.text() == pattern(size));
    mapping.get()[size - 1] = 'x';
    EXPECT_EQ(mapping.get()[size - 1], 'x');
  }
}

TEST_P(Mmap, AWriterThatComesWhileALargeFileIsReadIsSeenByTheReader) {
  std::string content = pattern(kLarge);
  put(at("file"), content);
  const UniqueFd reader = opened(at("file"), O_RDONLY);
  const Mapping mapping(reader.get(), kLarge, PROT_READ, MAP_SHARED);
  ASSERT_TRUE(mapping.valid());
  EXPECT_TRUE(mapping.text() == content);
  const UniqueFd writer = opened(at("file"), O_RDWR);
  ASSERT_EQ(::pwrite(writer.get(), "changed", 7, 500000), 7);
  content.replace(500000, 7, "changed");
  char seen[8] = {};
  ASSERT_EQ(::pread(reader.get(), seen, 7, 500000), 7);
  EXPECT_STREQ(seen, "changed");
  EXPECT_TRUE(mapping.text() == content);
  EXPECT_TRUE(get(at("file")) == content);
}

TEST_P(Mmap, AReaderThatComesWhileALargeFileIsWrittenSeesWhatWasWritten) {
  std::string content = pattern(kLarge);
  const UniqueFd writer = opened(at("file"), O_RDWR | O_CREAT);
  ASSERT_EQ(::pwrite(writer.get(), content.data(), kLarge, 0), static_cast<ssize_t>(kLarge));
  const UniqueFd reader = opened(at("file"), O_RDONLY);
  const Mapping mapping(reader.get(), kLarge, PROT_READ, MAP_SHARED);
  ASSERT_TRUE(mapping.valid());
  EXPECT_TRUE(mapping.text() == content);
  ASSERT_EQ(::pwrite(writer.get(), "changed", 7, 500000), 7);
  content.replace(500000, 7, "changed");
  EXPECT_TRUE(get(at("file")) == content);
  EXPECT_TRUE(mapping.text() == content);
}

TEST_P(Mmap, ASmallFileThatIsReadAndMappedShowsWhatAWriterWrites) {
  std::string content = pattern(kSmall);
  put(at("file"), content);
  const UniqueFd reader = opened(at("file"), O_RDONLY);
  EXPECT_TRUE(get(at("file")) == content);
  const UniqueFd writer = opened(at("file"), O_RDWR);
  ASSERT_EQ(::pwrite(writer.get(), "changed", 7, 100), 7);
  content.replace(100, 7, "changed");
  EXPECT_TRUE(get(at("file")) == content);
  const Mapping mapping(reader.get(), kSmall, PROT_READ, MAP_SHARED);
  ASSERT_TRUE(mapping.valid());
  EXPECT_TRUE(mapping.text() == content);
}

// Stores through a mapping and writes to the same pages, at once.
TEST_P(Mmap, NothingIsLostOfWritesAndStoresToTheSamePages) {
  constexpr std::size_t kPage = 4096;
  constexpr std::size_t kPages = 256;
  const std::string stored = "stored";
  const std::string written = "written";
  for (int round = 0; round < 20; ++round) {
    ::unlink(at("file").c_str());
    const UniqueFd fd = opened(at("file"), O_RDWR | O_CREAT);
    ASSERT_EQ(::ftruncate(fd.get(), kPages * kPage), 0);
    const Mapping mapping(fd.get(), kPages * kPage, PROT_READ | PROT_WRITE, MAP_SHARED);
    ASSERT_TRUE(mapping.valid());
    // By the descriptor that was mapped, and by one that cannot be.
    const UniqueFd other = opened(at("file"), O_WRONLY);
    const int writer = round % 2 == 0 ? fd.get() : other.get();
    {
      const std::jthread storing([&] {
        for (std::size_t i = 0; i < kPages; ++i) stored.copy(mapping.get() + i * kPage, 6);
      });
      for (std::size_t i = 0; i < kPages; ++i) {
        EXPECT_EQ(::pwrite(writer, written.data(), 7, static_cast<off_t>(i * kPage + 100)), 7);
      }
    }
    const std::string mapped = mapping.text();
    EXPECT_TRUE(get(at("file")) == mapped) << "round " << round;
    for (std::size_t i = 0; i < kPages; ++i) {
      ASSERT_EQ(mapped.substr(i * kPage, 6), stored) << "round " << round << ", page " << i;
      ASSERT_EQ(mapped.substr(i * kPage + 100, 7), written) << "round " << round << ", page " << i;
    }
  }
}

// The kernel tells of the close at once, though the mapping, by the backing file, goes on.
TEST_P(Mmap, MadeByAWriterBesideAReaderIsSeenByAllWhoComeAfterBothHaveClosed) {
  std::string content = pattern(kLarge);
  put(at("file"), content);
  UniqueFd reader = opened(at("file"), O_RDONLY);
  UniqueFd writer = opened(at("file"), O_RDWR);
  const Mapping early(writer.get(), kLarge, PROT_READ | PROT_WRITE, MAP_SHARED);
  ASSERT_TRUE(early.valid());
  writer.reset();
  reader.reset();
  const auto store = [&](const Mapping& mapping, std::size_t where, const std::string& text) {
    text.copy(mapping.get() + where, text.size());
    content.replace(where, text.size(), text);
  };
  store(early, 100, "before");
  const UniqueFd late = opened(at("file"), O_RDWR);
  EXPECT_TRUE(get(at("file")) == content);
  store(early, 200, "after");
  EXPECT_TRUE(get(at("file")) == content);
  // To one page each by its own mapping, neither of which may be written back over the other.
  const Mapping other(late.get(), kLarge, PROT_READ | PROT_WRITE, MAP_SHARED);
  ASSERT_TRUE(other.valid());
  store(early, 300, "early");
  store(other, 400, "other");
  EXPECT_EQ(::msync(early.get(), kLarge, MS_SYNC), 0);
  EXPECT_EQ(::msync(other.get(), kLarge, MS_SYNC), 0);
  EXPECT_TRUE(early.text() == content);
  EXPECT_TRUE(other.text() == content);
  EXPECT_TRUE(get(at("file")) == content);
}

// Else they would fill the volume past its reserve, as nobody is asked for the room.
TEST_P(Mmap, StoresIntoTheHolesOfAFileThatIsReadComeAsWrites) {
  ASSERT_EQ(shell("truncate -s 1M file", volume_->path()).exit_code, 0);
  const UniqueFd reader = opened(at("file"), O_RDONLY);
  const UniqueFd writer = opened(at("file"), O_RDWR);
  const Mapping mapping(writer.get(), kLarge, PROT_READ | PROT_WRITE, MAP_SHARED);
  ASSERT_TRUE(mapping.valid());
  const auto writes = [&] {
    int count = 0;
    const nlohmann::json status = volume_->json("status");
    for (const auto& each : status["requests"]) {
      if (each["op"] == "write") count = each["count"];
    }
    return count;
  };
  const int before = writes();
  mapping.get()[kLarge / 2] = 'x';
  ASSERT_EQ(::msync(mapping.get(), kLarge, MS_SYNC), 0);
  EXPECT_GT(writes(), before);
}

// A small file is cached by the kernel while it grows past what passes through.
TEST_P(Mmap, AFileThatGrowsWhileItIsReadStaysRightForNewReaders) {
  put(at("file"), pattern(kSmall));
  const UniqueFd early = opened(at("file"), O_RDONLY);
  EXPECT_TRUE(get(at("file")) == pattern(kSmall));
  const std::string more = pattern(kLarge, 2);
  put(at("file"), more);
  EXPECT_TRUE(get(at("file")) == more);
  std::string seen(kLarge, '\0');
  ASSERT_EQ(::pread(early.get(), seen.data(), kLarge, 0), static_cast<ssize_t>(kLarge));
  EXPECT_TRUE(seen == more);
}

TEST_P(Mmap, AProgramRunsFromTheVolume) {
  for (const char* program : {"/bin/true", "/bin/bash"}) {
    ASSERT_EQ(shell("cp " + std::string(program) + " program && ./program -c true", volume_->path())
                  .exit_code,
              0)
        << program;
  }
}

}  // namespace
}  // namespace ebbfs::test
