// SPDX-License-Identifier: Apache-2.0
#include "fs/export_text.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fs/exports.h"
#include "fs/unique_fd.h"
#include "tests/support/temp_tree.h"

namespace ebbfs {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

QuotaRecord quota(std::string scope, std::int64_t bytes) {
  QuotaRecord record;
  record.scope = std::move(scope);
  record.exception = true;
  record.limits.bytes = bytes;
  record.limits.soft_inodes = 7;
  record.limits.grace = Duration::max();
  record.set_by = 1000;
  record.set_at = WallTime{Duration{1'700'000'000'000'000'005}};
  return record;
}

TEST(ExportText, BringsEveryPathBack) {
  const std::vector<std::string> paths = {"worktrees/a b",    "#not/a comment", "line\nbreak",
                                          "back\\slash\\x41", "\xff\xfe",       "tab\there"};
  EXPECT_EQ(parse_pins(pins_text(paths)), paths);
}

TEST(ExportText, BringsEveryLimitBack) {
  const std::vector<QuotaRecord> quotas = {quota("user:1000", 5),
                                           quota("unit:a b=c\n", kUnlimited)};
  EXPECT_EQ(parse_quotas(quotas_text(quotas)), quotas);
}

TEST(ExportText, LeavesOutWhatIsNoException) {
  QuotaRecord times = quota("user:1", 5);
  times.exception = false;
  EXPECT_THAT(parse_quotas(quotas_text({times})), IsEmpty());
}

TEST(ExportText, PassesOverWhatItCannotRead) {
  EXPECT_THAT(parse_pins("a\n\\xzz\n\\\n\n# c\nb"), ElementsAre("a", "b"));
  EXPECT_THAT(parse_quotas("nonsense\nbytes=x scope=a\nbytes=1\nbytes=-1 scope=a\nscope=\n"
                           "color=1 scope=a\n"),
              IsEmpty());
}

class ExportFiles : public testing::Test {
 protected:
  ExportFiles() : dir_(::open(tree_.at("").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {}
  TempTree tree_;
  UniqueFd dir_;
};

TEST_F(ExportFiles, AreThereAfterTheFirstWriteEvenWithNothingInThem) {
  {
    Exports exports(dir_.get());
    EXPECT_FALSE(exports.found().any);
    EXPECT_FALSE(exports.found().trusted);
    EXPECT_TRUE(exports.write_pins({}).has_value());
    exports.trust();
  }
  const Exports again(dir_.get());
  EXPECT_TRUE(again.found().any);
  EXPECT_TRUE(again.found().trusted);
  EXPECT_EQ(again.found().inodes, std::nullopt);
}

TEST_F(ExportFiles, TrustEndsAtOnceAndIsNotWrittenAtTheEnd) {
  {
    Exports exports(dir_.get());
    exports.trust();
    exports.distrust("a test");
    EXPECT_FALSE(tree_.exists("trust"));
    exports.leave();
  }
  EXPECT_FALSE(tree_.exists("trust"));
}

TEST_F(ExportFiles, AnOrderlyEndTellsHowManyInodesWereInUse) {
  {
    Exports exports(dir_.get());
    exports.trust();
    exports.leave();
  }
  const Exports again(dir_.get());
  EXPECT_TRUE(again.found().inodes.has_value());
}

TEST_F(ExportFiles, KeepPinsThatWaitForTheirUnits) {
  {
    Exports exports(dir_.get());
    EXPECT_TRUE(exports.write_pins({"a", "b"}).has_value());
  }
  Exports exports(dir_.get());
  EXPECT_FALSE(exports.take_pin("a")) << "nobody said that the index is behind";
  exports.pins_wait();
  EXPECT_TRUE(exports.take_pin("a"));
  EXPECT_FALSE(exports.take_pin("a"));
  EXPECT_TRUE(exports.write_pins({"a"}).has_value());
  EXPECT_THAT(Exports(dir_.get()).found().pins, ElementsAre("a", "b"));
}

}  // namespace
}  // namespace ebbfs
