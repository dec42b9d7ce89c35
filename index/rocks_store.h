// SPDX-License-Identifier: Apache-2.0
//
// The store over RocksDB: a column family for each table, every commit in the write-ahead log.
// Bounded: write buffers (flushed from 16 MiB on, so below 32 MiB), 8 MiB of block cache, 32 MiB of
// log on disk, 128 open files, two background threads; no log files of its own (errors go to the
// logger).
// Invariant: nobody else has the directory open as a store. Threading: as Store says.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string>

#include "index/store.h"

namespace rocksdb {
class ColumnFamilyHandle;
class DB;
class Status;
}  // namespace rocksdb

namespace ebbfs {

class RocksStore final : public Store {
 public:
  // Opens or creates the store in `directory`, an absolute path whose parent exists. Every file is
  // reached by a path that begins with it, never by a resolved one: "/proc/self/fd/N/index" stays
  // right when a mount hides the directory later, as long as N is open. Errors: EBUSY when it is
  // open elsewhere, in this process or another; EPROTO when it holds tables that this program does
  // not know; EBADMSG when it is corrupt, or files of it are missing; ENOENT, ENOTDIR, EACCES,
  // EROFS and the like for the directory; those of Store.
  [[nodiscard]] static Result<std::unique_ptr<RocksStore>> open(const std::string& directory);

  ~RocksStore() override;

  // Reads every table file and compares checksums: what a load of the rows may not touch is found
  // to be broken now, not in the middle of a compaction. EBADMSG where it is.
  [[nodiscard]] Status verify() const;

  // The write-ahead log was damaged: the store is as it was at some earlier instant.
  [[nodiscard]] bool rolled_back() const { return rolled_back_; }

  [[nodiscard]] Result<std::optional<std::string>> get(Table table, std::string_view key) override;
  [[nodiscard]] Status scan(Table table, std::string_view from, const Visitor& visit) override;

  // ENOSPC already while there is a little left, which the database needs for itself; there is no
  // more to it. Any other failed write stops the database: further commits fail at once with the
  // same error until it is opened anew.
  [[nodiscard]] Status commit(const Batch& batch, Durability durability) override;

 private:
  class DirectoryLock;

  explicit RocksStore(std::unique_ptr<DirectoryLock> lock);

  Status open_database(const std::string& directory, bool whole_log);
  void note_outcome(const rocksdb::Status& status);
  [[nodiscard]] bool has_room(std::size_t bytes);
  [[nodiscard]] rocksdb::ColumnFamilyHandle* family(Table table) const;

  const std::unique_ptr<DirectoryLock> lock_;  // given up last
  std::unique_ptr<rocksdb::DB> db_;            // const after open()
  // Owned by us, destroyed before db_. Const after open().
  std::array<std::unique_ptr<rocksdb::ColumnFamilyHandle>, kTables> families_;
  bool rolled_back_ = false;  // const after open(), as the next two
  std::string directory_;
  std::size_t log_bytes_ = 0;
  // What may be committed before free space is looked at again; orders nothing.
  std::atomic<std::int64_t> room_{0};
  std::atomic<bool> failing_{false};  // the last commit failed; only decides what is logged
};

}  // namespace ebbfs
