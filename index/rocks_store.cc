// SPDX-License-Identifier: Apache-2.0
#include "index/rocks_store.h"

#include <fcntl.h>
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/table_properties_collectors.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <vector>

#include "index/schema.h"

namespace ebbfs {
namespace {

constexpr std::size_t kMiB = 1 << 20;
constexpr std::size_t kBlockCacheBytes = 8 * kMiB;
constexpr std::size_t kFamilyBufferBytes = 4 * kMiB;
constexpr std::size_t kAllBuffersBytes = 16 * kMiB;
// Of write-ahead log, before old tables are flushed: such a part of the filesystem, within these. A
// small volume that is full has little room for the index to grow.
constexpr std::size_t kLogShare = 512;
constexpr std::size_t kLogBytesMin = kMiB / 4;
constexpr std::size_t kLogBytesMax = 32 * kMiB;
constexpr std::size_t kManifestBytesMax = 4 * kMiB;
// Left free for what the database does by itself (a flush, a compaction), in logs.
constexpr std::int64_t kLogsKept = 2;
constexpr std::uint64_t kCompactedMax = 64 * kMiB;
constexpr int kOpenFiles = 128;
constexpr std::size_t kLogLineBytes = 512;

// Of 1,024 neighbouring entries, so many tombstones make a file be compacted. Rows here live
// shortly, and a scan has to step over each that is left.
constexpr std::size_t kTombstoneWindow = 1024;
constexpr std::size_t kTombstonesMax = 512;

// An IOError keeps the errno of the system call in its text only, at its end. Those that say
// something of the machine or its set-up, not of what is stored: nothing is broken then.
Errno io_errno(std::string_view text) {
  for (const int known : {EROFS, EACCES, EPERM, EMFILE, ENFILE, ENOMEM, EDQUOT, ENOSPC}) {
    if (text.ends_with(std::strerror(known))) return Errno{known};
  }
  return Errno{EIO};
}

// The one place where RocksDB's failures become ours.
Errno to_errno(const rocksdb::Status& status) {
  if (status.IsCorruption()) return Errno{EBADMSG};
  if (status.IsNoSpace()) return Errno{ENOSPC};
  if (status.IsMemoryLimit()) return Errno{ENOMEM};
  if (status.IsPathNotFound()) return Errno{ENOENT};
  if (status.IsNotSupported()) return Errno{ENOTSUP};
  if (status.IsInvalidArgument()) return Errno{EINVAL};
  return io_errno(status.ToString());
}

// Hands errors of the database to our log; the rest, and its log files, we do without.
class LogSink final : public rocksdb::Logger {
 public:
  LogSink() : Logger(rocksdb::InfoLogLevel::ERROR_LEVEL) {}

  void Logv(const char*, va_list) override {}
  void Logv(const rocksdb::InfoLogLevel level, const char* format, va_list values) override {
    if (level < GetInfoLogLevel() || level == rocksdb::InfoLogLevel::HEADER_LEVEL) return;
    std::array<char, kLogLineBytes> line{};
    if (std::vsnprintf(line.data(), line.size(), format, values) < 0) return;
    std::string_view text = line.data();
    if (text.ends_with('\n')) text.remove_suffix(1);
    spdlog::error("index rocksdb=\"{}\"", text);
  }
};

std::size_t log_bytes_for(const std::string& directory) {
  struct statvfs space{};
  const std::string parent = directory.substr(0, directory.rfind('/'));
  if (::statvfs(parent.c_str(), &space) != 0) return kLogBytesMax;
  return std::clamp<std::size_t>(space.f_blocks * space.f_frsize / kLogShare, kLogBytesMin,
                                 kLogBytesMax);
}

rocksdb::DBOptions database_options(std::size_t log_bytes) {
  rocksdb::DBOptions options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.info_log = std::make_shared<LogSink>();
  options.max_open_files = kOpenFiles;
  options.max_file_opening_threads = 1;
  options.max_background_jobs = 2;
  options.db_write_buffer_size = kAllBuffersBytes;
  options.max_total_wal_size = log_bytes;
  options.max_manifest_file_size = std::min(log_bytes, kManifestBytesMax);
  // Preallocated space is charged by the backing filesystem, and volumes may be small.
  options.allow_fallocate = false;
  // Batches are small; the leader of a group inserts them faster than the group in parallel would,
  // and near where the last one went (see memtable_insert_with_hint_prefix_extractor).
  options.allow_concurrent_memtable_write = false;
  // No statistics thread.
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  return options;
}

rocksdb::ColumnFamilyOptions family_options() {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(kBlockCacheBytes);
  table.cache_index_and_filter_blocks = true;  // else they are beside the cache, unbounded
  rocksdb::ColumnFamilyOptions options;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.write_buffer_size = kFamilyBufferBytes;
  options.max_write_buffer_number = 4;
  options.target_file_size_base = 4 * kMiB;
  options.compression = rocksdb::kNoCompression;
  // One hint for all keys of a table: new ones mostly come at the end (ids and times rise).
  options.memtable_insert_with_hint_prefix_extractor.reset(rocksdb::NewCappedPrefixTransform(0));
  options.table_properties_collector_factories.push_back(
      rocksdb::NewCompactOnDeletionCollectorFactory(kTombstoneWindow, kTombstonesMax));
  return options;
}

// EPROTO where a newer program left tables that we do not know: the database would refuse to open.
Status check_families(const rocksdb::DBOptions& options, const std::string& directory) {
  std::vector<std::string> present;
  // Fails where there is no database yet, and where it is corrupt; opening tells these apart.
  if (!rocksdb::DB::ListColumnFamilies(options, directory, &present).ok()) return {};
  for (const std::string& name : present) {
    if (std::ranges::find(kTableNames, name) == kTableNames.end()) {
      spdlog::error("index op=open directory={} error=\"unknown table {}\"", directory, name);
      return fail(EPROTO);
    }
  }
  return {};
}

// Whether data lies in `directory` without the file that says which of it is in force. The database
// would begin anew and delete the rest.
bool lacks_its_head(const std::string& directory) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (fs::exists(directory + "/CURRENT", error)) return false;
  fs::directory_iterator file(directory, error);
  for (; !error && file != fs::directory_iterator(); file.increment(error)) {
    const fs::path kind = file->path().extension();
    if (kind == ".sst") return true;
    if (kind == ".log" && file->file_size(error) > 0 && !error) return true;
  }
  return false;
}

}  // namespace

// An flock on the directory. The database's own lock is by process and by spelling of the path.
class RocksStore::DirectoryLock {
 public:
  static Result<std::unique_ptr<DirectoryLock>> acquire(const std::string& directory) {
    if (::mkdir(directory.c_str(), S_IRWXU) != 0 && errno != EEXIST) return fail_errno();
    const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return fail_errno();
    auto lock = std::make_unique<DirectoryLock>(fd);
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
      return errno == EWOULDBLOCK ? fail(EBUSY) : fail_errno();
    }
    return lock;
  }

  explicit DirectoryLock(int fd) : fd_(fd) {}
  ~DirectoryLock() { ::close(fd_); }
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

 private:
  const int fd_;
};

RocksStore::RocksStore(std::unique_ptr<DirectoryLock> lock) : lock_(std::move(lock)) {}

RocksStore::~RocksStore() = default;

Result<std::unique_ptr<RocksStore>> RocksStore::open(const std::string& directory) {
  auto lock = DirectoryLock::acquire(directory);
  if (!lock) return std::unexpected(lock.error());
  std::unique_ptr<RocksStore> store(new RocksStore(*std::move(lock)));
  Status opened = store->open_database(directory, true);
  if (!opened && opened.error() == Errno{EBADMSG}) {
    opened = store->open_database(directory, false);
    store->rolled_back_ = opened.has_value();
  }
  if (!opened) return std::unexpected(opened.error());
  return store;
}

// `whole_log`: only the last record of the write-ahead log may be incomplete, as a process that was
// killed while it wrote leaves it. Else what follows the first damage is dropped.
Status RocksStore::open_database(const std::string& directory, bool whole_log) {
  directory_ = directory;
  log_bytes_ = log_bytes_for(directory);
  rocksdb::DBOptions options = database_options(log_bytes_);
  options.wal_recovery_mode = whole_log ? rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords
                                        : rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  if (lacks_its_head(directory)) {
    spdlog::error("index op=open directory={} error=\"its file CURRENT is missing\"", directory);
    return fail(EBADMSG);
  }
  if (const Status known = check_families(options, directory); !known) return known;
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  const rocksdb::ColumnFamilyOptions shared = family_options();
  descriptors.reserve(std::size(kTableNames));
  for (const std::string_view name : kTableNames) {
    descriptors.emplace_back(std::string(name), shared);
  }
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* database = nullptr;
  const rocksdb::Status status =
      rocksdb::DB::Open(options, directory, descriptors, &handles, &database);
  if (!status.ok()) {
    spdlog::error("index op=open directory={} error=\"{}\"", directory, status.ToString());
    // The directory is there, so what is missing is a file of the database.
    return std::unexpected(status.IsPathNotFound() ? Errno{EBADMSG} : to_errno(status));
  }
  db_.reset(database);
  for (std::size_t i = 0; i < kTables; ++i) families_[i].reset(handles[i]);
  return {};
}

rocksdb::ColumnFamilyHandle* RocksStore::family(Table table) const {
  return families_[static_cast<std::size_t>(table)].get();
}

Status RocksStore::verify() const {
  const rocksdb::Status status = db_->VerifyChecksum();
  if (status.ok()) return {};
  spdlog::error("index op=verify error=\"{}\"", status.ToString());
  return std::unexpected(to_errno(status));
}

Result<std::optional<std::string>> RocksStore::get(Table table, std::string_view key) {
  std::string value;
  const rocksdb::Status status = db_->Get({}, family(table), key, &value);
  if (status.ok()) return value;
  if (status.IsNotFound()) return std::nullopt;
  spdlog::error("index op=get error=\"{}\"", status.ToString());
  return std::unexpected(to_errno(status));
}

Status RocksStore::scan(Table table, std::string_view from, const Visitor& visit) {
  rocksdb::ReadOptions options;
  options.fill_cache = false;  // a load of everything should not push out what is in use
  const std::unique_ptr<rocksdb::Iterator> row(db_->NewIterator(options, family(table)));
  for (row->Seek(from); row->Valid(); row->Next()) {
    if (!visit(row->key().ToStringView(), row->value().ToStringView())) return {};
  }
  if (row->status().ok()) return {};
  spdlog::error("index op=scan error=\"{}\"", row->status().ToString());
  return std::unexpected(to_errno(row->status()));
}

Status RocksStore::commit(const Batch& batch, Durability durability) {
  rocksdb::WriteBatch rows;
  for (const Batch::Op& op : batch.ops()) {
    const rocksdb::Status added = op.value ? rows.Put(family(op.table), op.key, *op.value)
                                           : rows.Delete(family(op.table), op.key);
    if (!added.ok()) return std::unexpected(to_errno(added));
  }
  if (!has_room(rows.GetDataSize())) {
    note_outcome(rocksdb::Status::NoSpace());
    return fail(ENOSPC);
  }
  rocksdb::WriteOptions options;
  options.sync = durability == Durability::power_loss;
  const rocksdb::Status status = db_->Write(options, &rows);
  note_outcome(status);
  return status.ok() ? Status{} : std::unexpected(to_errno(status));
}

// The database is not to meet ENOSPC itself: a flush that comes upon a log that could not be
// written ends the process (7.8, writable_file_writer.h). Asked again when a part of what was free
// is used.
bool RocksStore::has_room(std::size_t bytes) {
  const auto wanted = static_cast<std::int64_t>(bytes);
  if (room_.fetch_sub(wanted, std::memory_order_relaxed) >= wanted) return true;
  struct statvfs space{};
  if (::statvfs(directory_.c_str(), &space) != 0) return true;
  std::uint64_t tables = 0;  // that a compaction may write anew
  (void)db_->GetAggregatedIntProperty(rocksdb::DB::Properties::kLiveSstFilesSize, &tables);
  const auto free = static_cast<std::int64_t>(space.f_bfree * space.f_frsize) -
                    kLogsKept * static_cast<std::int64_t>(log_bytes_) -
                    static_cast<std::int64_t>(std::min<std::uint64_t>(tables, kCompactedMax));
  room_.store((free - wanted) / 4, std::memory_order_relaxed);
  return free >= wanted;
}

// One line when writing stops working and one when it works again, not one for each request.
void RocksStore::note_outcome(const rocksdb::Status& status) {
  if (failing_.load(std::memory_order_relaxed) != status.ok()) return;
  if (failing_.exchange(!status.ok()) != status.ok()) return;
  if (status.ok()) {
    spdlog::warn("index op=commit result=recovered");
  } else {
    spdlog::error("index op=commit error=\"{}\"", status.ToString());
  }
}

}  // namespace ebbfs
