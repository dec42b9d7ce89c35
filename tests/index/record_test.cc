// SPDX-License-Identifier: Apache-2.0
#include "index/record.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/index/outcome.h"
#include "tests/index/sample_records.h"

namespace ebbfs {
namespace {

constexpr std::uint64_t kRecordsSeed = 20'261'123;
constexpr int kRecords = 200;

// The kinds of record behind one form, for typed tests.
struct Unit {
  using Record = UnitRecord;
  static Record make(RecordMaker& maker) { return maker.unit(); }
  static Result<Record> decode(std::string_view bytes) { return decode_unit(bytes); }
};
struct Lock {
  using Record = LockRecord;
  static Record make(RecordMaker& maker) { return maker.lock(); }
  static Result<Record> decode(std::string_view bytes) { return decode_lock(bytes); }
};
struct Trash {
  using Record = TrashRecord;
  static Record make(RecordMaker& maker) { return maker.trash(); }
  static Result<Record> decode(std::string_view bytes) { return decode_trash(bytes); }
};
struct Event {
  using Record = EventRecord;
  static Record make(RecordMaker& maker) { return maker.event(); }
  static Result<Record> decode(std::string_view bytes) { return decode_event(bytes); }
};
struct Quota {
  using Record = QuotaRecord;
  static Record make(RecordMaker& maker) { return maker.quota(); }
  static Result<Record> decode(std::string_view bytes) { return decode_quota(bytes); }
};
struct Sample {
  using Record = HistorySample;
  static Record make(RecordMaker& maker) { return maker.sample(); }
  static Result<Record> decode(std::string_view bytes) { return decode_sample(bytes); }
};

template <typename Kind>
class RecordCodec : public testing::Test {
 protected:
  void SetUp() override { RecordProperty("seed", std::to_string(kRecordsSeed)); }

  // What does not decode is EBADMSG; what does is exactly what encode() would have written.
  static void expect_refused_or_canonical(std::string_view bytes) {
    const auto decoded = Kind::decode(bytes);
    if (decoded) {
      EXPECT_EQ(encode(*decoded), bytes);
    } else {
      EXPECT_EQ(error_of(decoded), EBADMSG);
    }
  }

  RecordMaker maker_{kRecordsSeed};
};

using Kinds = testing::Types<Unit, Lock, Trash, Event, Quota, Sample>;
TYPED_TEST_SUITE(RecordCodec, Kinds);

TYPED_TEST(RecordCodec, GivesBackWhatWasEncoded) {
  for (int i = 0; i < kRecords; ++i) {
    const auto record = TypeParam::make(this->maker_);
    const auto decoded = TypeParam::decode(encode(record));
    ASSERT_TRUE(decoded) << "seed " << kRecordsSeed << ", record " << i;
    EXPECT_EQ(*decoded, record) << "seed " << kRecordsSeed << ", record " << i;
  }
}

TYPED_TEST(RecordCodec, GivesBackAnEmptyRecord) {
  const typename TypeParam::Record empty{};
  EXPECT_EQ(TypeParam::decode(encode(empty)), empty);
}

TYPED_TEST(RecordCodec, RefusesEveryTruncation) {
  for (int i = 0; i < 20; ++i) {
    const std::string bytes = encode(TypeParam::make(this->maker_));
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      const auto decoded = TypeParam::decode(std::string_view(bytes).substr(0, size));
      EXPECT_EQ(error_of(decoded), EBADMSG) << "first " << size << " bytes";
    }
  }
}

TYPED_TEST(RecordCodec, RefusesTrailingBytes) {
  const std::string bytes = encode(TypeParam::make(this->maker_));
  EXPECT_EQ(error_of(TypeParam::decode(bytes + '\0')), EBADMSG);
}

TYPED_TEST(RecordCodec, RefusesAnotherVersion) {
  std::string bytes = encode(TypeParam::make(this->maker_));
  bytes.front() = 2;
  EXPECT_EQ(error_of(TypeParam::decode(bytes)), EBADMSG);
}

TYPED_TEST(RecordCodec, SurvivesEveryBitFlip) {
  for (int i = 0; i < 20; ++i) {
    std::string bytes = encode(TypeParam::make(this->maker_));
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      const auto flip = [&] {
        bytes[bit / 8] =
            static_cast<char>(static_cast<unsigned char>(bytes[bit / 8]) ^ (1U << (bit % 8)));
      };
      flip();
      this->expect_refused_or_canonical(bytes);
      flip();
    }
  }
}

TYPED_TEST(RecordCodec, SurvivesNoise) {
  std::mt19937_64 random(kRecordsSeed);
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes(random() % 300, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random() % 3 == 0 ? random() : 0);
    if (!bytes.empty()) bytes.front() = 1;  // past the version check
    this->expect_refused_or_canonical(bytes);
  }
}

TEST(RecordCodecHandle, RefusesAHandleLongerThanItsBuffer) {
  UnitRecord unit;
  unit.handle.size = FileHandle::kMaxBytes;
  std::string bytes = encode(unit);
  // After the version, id, an empty path and the handle's type.
  constexpr std::size_t kSizeAt = 1 + 8 + 4 + 4;
  ASSERT_EQ(bytes[kSizeAt], static_cast<char>(FileHandle::kMaxBytes));
  ++bytes[kSizeAt];
  bytes.insert(kSizeAt + 1, 1, 'x');
  EXPECT_EQ(error_of(decode_unit(bytes)), EBADMSG);
}

TEST(RecordNames, AreDifferentForEachEventKind) {
  constexpr int kLast = static_cast<int>(EventRecord::Kind::no_space);
  std::set<std::string_view> names;
  for (int kind = 0; kind <= kLast; ++kind) {
    names.insert(to_string(static_cast<EventRecord::Kind>(kind)));
  }
  EXPECT_EQ(names.size(), kLast + 1U);
}

TEST(RecordNames, AreDifferentForEachStateOfCleanup) {
  constexpr int kLast = static_cast<int>(HistorySample::Cleanup::grace);
  std::set<std::string_view> names;
  for (int state = 0; state <= kLast; ++state) {
    names.insert(to_string(static_cast<HistorySample::Cleanup>(state)));
  }
  EXPECT_EQ(names.size(), kLast + 1U);
}

TEST(Charge, RoundsUpToBlocksAndNeverOverflows) {
  struct Case {
    const char* name;
    std::int64_t size;
    std::int64_t want;
  };
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  constexpr Case kCases[] = {
      {"empty", 0, 0},
      {"one byte", 1, 4096},
      {"a block", 4096, 4096},
      {"a block and a byte", 4097, 8192},
      {"the largest that rounds up", kMax - 4095, kMax - 4095},
      {"the largest file there is", kMax, kMax - 4095},
  };
  for (const Case& c : kCases) EXPECT_EQ(charge_for_size(c.size).n, c.want) << c.name;
}

}  // namespace
}  // namespace ebbfs
