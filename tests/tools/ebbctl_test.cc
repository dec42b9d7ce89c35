// SPDX-License-Identifier: Apache-2.0
//
// The built program, on directories that no ebbfs is mounted over.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "tests/support/temp_tree.h"

namespace ebbfs {
namespace {

namespace filesystem = std::filesystem;
using nlohmann::json;

// Where ctest says, else beside this program.
std::string program() {
  const char* directory = std::getenv("EBBFS_BIN_DIR");
  const filesystem::path bin =
      directory != nullptr ? directory : filesystem::read_symlink("/proc/self/exe").parent_path();
  return bin / "ebbctl";
}

struct Outcome {
  int exit_code = -1;
  std::string out;
  std::string err;
};

class EbbctlTest : public testing::Test {
 protected:
  // `arguments` as for a shell; "@" is the tree's path. Output goes to files in the tree.
  Outcome run(const std::string& arguments, const std::string& output = "@/out") {
    std::string line = "cd @ && '" + program() + "' " + arguments + " >" + output + " 2>@/err";
    for (std::size_t at = 0; (at = line.find('@', at)) != std::string::npos;) {
      line.replace(at, 1, tree_.path().string());
    }
    tree_.write_file("out", "");
    const int status = std::system(line.c_str());
    EXPECT_TRUE(WIFEXITED(status)) << line;
    return {WEXITSTATUS(status), tree_.read_file("out"), tree_.read_file("err")};
  }

  TempTree tree_;
};

TEST_F(EbbctlTest, ExitCodesTellUsageFromNoMountFromRefusal) {
  tree_.write_file("broken.toml", "mode = \"maybe\"\n");
  tree_.write_file("good.toml", "mode = \"observe\"\n");
  struct Case {
    const char* arguments;
    int want;
  };
  constexpr Case kCases[] = {
      {.arguments = "--help", .want = 0},
      {.arguments = "--version", .want = 0},
      {.arguments = "-V", .want = 0},
      {.arguments = "help", .want = 0},
      {.arguments = "help quota set", .want = 0},
      {.arguments = "help nonsense", .want = 2},
      {.arguments = "units --help", .want = 0},
      {.arguments = "policy check good.toml", .want = 0},
      {.arguments = "policy check broken.toml", .want = 1},
      {.arguments = "policy check missing.toml", .want = 1},
      {.arguments = "", .want = 2},
      {.arguments = "nonsense", .want = 2},
      {.arguments = "status --nonsense", .want = 2},
      {.arguments = "show", .want = 2},
      {.arguments = "show ''", .want = 2},
      {.arguments = "pin @ extra", .want = 2},
      {.arguments = "units --sort colour", .want = 2},
      {.arguments = "units --limit -1", .want = 2},
      {.arguments = "locks --orphans --state held", .want = 2},
      {.arguments = "events --since tomorrow", .want = 2},
      {.arguments = "events --since none", .want = 2},
      {.arguments = "explain --since for ever", .want = 2},
      {.arguments = "policy", .want = 2},
      {.arguments = "status @", .want = 3},
      {.arguments = "status --mount @", .want = 3},
      {.arguments = "--mount @ status", .want = 3},
      {.arguments = "units @", .want = 3},
      {.arguments = "locks @ --orphans", .want = 3},
      {.arguments = "show @", .want = 3},
      {.arguments = "events @ --since 1h", .want = 3},
      {.arguments = "events @ --follow", .want = 3},
      {.arguments = "explain @ --since 1d", .want = 3},
      {.arguments = "pin @", .want = 3},
      {.arguments = "unpin @", .want = 3},
      {.arguments = "expire @ --dry-run", .want = 3},
      {.arguments = "policy show @", .want = 3},
      {.arguments = "policy reload @", .want = 3},
  };
  for (const Case& row : kCases) {
    const Outcome outcome = run(row.arguments);
    EXPECT_EQ(outcome.exit_code, row.want) << row.arguments << "\n" << outcome.err;
    EXPECT_EQ(outcome.out.empty(), row.want != 0) << row.arguments << "\n" << outcome.out;
    EXPECT_EQ(outcome.err.empty(), row.want == 0) << row.arguments << "\n" << outcome.err;
  }
}

TEST_F(EbbctlTest, ErrorsAreJsonOnRequestAsAnswersAre) {
  for (const char* arguments : {"status --mount @ --json", "--json show @", "units --sort x --json",
                                "show --json", "policy check missing --json"}) {
    const Outcome plain = run(std::string(arguments).replace(std::string(arguments).find("--json"),
                                                             std::string("--json").size(), ""));
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.exit_code, plain.exit_code) << arguments;
    EXPECT_EQ(outcome.err, "") << arguments;
    const json object = json::parse(outcome.out, nullptr, false);
    ASSERT_TRUE(object.is_object()) << arguments << "\n" << outcome.out;
    EXPECT_EQ("ebbctl: " + object.value("error", "") + "\n", plain.err) << arguments;
    EXPECT_EQ(outcome.out, object.dump(2) + "\n") << arguments;
  }
  for (const char* stream : {"events --follow --mount @ --json", "trace --mount @ --json"}) {
    const std::string out = run(stream).out;
    EXPECT_EQ(std::ranges::count(out, '\n'), 1) << out;
  }
}

TEST_F(EbbctlTest, SaysWhatIsWrongWithACommandLine) {
  struct Case {
    const char* arguments;
    const char* want;
  };
  constexpr Case kCases[] = {
      {.arguments = "", .want = "a command is required (see: ebbctl --help)"},
      {.arguments = "statuss",
       .want = "no command \"statuss\"; did you mean status? (see: ebbctl --help)"},
      {.arguments = "nonsense", .want = "no command \"nonsense\" (see: ebbctl --help)"},
      {.arguments = "quota", .want = "a command is required (see: ebbctl quota --help)"},
      {.arguments = "quota lst",
       .want = "quota: no command \"lst\"; did you mean list? (see: ebbctl quota --help)"},
      {.arguments = "help trash emty",
       .want = "trash: no command \"emty\"; did you mean empty? (see: ebbctl trash --help)"},
      {.arguments = "--jsn status",
       .want = "no option \"--jsn\"; did you mean --json? (see: ebbctl --help)"},
      {.arguments = "units --limt=3",
       .want = "no option \"--limt\"; did you mean --limit? (see: ebbctl units --help)"},
      {.arguments = "pin a b", .want = "there is no use for \"b\" (see: ebbctl pin --help)"},
      {.arguments = "show", .want = "PATH is required (see: ebbctl show --help)"},
  };
  for (const Case& row : kCases) {
    EXPECT_EQ(run(row.arguments).err, std::string("ebbctl: ") + row.want + "\n") << row.arguments;
  }
}

TEST_F(EbbctlTest, SaysWhatAnOptionExpects) {
  struct Case {
    const char* arguments;
    const char* want;
  };
  constexpr Case kCases[] = {
      {.arguments = "units --limit -1",
       .want = "--limit: expected a number from 0 upwards, got \"-1\""},
      {.arguments = "events --limit 1.5",
       .want = "--limit: expected a number from 0 upwards, got \"1.5\""},
      {.arguments = "restore --id first",
       .want = "--id: expected a number from 0 upwards, got \"first\""},
      {.arguments = "units --limit", .want = "--limit: expected a value"},
      {.arguments = "quota set user:ci --bytes", .want = "--bytes: expected a value"},
      {.arguments = "units --limit 1 --limit 2", .want = "--limit: given more than once"},
      {.arguments = "status --json=please", .want = "--json: there is no use for \"please\""},
      {.arguments = "units --state idl",
       .want = "--state: expected one of idle, busy, pinned, due, permanent, got \"idl\"; did you "
               "mean idle?"},
      {.arguments = "locks --orphans --state held", .want = "--state does not go with --orphans"},
      {.arguments = "quota set user:ci --bytes ten",
       .want = "--bytes: expected a size such as 512M, 10GiB or none, got \"ten\""},
      {.arguments = "trash empty --older never",
       .want = "--older: expected a duration such as 30s, 5m, 24h or 7d, got \"never\""},
  };
  for (const Case& row : kCases) {
    const std::string err = run(row.arguments).err;
    EXPECT_TRUE(err.starts_with(std::string("ebbctl: ") + row.want + " (see: ebbctl "))
        << row.arguments << "\n"
        << err;
  }
}

TEST_F(EbbctlTest, HelpIsThatOfTheCommand) {
  EXPECT_EQ(run("help").out, run("--help").out);
  EXPECT_EQ(run("help quota").out, run("quota --help").out);
  EXPECT_EQ(run("help quota set").out, run("quota set --help").out);
  EXPECT_EQ(run("-V").out, run("--version").out);
  for (const char* command : {"units", "locks", "events", "restore", "quota set"}) {
    const std::string help = run(std::string("help ") + command).out;
    EXPECT_EQ(help.find("NONNEGATIVE"), std::string::npos) << help;
    EXPECT_EQ(help.find("TEXT"), std::string::npos) << help;
  }
}

TEST_F(EbbctlTest, NamesTheCureForAVolumeThatIsNotMounted) {
  tree_.make_dir("volume/.ebbfs/index");
  tree_.make_dir("volume/worktrees/a");
  const std::string volume = filesystem::canonical(tree_.at("volume"));
  EXPECT_EQ(run("show volume/worktrees/a").err, "ebbctl: " + volume +
                                                    " is an ebbfs volume that is not mounted: "
                                                    "mount it with: ebbfs " +
                                                    volume + "\n");
}

TEST_F(EbbctlTest, EscapesWhatItRepeats) {
  const Outcome outcome = run("show \"@/$(printf 'a\\033[31mb')\"");
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_NE(outcome.err.find("a\\x1b[31mb"), std::string::npos) << outcome.err;
  EXPECT_EQ(outcome.err.find('\x1b'), std::string::npos);
}

TEST_F(EbbctlTest, ChecksAPolicyWithoutAMount) {
  tree_.write_file("policy.toml", "mode = \"maybe\"\n");
  const json broken = json::parse(run("policy check policy.toml --json").out, nullptr, false);
  ASSERT_TRUE(broken.is_object());
  EXPECT_EQ(broken.value("valid", true), false);
  EXPECT_EQ(broken.value("line", 0), 1);
  EXPECT_NE(broken.value("error", "").find("policy.toml:1:"), std::string::npos);
  tree_.write_file("policy.toml", "mode = \"observe\"\n");
  const json good = json::parse(run("policy check policy.toml --json").out, nullptr, false);
  ASSERT_TRUE(good.is_object());
  EXPECT_EQ(good.value("valid", false), true);
  EXPECT_EQ(good.at("policy").at("mode"), "observe");
}

void expect_narrow(const std::string& help) {
  for (std::size_t at = 0; at < help.size();) {
    const std::size_t end = std::min(help.find('\n', at), help.size());
    EXPECT_LE(end - at, 80U) << help.substr(at, end - at);
    at = end + 1;
  }
}

TEST_F(EbbctlTest, HelpOfEachCommandHasExamplesAndFitsATerminal) {
  for (const char* command :
       {"status",        "units",       "locks",       "show",         "explain",
        "events",        "trace",       "report",      "top",          "pin",
        "unpin",         "expire",      "trash list",  "trash empty",  "restore",
        "resume",        "check",       "quota list",  "quota show",   "quota set",
        "quota default", "quota clear", "policy show", "policy check", "policy reload"}) {
    const Outcome outcome = run(std::string(command) + " --help");
    const std::size_t examples = outcome.out.find("Examples:\n");
    EXPECT_NE(outcome.out.find(std::string("\n  ebbctl ") + command, examples), std::string::npos)
        << command;
    EXPECT_NE(outcome.out.find("--json"), std::string::npos) << command;
    EXPECT_NE(outcome.out.find("--mount"), std::string::npos) << command;
    expect_narrow(outcome.out);
  }
  for (const char* several : {"", "quota", "trash", "policy"}) {
    expect_narrow(run(std::string(several) + " --help").out);
  }
}

TEST_F(EbbctlTest, OutputThatDoesNotArriveIsAFailure) {
  tree_.write_file("policy.toml", "mode = \"observe\"\n");
  const Outcome outcome = run("policy check policy.toml", "/dev/full");
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_EQ(outcome.err, "ebbctl: standard output: No space left on device\n");
}

}  // namespace
}  // namespace ebbfs
