// SPDX-License-Identifier: Apache-2.0
#include "fs/tracer.h"

#include <gtest/gtest.h>

namespace ebbfs {
namespace {

using namespace std::chrono_literals;

class TracerTest : public testing::Test {
 protected:
  static constexpr uid_t kRoot = 0;

  void add(RequestKind kind, uid_t uid = 0, Duration took = 1ms, const std::string& path = "a/b") {
    tracer_.add({.kind = kind, .took = took, .uid = uid}, now_, [&] {
      ++paths_asked_;
      return path;
    });
  }
  [[nodiscard]] std::vector<std::string> fetched(std::uint64_t session) {
    std::vector<std::string> all;
    const auto fetched = tracer_.fetch(kRoot, session, now_);
    if (!fetched) return {"no session"};
    for (const Tracer::Request& request : fetched->requests) {
      all.push_back(std::string(to_string(request.kind)) + " " + request.path);
    }
    return all;
  }

  Tracer tracer_;
  MonoTime now_{1h};
  int paths_asked_ = 0;
};

using All = std::vector<std::string>;

TEST_F(TracerTest, IsOffUntilSomebodyBegins) {
  EXPECT_FALSE(tracer_.on());
  add(RequestKind::open);
  EXPECT_EQ(paths_asked_, 0);
  ASSERT_TRUE(tracer_.begin(kRoot, {}, now_));
  EXPECT_TRUE(tracer_.on());
}

TEST_F(TracerTest, GivesEachRequestOnceInOrder) {
  const auto session = tracer_.begin(kRoot, {}, now_).value();
  add(RequestKind::open);
  add(RequestKind::release);
  EXPECT_EQ(fetched(session), (All{"open a/b", "release a/b"}));
  add(RequestKind::unlink);
  EXPECT_EQ(fetched(session), All{"unlink a/b"});
}

TEST_F(TracerTest, GivesWhatIsWantedByUserKindTimeAndPlace) {
  const auto of_alice = tracer_.begin(kRoot, {.user = 21001}, now_).value();
  const auto opens = tracer_.begin(kRoot, {.kind = RequestKind::open}, now_).value();
  const auto slow = tracer_.begin(kRoot, {.at_least = 10ms}, now_).value();
  const auto below = tracer_.begin(kRoot, {.below = "units"}, now_).value();
  add(RequestKind::open, 21001);
  add(RequestKind::write, 0, 10ms);
  add(RequestKind::mkdir, 0, 9999us, "units/a");
  add(RequestKind::rmdir, 0, 1ms, "unitsandmore");
  EXPECT_EQ(fetched(of_alice), All{"open a/b"});
  EXPECT_EQ(fetched(opens), All{"open a/b"});
  EXPECT_EQ(fetched(slow), All{"write a/b"});
  EXPECT_EQ(fetched(below), All{"mkdir units/a"});
}

TEST_F(TracerTest, LooksForThePathOnlyOfWhatIsWanted) {
  const auto session = tracer_.begin(kRoot, {.at_least = 1s}, now_).value();
  add(RequestKind::open);
  EXPECT_EQ(paths_asked_, 0);
  add(RequestKind::open, 0, 2s);
  EXPECT_EQ(paths_asked_, 1);
  EXPECT_EQ(fetched(session).size(), 1U);
}

TEST_F(TracerTest, KeepsABoundedNumberAndSaysHowManyMoreThereWere) {
  const auto session = tracer_.begin(kRoot, {}, now_).value();
  for (std::size_t i = 0; i < Tracer::kKept + 5; ++i) add(RequestKind::open);
  auto fetched = tracer_.fetch(kRoot, session, now_);
  ASSERT_TRUE(fetched);
  EXPECT_EQ(fetched->requests.size(), Tracer::kKept);
  EXPECT_EQ(fetched->lost, 5U);
  fetched = tracer_.fetch(kRoot, session, now_);
  ASSERT_TRUE(fetched);
  EXPECT_EQ(fetched->lost, 0U);
}

TEST_F(TracerTest, EndsASessionThatIsNotFetchedFrom) {
  const auto forgotten = tracer_.begin(kRoot, {}, now_).value();
  now_ += Tracer::kPatience;
  add(RequestKind::open);
  EXPECT_TRUE(tracer_.on());
  now_ += 1ms;
  add(RequestKind::open);
  EXPECT_FALSE(tracer_.on());
  EXPECT_EQ(fetched(forgotten), All{"no session"});
}

TEST_F(TracerTest, ShowsASessionToItsOwnerOnly) {
  const auto session = tracer_.begin(kRoot, {}, now_).value();
  EXPECT_FALSE(tracer_.fetch(21001, session, now_));
  EXPECT_TRUE(tracer_.fetch(kRoot, session, now_));
}

TEST_F(TracerTest, RefusesMoreSessionsThanItKeeps) {
  for (std::size_t i = 0; i < Tracer::kSessions; ++i) EXPECT_TRUE(tracer_.begin(kRoot, {}, now_));
  EXPECT_FALSE(tracer_.begin(kRoot, {}, now_));
  now_ += Tracer::kPatience + 1ms;
  EXPECT_TRUE(tracer_.begin(kRoot, {}, now_));
}

}  // namespace
}  // namespace ebbfs
