// SPDX-License-Identifier: Apache-2.0
//
// Round trips to the daemon, by operation: the cost of this filesystem. The daemon counts them
// itself, so a setting that gets lost shows here and not only in a benchmark. FORGET is counted on
// its own: the kernel sends it when it likes. Names are relative to an open directory, so that
// nothing above it is looked at.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "tests/support/each_filesystem.h"
#include "tools/control_client.h"

namespace ebbfs::test {
namespace {

using namespace std::chrono_literals;
using Requests = std::map<std::string, std::int64_t>;

class CountedRequests : public OnEachFilesystem {
 protected:
  void SetUp() override {
    OnEachFilesystem::SetUp();
    if (!volume_) return;
    work_in("dir");
  }
  void work_in(const std::string& directory) {
    ASSERT_EQ(::mkdir(at(directory).c_str(), 0755), 0);
    directory_ = opened(at(directory), O_RDONLY | O_DIRECTORY);
    make("ready");
    look("ready");
  }

  // What `act` makes the kernel send; given up when it does not become `expected`.
  [[nodiscard]] Requests requests_of(const std::function<void()>& act, const Requests& expected) {
    const Requests before = settled();
    act();
    Requests sent;
    const auto as_expected = [&] {
      sent.clear();
      for (const auto& [op, count] : counted()) {
        const auto had = before.find(op);
        const auto more = count - (had == before.end() ? 0 : had->second);
        if (more > 0) sent[op] = more;
      }
      return sent == expected;
    };
    // RELEASE comes after the close.
    (void)eventually(as_expected, 2s);
    return sent;
  }

  void make(const char* name) const { write_to(name, O_CREAT | O_EXCL); }
  void write_to(const char* name, int flags) const {
    const UniqueFd fd(::openat(directory_.get(), name, flags | O_WRONLY | O_CLOEXEC, 0644));
    ASSERT_TRUE(fd.valid()) << name;
    ASSERT_EQ(::write(fd.get(), "some text", 9), 9);
  }
  void read_all(const char* name) const {
    const UniqueFd fd(::openat(directory_.get(), name, O_RDONLY | O_CLOEXEC));
    char text[16];
    ASSERT_EQ(::read(fd.get(), text, sizeof text), 9);
    ASSERT_EQ(::read(fd.get(), text, sizeof text), 0);
  }
  void look(const char* name) const {
    struct stat ignored;
    (void)::fstatat(directory_.get(), name, &ignored, AT_SYMLINK_NOFOLLOW);
  }
  void remove(const char* name) const { ASSERT_EQ(::unlinkat(directory_.get(), name, 0), 0); }
  void list() const {
    ASSERT_FALSE(names_in("/proc/self/fd/" + std::to_string(directory_.get())).empty());
  }

  [[nodiscard]] Requests all_counted() const {
    ControlRequest status;
    status.command = command::kStatus;
    const ControlReply reply = ask(volume_->path(), status);
    Requests requests;
    for (const auto& one : reply.body.at("requests")) requests[one.at("op")] = one.at("count");
    return requests;
  }

  UniqueFd directory_;

 private:
  [[nodiscard]] Requests counted() const {
    Requests requests = all_counted();
    requests.erase("forget");
    return requests;
  }
  // Once the RELEASE of what was done before has come.
  [[nodiscard]] Requests settled() const {
    Requests last = counted();
    for (int same = 0; same < 3;) {
      ::usleep(10'000);
      Requests now = counted();
      same = now == last ? same + 1 : 0;
      last = std::move(now);
    }
    return last;
  }
};
INSTANTIATE_TEST_SUITE_P(, CountedRequests,
                         testing::Values(kFilesystemsAndTransports[0],
                                         kFilesystemsAndTransports[3]),
                         ground_name);

// The GETATTR is of the directory, whose attributes its last change has made unknown: the kernel
// checks permissions.
TEST_P(CountedRequests, OfMakingWritingAndClosingAFile) {
  make("before");
  const Requests expected{
      {"getattr", 1}, {"lookup", 1}, {"create", 1}, {"write", 1}, {"release", 1}};
  EXPECT_EQ(requests_of([&] { make("file"); }, expected), expected);
}

TEST_P(CountedRequests, OfLookingForWhatIsNotThereOnce) {
  const Requests expected{{"lookup", 1}};
  EXPECT_EQ(requests_of([&] { look("absent"); }, expected), expected);
  EXPECT_EQ(requests_of([&] { look("absent"); }, {}), Requests{});
}

// The write has made its size unknown.
TEST_P(CountedRequests, OfLookingAtAFileJustWrittenOnce) {
  make("file");
  look("ready");
  const Requests expected{{"getattr", 1}};
  EXPECT_EQ(requests_of([&] { look("file"); }, expected), expected);
  EXPECT_EQ(requests_of([&] { look("file"); }, {}), Requests{});
}

TEST_P(CountedRequests, OfReadingAFileAndOfReadingItAgain) {
  make("file");
  look("file");
  const Requests first{{"open", 1}, {"read", 1}, {"release", 1}};
  EXPECT_EQ(requests_of([&] { read_all("file"); }, first), first);
  const Requests again{{"open", 1}, {"release", 1}};
  EXPECT_EQ(requests_of([&] { read_all("file"); }, again), again);
}

TEST_P(CountedRequests, OfAppendingToAFile) {
  const Requests expected{{"open", 1}, {"write", 1}, {"release", 1}};
  EXPECT_EQ(requests_of([&] { write_to("ready", O_APPEND); }, expected), expected);
  EXPECT_EQ(requests_of([&] { write_to("ready", O_APPEND); }, expected), expected);
}

// The GETATTR is opendir(3)'s fstat(2): the listing has changed the time of access.
TEST_P(CountedRequests, OfListingADirectoryOnce) {
  const Requests first{{"readdirplus", 2}};
  EXPECT_EQ(requests_of([&] { list(); }, first), first);
  const Requests second{{"getattr", 1}};
  EXPECT_EQ(requests_of([&] { list(); }, second), second);
  EXPECT_EQ(requests_of([&] { list(); }, {}), Requests{});
  // What was listed is known.
  EXPECT_EQ(requests_of([&] { look("ready"); }, {}), Requests{});
}

TEST_P(CountedRequests, OfRemovingAFile) {
  make("file");
  const Requests expected{{"getattr", 1}, {"unlink", 1}};
  EXPECT_EQ(requests_of([&] { remove("file"); }, expected), expected);
}

TEST_P(CountedRequests, OfRenamingAFile) {
  const Requests expected{{"lookup", 1}, {"rename", 1}};
  const auto rename = [&] {
    ASSERT_EQ(::renameat(directory_.get(), "ready", directory_.get(), "steady"), 0);
  };
  EXPECT_EQ(requests_of(rename, expected), expected);
}

TEST_P(CountedRequests, OfTakingALockAndGivingItUp) {
  work_in("locks");
  const Requests expected{{"getattr", 2}, {"lookup", 1},  {"create", 1},
                          {"write", 1},   {"release", 1}, {"unlink", 1}};
  const auto cycle = [&] {
    make("job.lock");
    remove("job.lock");
  };
  cycle();
  EXPECT_EQ(requests_of(cycle, expected), expected);
}

class ForgetsBesideRings : public CountedRequests {};
INSTANTIATE_TEST_SUITE_P(, ForgetsBesideRings, testing::Values(kFilesystemsAndTransports[0]),
                         ground_name);

// 2 ms a request, whatever the pace at which names go; four times as many, as several threads may
// take turns.
TEST_P(ForgetsBesideRings, ComeTogether) {
  if (volume_->json("status")["transport"] != "io_uring") {
    GTEST_SKIP() << "requests come by /dev/fuse alone here";
  }
  constexpr int kFiles = 2000;
  for (int i = 0; i < kFiles; ++i) make(std::to_string(i).c_str());
  const auto forgets = [&] { return all_counted()["forget"]; };
  const std::int64_t before = forgets();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kFiles; ++i) remove(std::to_string(i).c_str());
  const std::int64_t sent = forgets() - before;
  const auto took = std::chrono::steady_clock::now() - start;
  EXPECT_GT(sent, 0);
  EXPECT_LT(sent, 4 * (1 + took / 2ms)) << took / 1ms << " ms";
}

}  // namespace
}  // namespace ebbfs::test
