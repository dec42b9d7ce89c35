// SPDX-License-Identifier: Apache-2.0
//
// What a lock file says of its owner: pid_in_first_line.
#include <gtest/gtest.h>

#include "policy/reclaim.h"
#include "tests/policy/seeded.h"

namespace ebbfs {
namespace {

TEST(PidInFirstLine, ReadsTheUsualForms) {
  struct Form {
    std::string_view content;
    pid_t want;
  };
  constexpr Form kForms[] = {
      {"4242", 4242},
      {"4242\n", 4242},
      {"4242\r\nother", 4242},
      {"4242 host.example\n", 4242},
      {"4242\thost", 4242},
      {"pid 4242\n", 4242},
      {"pid: 4242", 4242},
      {"pid:4242", 4242},
      {"      4242\n", 4242},  // UUCP
      {"0042", 42},
      {"2147483647", 2147483647},
      {std::string_view("4242\0junk", 9), 4242},
      {"4242\nnot 17", 4242},
  };
  for (const Form& form : kForms)
    EXPECT_EQ(pid_in_first_line(form.content), form.want) << form.content;
}

TEST(PidInFirstLine, TakesNothingElseForAPid) {
  constexpr std::string_view kContents[] = {
      "",
      "\n4242",
      " ",
      "0",
      "-4242",
      "+4242",
      "4242x",
      "4242:host",
      "x 4242",
      "pid",
      "pid ",
      "pid: ",
      "pid4242",
      "pidfile 4242",
      "PID 4242",
      "pid : 4242",
      "pid pid 4242",
      "42.5",
      "0x1092",
      "2147483648",
      "99999999999999999999",
      "ref: refs/heads/main\n",
      "\177ELF\002\001\001",
  };
  for (const std::string_view content : kContents) {
    EXPECT_EQ(pid_in_first_line(content), std::nullopt) << content;
  }
}

TEST(PidInFirstLine, SurvivesAnyBytes) {
  Seeded random;
  SCOPED_TRACE(random.message());
  constexpr std::string_view kAlphabet("0129 \t\n\r\0pid:-\xff", 15);
  for (int i = 0; i < 50'000; ++i) {
    const std::string content = random.text(kAlphabet, 0, 12);
    ASSERT_GT(pid_in_first_line(content).value_or(1), 0);
  }
}

}  // namespace
}  // namespace ebbfs
