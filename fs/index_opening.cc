// SPDX-License-Identifier: Apache-2.0
#include "fs/index_opening.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <thread>
#include <vector>

#include "fs/mount_table.h"
#include "fs/unique_fd.h"

namespace ebbfs {
namespace {

constexpr const char* kIndexName = "index";
constexpr const char* kLockName = "index/LOCK";  // of the database
constexpr std::string_view kBrokenPrefix = "index.broken-";
// For a daemon that has unmounted and is about to end.
constexpr Duration kLastDaemonPatience = std::chrono::seconds(10);
constexpr Duration kAgain = std::chrono::milliseconds(20);
// One event for so much of the volume: some 200 bytes each.
constexpr std::uint64_t kVolumePerEvent = 32 * 1024;
constexpr std::uint64_t kEventsMin = 1000;

std::string path_below(int state_dir, std::string_view name) {
  return fmt::format("/proc/self/fd/{}/{}", state_dir, name);
}

// Whether the content is at fault, and a new index would do better.
bool is_broken(Errno error) {
  switch (code(error)) {
    case EBADMSG:
    case EIO:
    case ENOTDIR:
    case ENOENT:
    case EINVAL:
    case ENOTSUP:
    case ELOOP:
      return true;
    default:
      return false;
  }
}

// Reads everything that a mount will need, so that it fails here or not at all.
Status try_rows(UnitIndex& index) {
  if (const auto units = index.load_units([](const UnitRecord&) {}); !units) return units;
  if (const auto locks = index.load_locks(); !locks) return std::unexpected(locks.error());
  if (const auto trash = index.load_trash(); !trash) return std::unexpected(trash.error());
  if (const auto quotas = index.load_quotas(); !quotas) return std::unexpected(quotas.error());
  if (const auto brake = index.load_brake(); !brake) return std::unexpected(brake.error());
  return {};
}

// A small volume has little room for history.
std::uint64_t journal_for(int state_dir) {
  struct statvfs space{};
  if (::fstatvfs(state_dir, &space) != 0) return UnitIndex::kJournalMax;
  return std::clamp<std::uint64_t>(space.f_blocks * space.f_frsize / kVolumePerEvent, kEventsMin,
                                   UnitIndex::kJournalMax);
}

Result<OpenedIndex> try_open(int state_dir, const StoreDoor& door) {
  OpenedIndex opened;
  auto rocks = RocksStore::open(path_below(state_dir, kIndexName));
  if (!rocks) return std::unexpected(rocks.error());
  opened.rocks = std::move(*rocks);
  opened.rolled_back = opened.rocks->rolled_back();
  if (const auto whole = opened.rocks->verify(); !whole) return std::unexpected(whole.error());
  opened.steady = std::make_unique<SteadyStore>(door(*opened.rocks));
  auto index = UnitIndex::open(*opened.steady, journal_for(state_dir));
  if (!index) return std::unexpected(index.error());
  opened.index = std::move(*index);
  if (const auto read = try_rows(*opened.index); !read) return std::unexpected(read.error());
  return opened;
}

Result<OpenedIndex> open_patiently(int state_dir, const std::string& volume,
                                   const StoreDoor& door) {
  const auto until = std::chrono::steady_clock::now() + kLastDaemonPatience;
  for (;;) {
    auto opened = try_open(state_dir, door);
    const bool busy = !opened && opened.error() == Errno{EBUSY};
    if (!busy || is_served(volume) || std::chrono::steady_clock::now() >= until) return opened;
    std::this_thread::sleep_for(kAgain);
  }
}

// The oldest beyond those that are kept are deleted.
void bound_broken(int state_dir) {
  namespace fs = std::filesystem;
  std::vector<fs::path> broken;
  std::error_code error;
  fs::directory_iterator entry(path_below(state_dir, "."), error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    if (entry->path().filename().string().starts_with(kBrokenPrefix)) {
      broken.push_back(entry->path());
    }
  }
  std::ranges::sort(broken);  // the name ends in a time
  for (std::size_t i = 0; i + kBrokenKept < broken.size(); ++i) {
    spdlog::warn("event=broken_index_deleted name={}", broken[i].filename().string());
    fs::remove_all(broken[i], error);
  }
}

Result<std::string> set_aside(int state_dir, WallTime now) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(
      std::chrono::time_point_cast<std::chrono::system_clock::duration>(now));
  const std::string name = fmt::format("{}{:%Y%m%dT%H%M%SZ}", kBrokenPrefix, fmt::gmtime(seconds));
  for (int more = 0; more < 100; ++more) {
    std::string tried = more == 0 ? name : fmt::format("{}-{:02}", name, more);
    if (::renameat2(state_dir, kIndexName, state_dir, tried.c_str(), RENAME_NOREPLACE) == 0) {
      bound_broken(state_dir);
      return tried;
    }
    if (errno != EEXIST) break;
  }
  return fail_errno();
}

std::string what_is_wrong(Errno error) {
  switch (code(error)) {
    case EBADMSG:
      return "it is corrupt";
    case EIO:
      return "it cannot be read (I/O error)";
    default:
      return std::string("it cannot be opened (") + std::strerror(code(error)) + ")";
  }
}

// The process that has the index open; 0 when that cannot be seen from here.
pid_t who_manages(int state_dir) {
  const UniqueFd lock(::openat(state_dir, kLockName, O_RDWR | O_CLOEXEC));
  struct flock held{};
  held.l_type = F_WRLCK;
  held.l_whence = SEEK_SET;
  if (!lock.valid() || ::fcntl(lock.get(), F_GETLK, &held) != 0) return 0;
  return held.l_type == F_UNLCK ? 0 : std::max(held.l_pid, 0);
}

// It serves it still, or still ends; or it has been unmounted, but not by all who have the mount.
std::string managed_already(int state_dir, const std::string& volume) {
  const pid_t manager = who_manages(state_dir);
  std::string what = volume + " is managed by another ebbfs already";
  if (manager > 0) what += fmt::format(" (pid {})", manager);
  if (is_served(volume)) return what;
  const auto elsewhere = mounts_elsewhere(volume);
  if (elsewhere.empty()) return what;
  what += ": it is not mounted here any more, but still for";
  constexpr std::size_t kShown = 3;
  for (std::size_t i = 0; i < std::min(elsewhere.size(), kShown); ++i) {
    const MountElsewhere& mount = elsewhere[i];
    what += fmt::format("{} pid {} ({}) at {}", i == 0 ? "" : ",", mount.process, mount.command,
                        mount.point);
  }
  if (elsewhere.size() > kShown) what += fmt::format(" and {} more", elsewhere.size() - kShown);
  what +=
      ", in another mount namespace (a container?); end these, or unmount it there: nsenter -t " +
      fmt::format("{} -m umount {}", elsewhere.front().process, elsewhere.front().point);
  if (manager > 0) what += fmt::format("; or stop that ebbfs: kill {}", manager);
  return what;
}

std::string refusal(int state_dir, const std::string& volume, Errno error) {
  std::string what =
      "cannot open the index in " + volume + "/.ebbfs/index: " + std::strerror(code(error));
  switch (code(error)) {
    case EBUSY:
      return managed_already(state_dir, volume);
    case EPROTO:
      return "the index of " + volume + " was written by a newer ebbfs; install that version";
    case ENOSPC:
    case EDQUOT:
      return what + " (free a few MiB there, then mount again)";
    case EROFS:
      return what + " (make the filesystem writable first)";
    case EACCES:
    case EPERM:
      return what + " (is something in it immutable?)";
    case EMFILE:
    case ENFILE:
      return what + " (raise the limit of open files)";
    default:
      return what;
  }
}

}  // namespace

std::expected<OpenedIndex, std::string> open_index(int state_dir, const std::string& volume,
                                                   bool mounted_before, WallTime now,
                                                   const StoreDoor& door) {
  auto opened = open_patiently(state_dir, volume, door);
  std::string lost;
  std::string kept_as;
  if (!opened && is_broken(opened.error())) {
    lost = what_is_wrong(opened.error());
    const auto aside = set_aside(state_dir, now);
    if (!aside) {
      return std::unexpected("the index of " + volume + " is broken (" + lost +
                             ") and cannot be moved aside: " + std::strerror(code(aside.error())));
    }
    kept_as = *aside;
    opened = try_open(state_dir, door);
  }
  if (!opened) return std::unexpected(refusal(state_dir, volume, opened.error()));
  const bool empty = opened->index->volume_state().fresh;
  if (lost.empty() && empty && mounted_before) lost = "it is missing";
  if (!lost.empty()) {
    opened->index->set_rebuilt(now, lost);
    spdlog::error("event=index_lost volume={} why=\"{}\" kept_as={} action=rebuilt_from_the_tree",
                  volume, lost, kept_as.empty() ? "-" : ".ebbfs/" + kept_as);
  }
  opened->lost = std::move(lost);
  opened->kept_as = std::move(kept_as);
  return std::move(*opened);
}

}  // namespace ebbfs
