// SPDX-License-Identifier: Apache-2.0
//
// What is particular to the store over RocksDB; what it shares with others is in the contract.
#include "index/rocks_store.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <rocksdb/db.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <set>
#include <thread>

#include "tests/index/outcome.h"
#include "tests/support/temp_tree.h"

namespace ebbfs {
namespace {

// A tmpfs over a directory, until the end of the test.
class Cover {
 public:
  Cover(const std::filesystem::path& directory, const char* options) : directory_(directory) {
    mounted_ = ::mount("tmpfs", directory.c_str(), "tmpfs", 0, options) == 0;
  }
  ~Cover() {
    if (!mounted_) return;
    EXPECT_EQ(::umount2(directory_.c_str(), MNT_DETACH), 0);
  }
  Cover(const Cover&) = delete;
  Cover& operator=(const Cover&) = delete;

  [[nodiscard]] bool mounted() const { return mounted_; }

 private:
  const std::filesystem::path directory_;
  bool mounted_ = false;
};

class RocksStoreTest : public testing::Test {
 protected:
  std::unique_ptr<RocksStore> open(const std::string& name = "index") {
    return RocksStore::open(tree_.at(name)).value();
  }
  static int put(Store& store, std::string key, std::string value) {
    Batch batch;
    batch.put(Table::units, std::move(key), std::move(value));
    return error_of(store.commit(batch, Durability::process_crash));
  }
  static std::map<std::string, std::string> rows(Store& store) {
    std::map<std::string, std::string> found;
    const Status scanned = store.scan(Table::units, {}, [&](auto key, auto value) {
      found.emplace(key, value);
      return true;
    });
    EXPECT_EQ(error_of(scanned), 0);
    return found;
  }
  // Table files in `directory`, by name.
  static std::set<std::string> table_files(const std::filesystem::path& directory) {
    std::set<std::string> names;
    std::error_code gone;  // files come and go meanwhile
    for (const auto& entry : std::filesystem::directory_iterator(directory, gone)) {
      if (entry.path().extension() == ".sst") names.insert(entry.path().filename());
    }
    return names;
  }
  // A store whose only row, "a", is in a table file. Closed.
  void make_closed_store_with_table_file() {
    EXPECT_EQ(put(*open(), "a", std::string(2000, 'x')), 0);
    open();  // moves the row from the log to a table
    EXPECT_EQ(table_files(tree_.at("index")).size(), 1U);
  }

  TempTree tree_;
};

TEST_F(RocksStoreTest, KeepsRowsWhenReopened) {
  EXPECT_EQ(put(*open(), "a", "1"), 0);
  EXPECT_EQ(rows(*open()), (std::map<std::string, std::string>{{"a", "1"}}));
}

// The image of the directory at one instant is what a killed process leaves behind.
TEST_F(RocksStoreTest, KeepsWhatWasCommittedWhenTheProcessIsKilled) {
  const auto store = open();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(put(*store, std::to_string(i), "x"), 0);
  std::filesystem::copy(tree_.at("index"), tree_.at("image"));
  EXPECT_EQ(rows(*open("image")), rows(*store));
}

TEST_F(RocksStoreTest, RefusesASecondOpener) {
  auto first = open();
  EXPECT_EQ(error_of(RocksStore::open(tree_.at("index"))), EBUSY);
  EXPECT_EQ(error_of(RocksStore::open(tree_.at("index/../index"))), EBUSY);
  first.reset();
  EXPECT_EQ(error_of(RocksStore::open(tree_.at("index"))), 0);
}

TEST_F(RocksStoreTest, RefusesPlacesThatCannotHoldIt) {
  tree_.write_file("file", "");
  EXPECT_EQ(error_of(RocksStore::open(tree_.at("file"))), ENOTDIR);
  EXPECT_EQ(error_of(RocksStore::open(tree_.at("missing/index"))), ENOENT);
}

TEST_F(RocksStoreTest, RefusesTablesOfANewerProgram) {
  open();
  rocksdb::DB* database = nullptr;
  std::vector<std::string> names;
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  ASSERT_TRUE(rocksdb::DB::ListColumnFamilies({}, tree_.at("index"), &names).ok());
  for (const std::string& name : names) {
    families.emplace_back(name, rocksdb::ColumnFamilyOptions());
  }
  ASSERT_TRUE(rocksdb::DB::Open({}, tree_.at("index"), families, &handles, &database).ok());
  handles.emplace_back();
  ASSERT_TRUE(database->CreateColumnFamily({}, "future", &handles.back()).ok());
  for (auto* handle : handles) EXPECT_TRUE(database->DestroyColumnFamilyHandle(handle).ok());
  delete database;
  EXPECT_EQ(error_of(RocksStore::open(tree_.at("index"))), EPROTO);
}

TEST_F(RocksStoreTest, WritesNoLogFilesOfItsOwn) {
  open();
  EXPECT_FALSE(tree_.exists("index/LOG"));
}

TEST_F(RocksStoreTest, CallsAMissingManifestCorrupt) {
  open();
  tree_.write_file("index/CURRENT", "MANIFEST-999999\n");
  EXPECT_EQ(error_of(RocksStore::open(tree_.at("index"))), EBADMSG);
}

TEST_F(RocksStoreTest, CallsAGarbledManifestCorrupt) {
  open();
  std::string current = tree_.read_file("index/CURRENT");
  current.pop_back();
  tree_.write_file("index/" + current, std::string(1000, 'x'));
  EXPECT_EQ(error_of(RocksStore::open(tree_.at("index"))), EBADMSG);
}

TEST_F(RocksStoreTest, CallsAMissingTableFileCorrupt) {
  make_closed_store_with_table_file();
  std::filesystem::remove(tree_.at("index") / *table_files(tree_.at("index")).begin());
  EXPECT_EQ(error_of(RocksStore::open(tree_.at("index"))), EBADMSG);
}

TEST_F(RocksStoreTest, CallsAGarbledRowCorrupt) {
  make_closed_store_with_table_file();
  const std::string file = "index/" + *table_files(tree_.at("index")).begin();
  std::string bytes = tree_.read_file(file);
  bytes[100] ^= 1;
  tree_.write_file(file, bytes);
  const auto store = open();
  EXPECT_EQ(error_of(store->get(Table::units, "a")), EBADMSG);
  EXPECT_EQ(error_of(store->scan(Table::units, {}, [](auto, auto) { return true; })), EBADMSG);
}

// As on a volume mounted in place: the mount hides the directory that the index lives in.
TEST_F(RocksStoreTest, LivesOnBelowAMountThatHidesIt) {
  tree_.make_dir("volume");
  const int fd = ::open(tree_.at("volume").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  const std::string hidden = "/proc/self/fd/" + std::to_string(fd) + "/index";
  auto store = RocksStore::open(hidden).value();
  const Cover cover(tree_.at("volume"), "size=1m");
  if (!cover.mounted()) GTEST_SKIP() << "mount is not permitted here";

  // Until files have been written from memory, merged, and removed.
  constexpr int kRowsMax = 30'000;
  std::set<std::string> seen;
  bool flushed = false;
  bool compacted = false;
  int row = 0;
  for (; !compacted && row < kRowsMax; ++row) {
    ASSERT_EQ(put(*store, std::to_string(row * 7919 % 1000), std::string(4096, 'x')), 0);
    if (row % 100 != 0) continue;
    const auto now = table_files(hidden);
    flushed = flushed || !now.empty();
    compacted = !std::ranges::includes(now, seen);
    seen.insert(now.begin(), now.end());
  }
  EXPECT_TRUE(flushed);
  EXPECT_TRUE(compacted);
  EXPECT_EQ(put(*store, "last", "1"), 0);
  const auto before = rows(*store);
  store.reset();
  store = RocksStore::open(hidden).value();
  EXPECT_TRUE(rows(*store) == before);
  EXPECT_EQ(tree_.list("volume"), std::vector<std::string>{}) << "written beside the hidden one";
  store.reset();
  ::close(fd);
}

TEST_F(RocksStoreTest, GoesOnWhenAFullVolumeHasSpaceAgain) {
  tree_.make_dir("volume");
  const Cover cover(tree_.at("volume"), "size=8m");
  if (!cover.mounted()) GTEST_SKIP() << "mount is not permitted here";
  auto store = open("volume/index");
  const std::string value(4096, 'x');
  std::map<std::string, std::string> acknowledged;
  int error = 0;
  for (int i = 0; error == 0 && i < 10'000; ++i) {
    error = put(*store, std::to_string(i), value);
    if (error == 0) acknowledged.emplace(std::to_string(i), value);
  }
  EXPECT_EQ(error, ENOSPC);
  // The database may have given some back meanwhile.
  if (put(*store, "while full", "") == 0) acknowledged.emplace("while full", "");
  EXPECT_TRUE(rows(*store) == acknowledged);

  ASSERT_EQ(::mount("tmpfs", tree_.at("volume").c_str(), "tmpfs", MS_REMOUNT, "size=64m"), 0);
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  do {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    error = put(*store, "after", "1");
  } while (error == ENOSPC && std::chrono::steady_clock::now() < give_up);
  EXPECT_EQ(error, 0);
  acknowledged.emplace("after", "1");
  EXPECT_TRUE(rows(*store) == acknowledged);
  store.reset();
  EXPECT_TRUE(rows(*open("volume/index")) == acknowledged);
}

}  // namespace
}  // namespace ebbfs
