// SPDX-License-Identifier: Apache-2.0
#include "fs/describe.h"

#include <gtest/gtest.h>

namespace ebbfs {
namespace {

using Life = OwnerState::Life;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

TEST(OwnerText, LeavesOutWhatIsNotKnown) {
  Owner owner;
  owner.uid = 1000;
  EXPECT_EQ(owner_text(owner), "uid=1000");
  owner.process = {.id = {.tgid = 42, .start_time = 7}, .ns_pid = 0, .comm = "git"};
  owner.job = "ci-17";
  EXPECT_EQ(owner_text(owner), "uid=1000 pid=42 comm=git job=ci-17");
  EXPECT_EQ(process_text(owner.process), "pid 42 (git)");
  EXPECT_EQ(process_text({}), "an unknown process");
}

TEST(UnitRuleText, NamesTheLimitThatDecided) {
  ClassRule rule;
  rule.ttl = hours(24);
  rule.max_age = hours(24 * 7);
  EXPECT_EQ(unit_rule_text(rule, Reason::idle), "idle " + format_duration(rule.ttl));
  EXPECT_EQ(unit_rule_text(rule, Reason::too_old), "older than " + format_duration(rule.max_age));
}

TEST(LockRuleText, SaysHowTheOwnerEnded) {
  ClassRule rule;
  rule.orphan_grace = seconds(5);
  rule.ttl = minutes(5);
  const OwnerVerdict orphan{OwnerVerdict::Step::orphan, OwnerCertainty::certain};
  EXPECT_EQ(lock_rule_text(rule, orphan, {Life::killed, {}}), "owner killed, grace 5s");
  EXPECT_EQ(lock_rule_text(rule, orphan, {Life::exited, {}}), "owner exited, grace 5s");
  EXPECT_EQ(lock_rule_text(rule, orphan, {Life::ended, {}}), "owner gone, grace 5s");
  const OwnerVerdict uncertain{OwnerVerdict::Step::by_touch, OwnerCertainty::uncertain};
  EXPECT_EQ(lock_rule_text(rule, uncertain, {Life::alive, {}}), "owner uncertain, untouched 5m");
}

}  // namespace
}  // namespace ebbfs
