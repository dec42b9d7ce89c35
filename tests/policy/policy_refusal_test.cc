// SPDX-License-Identifier: Apache-2.0
//
// Every way in which a policy file can be wrong, and what is said of it.
#include <gtest/gtest.h>

#include <ostream>

#include "policy/limits.h"

namespace ebbfs {
namespace {

struct Refusal {
  std::string_view name;
  std::string_view text;
  std::string_view want;  // the whole message, without the file's name
};

void PrintTo(const Refusal& refusal, std::ostream* out) { *out << refusal.name; }

class RefusedPolicy : public testing::TestWithParam<Refusal> {};

TEST_P(RefusedPolicy, IsToldByPlaceAndReason) {
  const auto policy = parse_policy(GetParam().text, "p.toml");
  ASSERT_FALSE(policy.has_value());
  EXPECT_EQ(policy.error().message(), "p.toml:" + std::string(GetParam().want));
}

constexpr Refusal kVolumeRefusals[] = {
    {"unknown_table", "[volumes]\nhigh = \"85%\"",
     "1:2: volumes: expected a key that exists here, got an unknown one; did you mean volume?"},
    {"unknown_key_like_none", "\n  frobnicate = 1",
     "2:3: frobnicate: expected a key that exists here, got an unknown one"},
    {"unknown_mode", "mode = \"Enforce\"",
     "1:8: mode: expected \"enforce\" or \"observe\", got \"Enforce\""},
    {"mode_of_wrong_type", "mode = true",
     "1:8: mode: expected \"enforce\" or \"observe\", got true"},
    {"volume_not_a_table", "volume = 3", "1:10: volume: expected a table, got the number 3"},
    {"unknown_volume_key", "[volume]\nreserv = \"1%\"",
     "2:1: reserv: expected a key that exists here, got an unknown one; did you mean reserve?"},
    {"percent_without_sign", "[volume]\nhigh = \"85\"",
     "2:8: high: expected a percent from 0% to 100%, or a size with a unit such as 10GiB, got "
     "\"85\""},
    {"percent_as_number", "[volume]\nhigh = 85",
     "2:8: high: expected a percent from 0% to 100%, or a size with a unit such as 10GiB, got the "
     "number 85"},
    {"percent_too_large", "[volume]\nhigh = \"100.1%\"",
     "2:8: high: expected a percent from 0% to 100%, or a size with a unit such as 10GiB, got "
     "\"100.1%\""},
    {"percent_negative", "[volume]\nreserve = \"-1%\"",
     "2:11: reserve: expected a percent from 0% to 100%, or a size with a unit such as 10GiB, got "
     "\"-1%\""},
    {"percent_malformed", "[volume]\nbrake_percent = \"5.%\"",
     "2:17: brake_percent: expected a percent from 0% to 100%, got \"5.%\""},
    {"percent_as_size", "[volume]\nbrake_percent = \"5GiB\"",
     "2:17: brake_percent: expected a percent from 0% to 100%, got \"5GiB\""},
    {"low_above_high", "[volume]\nhigh = \"50%\"\nlow = \"60%\"",
     "3:7: low: expected less than high, got \"60%\""},
    {"low_equal_to_high", "[volume]\nhigh = \"60%\"\nlow = \"60%\"",
     "3:7: low: expected less than high, got \"60%\""},
    {"low_above_high_as_sizes", "[volume]\nlow = \"2GiB\"\nhigh = \"1GiB\"",
     "2:7: low: expected less than high, got \"2GiB\""},
    {"high_below_the_default_low", "[volume]\nhigh = \"75%\"",
     "2:8: high: expected more than low, which is 75% by default, got \"75%\""},
    {"marks_of_two_kinds", "[volume]\nhigh = \"10GiB\"",
     "2:8: high: expected high and low both in percent or both as sizes, got \"10GiB\""},
    {"adopt_grace_without_end", "[volume]\nadopt_grace = \"none\"",
     "2:15: adopt_grace: expected a duration such as 24h, got \"none\""},
    {"retention_negative", "[volume]\ntrash_retention = \"-1h\"",
     "2:19: trash_retention: expected a duration such as 24h, or none, got \"-1h\""},
    {"brake_units_negative", "[volume]\nbrake_units = -1",
     "2:15: brake_units: expected a number, zero or more, got the number -1"},
    {"brake_units_with_fraction", "[volume]\nbrake_units = 1.5",
     "2:15: brake_units: expected a number, zero or more, got a number with a fraction"},
};

constexpr Refusal kClassRefusals[] = {
    {"class_as_one_table", "[class]\nname = \"a\"",
     "1:1: class: expected [[class]] tables, got a table"},
    {"class_in_an_array_of_words", "class = [\"a\"]",
     "1:10: class: expected [[class]] tables, got \"a\""},
    {"class_without_name", "\n[[class]]\nkind = \"tree\"\nmatch = [\"a/*\"]",
     "2:1: name: expected a name, got nothing"},
    {"class_without_kind", "[[class]]\nname = \"a\"\nmatch = [\"a/*\"]",
     "1:1: kind: expected \"tree\" or \"lock\", got nothing"},
    {"class_without_match", "[[class]]\nname = \"a\"\nkind = \"tree\"",
     "1:1: match: expected an array of globs such as [\"worktrees/*\"], got nothing"},
    {"match_empty", "[[class]]\nname = \"a\"\nkind = \"tree\"\nmatch = []",
     "4:9: match: expected an array of globs such as [\"worktrees/*\"], got an empty array"},
    {"match_a_string", "[[class]]\nname = \"a\"\nkind = \"tree\"\nmatch = \"a/*\"",
     "4:9: match: expected an array of globs such as [\"worktrees/*\"], got \"a/*\""},
    {"match_of_numbers", "[[class]]\nname = \"a\"\nkind = \"tree\"\nmatch = [\"a/*\", 5]",
     "4:17: match: expected an array of globs such as [\"worktrees/*\"], got the number 5"},
    {"name_empty", "[[class]]\nname = \"\"\nkind = \"tree\"\nmatch = [\"a/*\"]",
     "2:8: name: expected a name, got \"\""},
    {"name_with_slash", "[[class]]\nname = \"a/b\"\nkind = \"tree\"\nmatch = [\"a/*\"]",
     "2:8: name: expected letters, digits, '_', '.' and '-', got \"a/b\""},
    {"kind_unknown", "[[class]]\nname = \"a\"\nkind = \"dir\"\nmatch = [\"a/*\"]",
     "3:8: kind: expected \"tree\" or \"lock\", got \"dir\""},
    {"ttl_not_a_duration",
     "[[class]]\nname = \"a\"\nkind = \"tree\"\nmatch = [\"a/*\"]\nttl = \"soon\"",
     "5:7: ttl: expected a duration such as 24h, or none, got \"soon\""},
    {"ttl_a_number", "[[class]]\nname = \"a\"\nkind = \"tree\"\nmatch = [\"a/*\"]\nttl = 24",
     "5:7: ttl: expected a duration such as 24h, or none, got the number 24"},
    {"ttl_zero", "[[class]]\nname = \"a\"\nkind = \"tree\"\nmatch = [\"a/*\"]\nttl = \"0s\"",
     "5:7: ttl: expected a duration above zero, got \"0s\""},
    {"max_age_zero",
     "[[class]]\nname = \"a\"\nkind = \"tree\"\nmatch = [\"a/*\"]\nmax_age = \"0h\"",
     "5:11: max_age: expected a duration above zero, got \"0h\""},
    {"orphan_grace_without_end",
     "[[class]]\nname = \"a\"\nkind = \"lock\"\nmatch = [\"a/*\"]\norphan_grace = \"none\"",
     "5:16: orphan_grace: expected a duration such as 24h, got \"none\""},
    {"owner_unknown",
     "[[class]]\nname = \"a\"\nkind = \"lock\"\nmatch = [\"a/*\"]\nowner = \"container\"",
     "5:9: owner: expected \"process\" or \"cgroup\", got \"container\""},
    {"owner_in_a_tree",
     "[[class]]\nname = \"a\"\nkind = \"tree\"\nmatch = [\"a/*\"]\nowner = \"process\"",
     "5:9: owner: expected it in a class of kind \"lock\" only, got it here"},
    {"keep_in_a_lock", "[[class]]\nname = \"a\"\nkind = \"lock\"\nmatch = [\"a/*\"]\nkeep = \"1h\"",
     "5:8: keep: expected it in a class of kind \"tree\" only, got it here"},
    {"key_misspelt", "[[class]]\nname = \"a\"\nkind = \"tree\"\nmatch = [\"a/*\"]\nmaxage = \"1h\"",
     "5:1: maxage: expected a key that exists here, got an unknown one; did you mean max_age?"},
    {"glob_bad", "[[class]]\nname = \"a\"\nkind = \"tree\"\nmatch = [\"a/*\", \"/b\"]",
     "4:17: match: expected a glob, got \"/b\": it starts with a slash (globs are relative to the "
     "volume root)"},
    {"glob_of_git_in_a_tree",
     "[[class]]\nname = \"a\"\nkind = \"tree\"\nmatch = [\"{git}/**/*.lock\"]",
     "4:10: match: expected a glob, got \"{git}/**/*.lock\": {git} is for classes of kind \"lock\" "
     "only"},
    {"name_twice",
     "[[class]]\nname = \"a\"\nkind = \"tree\"\nmatch = [\"a/*\"]\n"
     "[[class]]\nname = \"a\"\nkind = \"lock\"\nmatch = [\"b/*\"]",
     "6:8: name: expected one that no other class has, got \"a\" again"},
    {"overlap",
     "[[class]]\nname = \"a\"\nkind = \"tree\"\nmatch = [\"x/*\", \"b/**\"]\n"
     "[[class]]\nname = \"b\"\nkind = \"tree\"\nmatch = [\"y/*\", \"b/*/c\"]",
     "8:17: match: expected globs that match nothing that another class of the same kind does, "
     "got \"b/*/c\", which matches \"b/x/c\" as \"b/**\" of class \"a\" does"},
    {"git_overlap",
     "[[class]]\nname = \"a\"\nkind = \"lock\"\nmatch = [\"{git}/**/*.lock\"]\n"
     "[[class]]\nname = \"b\"\nkind = \"lock\"\nmatch = [\"{git}/**/index.lock\"]",
     "8:10: match: expected globs that match nothing that another class of the same kind does, "
     "got \"{git}/**/index.lock\", which matches \".git/index.lock\" as \"{git}/**/*.lock\" of "
     "class \"a\" does"},
    {"too_complex",
     "[[class]]\nname = \"a\"\nkind = \"tree\"\nmatch = [\"**/a/*/*/*/*/*/*/*/*/*/*/*/*/*/*/x\"]",
     "4:10: match: expected fewer, got too many: the globs of all classes together are too "
     "complex; "
     "use fewer ** and wildcards"},
};

constexpr Refusal kHookRefusals[] = {
    {"hook_empty", "[[hook]]",
     "1:1: on: expected \"reclaimed\" or \"expired\" or \"idle\", got nothing"},
    {"hook_unknown_event", "[[hook]]\non = \"evicted\"\ncommand = [\"/x\"]\nuser = \"ci\"",
     "2:6: on: expected \"reclaimed\" or \"expired\" or \"idle\", got \"evicted\""},
    {"hook_command_as_text",
     "[[hook]]\non = \"expired\"\ncommand = \"/bin/x {path}\"\nuser = \"ci\"",
     "3:11: command: expected an array of words such as [\"/usr/bin/logger\", \"{path}\"], got "
     "\"/bin/x {path}\""},
    {"hook_command_relative",
     "[[hook]]\non = \"expired\"\ncommand = [\"git\", \"gc\"]\nuser = \"ci\"",
     "3:12: command: expected an absolute path first, got \"git\""},
    {"hook_program_from_a_part",
     "[[hook]]\non = \"expired\"\ncommand = [\"/opt/{job}\"]\nuser = \"ci\"",
     "3:12: command: expected an absolute path first, got \"/opt/{job}\""},
    {"hook_unknown_part",
     "[[hook]]\non = \"expired\"\ncommand = [\"/x\", \"-p\", \"{pat}\"]\nuser = \"ci\"",
     "3:24: command: expected {path}, {repo}, {job} or {class} between braces, got \"{pat}\"; did "
     "you mean {path}?"},
    {"hook_without_user", "[[hook]]\non = \"expired\"\ncommand = [\"/x\"]",
     "1:1: user: expected the name of a user, or a uid, got nothing"},
    {"hook_idle_without_after", "[[hook]]\non = \"idle\"\ncommand = [\"/x\"]\nuser = \"ci\"",
     "1:1: after: expected a duration such as 30m, got nothing"},
    {"hook_after_elsewhere",
     "[[hook]]\non = \"expired\"\nafter = \"5m\"\ncommand = [\"/x\"]\nuser = \"ci\"",
     "3:9: after: expected it with on = \"idle\" only, got it here"},
    {"hook_without_end",
     "[[hook]]\non = \"expired\"\ntimeout = \"25h\"\ncommand = [\"/x\"]\nuser = \"ci\"",
     "3:11: timeout: expected 24h at most, got \"25h\""},
    {"hook_too_many_at_once",
     "[[hook]]\non = \"expired\"\nparallel = 17\ncommand = [\"/x\"]\nuser = \"ci\"",
     "3:12: parallel: expected a number from 1 to 16, got the number 17"},
    {"hook_none_at_once",
     "[[hook]]\non = \"expired\"\nparallel = 0\ncommand = [\"/x\"]\nuser = \"ci\"",
     "3:12: parallel: expected a number from 1 to 16, got the number 0"},
    {"hook_of_unknown_class",
     "[[hook]]\non = \"expired\"\nclass = \"worktre\"\ncommand = [\"/x\"]\nuser = \"ci\"",
     "3:9: class: expected the name of a class, got \"worktre\"; did you mean worktree?"},
    {"hook_of_class_that_never_is",
     "[[hook]]\non = \"expired\"\nclass = \"lock\"\ncommand = [\"/x\"]\nuser = \"ci\"",
     "3:9: class: expected a class of kind \"tree\" with on = \"expired\", got \"lock\""},
    {"hook_unknown_key",
     "[[hook]]\non = \"expired\"\nshell = true\ncommand = [\"/x\"]\nuser = \"ci\"",
     "3:1: shell: expected a key that exists here, got an unknown one"},
};
constexpr Refusal kQuotaRefusals[] = {
    {"quota_as_one_table", "[quota]\nscope = \"volume\"",
     "1:1: quota: expected [[quota]] tables, got a table"},
    {"scope_missing", "[[quota]]\nbytes = 1",
     "1:1: scope: expected a scope such as user:*, got nothing"},
    {"scope_unknown", "[[quota]]\nscope = \"usr:*\"\nbytes = 1",
     "2:9: scope: expected volume, class:NAME, unit:GLOB, user:NAME, group:NAME or job:NAME, got "
     "\"usr:*\"; did you mean user?"},
    {"scope_without_name", "[[quota]]\nscope = \"user:\"\nbytes = 1",
     "2:9: scope: expected volume, class:NAME, unit:GLOB, user:NAME, group:NAME or job:NAME, got "
     "\"user:\"; did you mean user?"},
    {"scope_of_an_unknown_class", "[[quota]]\nscope = \"class:worktrees\"\nbytes = 1",
     "2:9: scope: expected the name of a class after class:, got \"class:worktrees\"; did you mean "
     "worktree?"},
    {"scope_with_a_wildcard", "[[quota]]\nscope = \"user:ci-*\"\nbytes = 1",
     "2:9: scope: expected one name, or * alone for the default of each, got \"user:ci-*\""},
    {"scope_with_a_bad_glob", "[[quota]]\nscope = \"unit:a//b\"\nbytes = 1",
     "2:9: scope: expected a glob after unit:, got \"unit:a//b\": it has an empty component"},
    {"scope_twice",
     "[[quota]]\nscope = \"volume\"\nbytes = 1\n[[quota]]\nscope = \"volume\"\nbytes = 2",
     "5:9: scope: expected one that no other quota has, got \"volume\" again"},
    {"quota_without_limit", "[[quota]]\nscope = \"volume\"",
     "1:1: bytes: expected a limit on bytes or inodes, or none, got nothing"},
    {"size_malformed", "[[quota]]\nscope = \"volume\"\nbytes = \"20GB\"",
     "3:9: bytes: expected a size such as 10GiB, or none, got \"20GB\""},
    {"size_negative", "[[quota]]\nscope = \"volume\"\nbytes = -1",
     "3:9: bytes: expected a size such as 10GiB, or none, got the number -1"},
    {"inodes_negative", "[[quota]]\nscope = \"volume\"\ninodes = -1",
     "3:10: inodes: expected a number, zero or more, or none, got the number -1"},
    {"inodes_as_size", "[[quota]]\nscope = \"volume\"\ninodes = \"1M\"",
     "3:10: inodes: expected a number, zero or more, or none, got \"1M\""},
    {"soft_bytes_above_hard", "[[quota]]\nscope = \"volume\"\nbytes = \"1K\"\nsoft_bytes = \"2K\"",
     "4:14: soft_bytes: expected at most the hard limit, got \"2K\""},
    {"soft_inodes_above_hard", "[[quota]]\nscope = \"volume\"\ninodes = 5\nsoft_inodes = 6",
     "4:15: soft_inodes: expected at most the hard limit, got the number 6"},
    {"quota_key_misspelt", "[[quota]]\nscope = \"volume\"\nbyte = 1",
     "1:1: bytes: expected a limit on bytes or inodes, or none, got nothing"},
    {"grace_malformed", "[[quota]]\nscope = \"volume\"\nbytes = 1\ngrace = \"1 week\"",
     "4:9: grace: expected a duration such as 24h, or none, got \"1 week\""},
};

std::string name_of(const testing::TestParamInfo<Refusal>& test) {
  return std::string(test.param.name);
}
INSTANTIATE_TEST_SUITE_P(Volume, RefusedPolicy, testing::ValuesIn(kVolumeRefusals), name_of);
INSTANTIATE_TEST_SUITE_P(Class, RefusedPolicy, testing::ValuesIn(kClassRefusals), name_of);
INSTANTIATE_TEST_SUITE_P(Quota, RefusedPolicy, testing::ValuesIn(kQuotaRefusals), name_of);
INSTANTIATE_TEST_SUITE_P(Hook, RefusedPolicy, testing::ValuesIn(kHookRefusals), name_of);

struct Malformed {
  std::string_view name;
  std::string_view text;
  std::uint32_t line;
  std::uint32_t column;  // 0: somewhere on the line, as the library sees it
};
void PrintTo(const Malformed& malformed, std::ostream* out) { *out << malformed.name; }

class MalformedToml : public testing::TestWithParam<Malformed> {};

TEST_P(MalformedToml, IsToldByItsPlace) {
  const auto policy = parse_policy(GetParam().text, "p.toml");
  ASSERT_FALSE(policy.has_value());
  EXPECT_EQ(policy.error().line, GetParam().line) << policy.error().message();
  EXPECT_NE(policy.error().column, 0U);
  if (GetParam().column != 0) {
    EXPECT_EQ(policy.error().column, GetParam().column) << policy.error().message();
  }
  EXPECT_TRUE(policy.error().what.starts_with("syntax: expected TOML, got"));
}

constexpr Malformed kMalformed[] = {
    {"table_not_closed", "mode = 'observe'\n[volume\nhigh = 1", 2, 8},
    {"string_not_closed", "mode = 'observe\n", 1, 0},
    {"key_twice", "mode = 'observe'\nmode = 'observe'", 2, 0},
    {"no_key_in_header", "\n[/volume]", 2, 2},
    {"dot_in_header", "[[.class]]", 1, 3},
    {"equals_in_header", "[=]", 1, 2},
    {"brace_for_value", "mode = }", 1, 8},
    {"comma_for_value", "mode = ,", 1, 8},
    {"letter_not_ascii_in_key", "\n  gr\u00f6\u00dfe = 1", 2, 5},
    {"letter_not_ascii_in_value", "mode = \u00e4", 1, 8},
    {"typographic_quotes", "mode = \u201cenforce\u201d", 1, 8},
    {"not_ascii_after_a_string", R"(a = "ä\"ä" ä)", 1, 12},
    {"not_ascii_after_a_comment", "# ä \"\nä", 2, 1},
    {"not_ascii_after_a_long_string", "a = \"\"\"ä\n\"\"\"\"\" ä", 2, 7},
    {"not_ascii_after_a_string_not_closed", "a = \"ä\nä", 1, 7},
    {"not_ascii_for_blank", "a\u00a0= 1", 1, 2},
    {"bytes_not_utf8", "mode = '\xff'", 1, 0},
};
INSTANTIATE_TEST_SUITE_P(Syntax, MalformedToml, testing::ValuesIn(kMalformed),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(PolicyRefusal, IsNotDueToLettersInStringsAndComments) {
  constexpr std::string_view kText =
      "\xEF\xBB\xBF# ä '\n"
      R"([[class]]
         name = 'a'
         kind = "tree"
         match = ["ä\"/*", '''ä'/''*''', '''''ö'''', """\"ä""""",
                  """\
                  é"""]  # “)";
  const auto policy = parse_policy(kText, "p.toml");
  EXPECT_TRUE(policy.has_value()) << policy.error().message();
}

TEST(PolicyRefusal, TellsTheFirstOfSeveralErrors) {
  const auto policy = parse_policy("[volume]\nlow = 5\nhigh = 5\n[[class]]\n", "p.toml");
  ASSERT_FALSE(policy.has_value());
  EXPECT_EQ(policy.error().line, 2U);
}

TEST(PolicyRefusal, KeepsControlCharactersOutOfMessages) {
  const auto policy = parse_policy("mode = \"a\\u001b[31m\\nb\"", "p.toml");
  ASSERT_FALSE(policy.has_value());
  EXPECT_EQ(policy.error().what, "mode: expected \"enforce\" or \"observe\", got \"a?[31m?b\"");
}

}  // namespace
}  // namespace ebbfs
