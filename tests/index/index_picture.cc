// SPDX-License-Identifier: Apache-2.0
#include "tests/index/index_picture.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/index/outcome.h"
#include "tests/index/sample_records.h"

namespace ebbfs {
namespace {

constexpr std::size_t kAll = 1'000'000;

template <typename T>
T read(Result<T> result) {
  EXPECT_EQ(error_of(result), 0);
  return result ? *std::move(result) : T{};
}

}  // namespace

void PrintTo(const Picture& picture, std::ostream* out) {
  *out << "units";
  for (const UnitRecord& unit : picture.units) *out << ' ' << raw(unit.id);
  *out << "; locks";
  for (const LockRecord& lock : picture.locks) *out << ' ' << raw(lock.id);
  *out << "; trash";
  for (const TrashRecord& trash : picture.trash) *out << ' ' << raw(trash.id);
  *out << "; due";
  for (const Deadline& entry : picture.queue) {
    *out << ' ' << static_cast<int>(entry.kind) << '/' << entry.id << '@'
         << entry.due.time_since_epoch().count();
  }
  *out << "; " << picture.events.size() << " events";
}

Picture take_picture(UnitIndex& index) {
  Picture picture;
  picture.units = read(index.load_units());
  picture.locks = read(index.load_locks());
  picture.trash = read(index.load_trash());
  picture.queue = read(index.due(WallTime::max(), kAll));
  picture.next_due = read(index.next_due());
  for (uid_t uid = 0; uid < kPictureUsers; ++uid) {
    picture.by_user[uid] = read(index.owned_by(uid));
    std::ranges::sort(picture.by_user[uid]);  // stored by process
  }
  for (pid_t pid = 0; pid < kPicturePids; ++pid) {
    const ProcessId process = {pid, pid == 0 ? 0U : 100U};
    picture.by_process[pid] = read(index.owned_by(process, pid == 0 ? BootId{} : sample_boot()));
    std::ranges::sort(picture.by_process[pid]);  // stored by user
  }
  picture.events = read(index.events_after(0, kAll));
  return picture;
}

}  // namespace ebbfs
