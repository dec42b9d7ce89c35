// SPDX-License-Identifier: Apache-2.0
//
// Random changes, refused commits and crashes, against a model of a few maps. The index must show
// what the model holds after every step; it runs over both stores.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "index/rocks_store.h"
#include "tests/index/index_picture.h"
#include "tests/index/outcome.h"
#include "tests/index/sample_records.h"
#include "tests/support/fault_store.h"
#include "tests/support/mem_store.h"
#include "tests/support/temp_tree.h"

namespace ebbfs {
namespace {

using Kind = Deadline::Kind;

struct Model {
  std::map<UnitId, UnitRecord> units;
  std::map<LockId, LockRecord> locks;
  std::map<TrashId, TrashRecord> trash;
  std::map<Thing, WallTime> due;
  std::vector<EventRecord> events;

  [[nodiscard]] Picture picture() const {
    Picture all;
    for (uid_t uid = 0; uid < kPictureUsers; ++uid) all.by_user[uid];
    for (pid_t pid = 0; pid < kPicturePids; ++pid) all.by_process[pid];
    const auto owned = [&](const Owner& owner, Thing thing) {
      all.by_user[owner.uid].push_back(thing);
      all.by_process[owner.process.id.tgid].push_back(thing);
    };
    for (const auto& [id, unit] : units) {
      all.units.push_back(unit);
      owned(unit.owner, {Kind::unit, raw(id)});
    }
    for (const auto& [id, lock] : locks) {
      all.locks.push_back(lock);
      owned(lock.owner, {Kind::lock, raw(id)});
    }
    for (const auto& [id, piece] : trash) all.trash.push_back(piece);
    for (const auto& [thing, when] : due) {
      if (when != kNever) all.queue.push_back({when, thing.kind, thing.id});
    }
    std::ranges::sort(all.queue);
    if (!all.queue.empty()) all.next_due = all.queue.front().due;
    all.events = events;
    return all;
  }
};

// Index, model and what lies below, moved on by one random step at a time.
class Walk {
 public:
  Walk(Store& below, std::uint64_t seed) : fault_(below), random_(seed) { reopen(); }

  void step() {
    const bool refused = random_() % 10 == 0;
    if (refused) fault_.fail_commits(1, ENOSPC);
    Model next = model_;
    const std::uint64_t before = fault_.commits();
    const int error = change(next);
    const bool met = refused && fault_.commits() > before;
    ASSERT_EQ(error, met ? ENOSPC : 0);
    if (!met) model_ = std::move(next);
    fault_.fail_commits(0, 0, 0);
    if (random_() % 25 == 0) reopen();
  }
  void reopen() {
    const bool orderly = index_ && random_() % 3 == 0;
    EXPECT_EQ(orderly ? error_of(index_->mark_clean()) : 0, 0);
    index_.reset();
    index_ = UnitIndex::open(fault_).value();
    // Not stored, see UnitIndex::put_lock.
    for (auto& [thing, due] : model_.due) {
      if (thing.kind == Kind::lock) due = kNever;
    }
  }
  [[nodiscard]] Picture seen() { return take_picture(*index_); }
  [[nodiscard]] Picture wanted() const { return model_.picture(); }

 private:
  // One change, asked of the index and made in `next`. Returns the errno.
  int change(Model& next) {
    switch (random_() % 9) {
      case 0:
      case 1:
        return put_unit(next);
      case 2:
      case 3:
        return put_lock(next);
      case 4:
        return erase_lock(next);
      case 5:
        return intend(next);
      case 6:
        return settle_intent(next);
      case 7:
        return erase_trash(next);
      default:
        return reschedule(next);
    }
  }

  WallTime some_time() {
    return random_() % 8 == 0 ? kNever : WallTime{Duration{static_cast<int>(random_() % 40)}};
  }
  pid_t some_pid() { return static_cast<pid_t>(random_() % kPicturePids); }
  uid_t some_uid() { return static_cast<uid_t>(random_() % kPictureUsers); }
  static Owner& known(Owner& owner) {
    if (owner.process.id.tgid == 0) owner.process.id.start_time = 0;
    return owner;
  }
  template <typename Map>
  auto some(Map& map) {
    auto chosen = map.begin();
    if (!map.empty()) std::advance(chosen, random_() % map.size());
    return chosen;
  }
  template <typename Id>
  Id fresh(Id id) {
    EXPECT_TRUE(used_.emplace(typeid(Id).name(), raw(id)).second) << "id repeated: " << raw(id);
    return id;
  }

  int put_unit(Model& next) {
    const auto old = some(next.units);
    const bool anew = next.units.empty() || random_() % 2 == 0;
    UnitRecord unit =
        sample_unit(anew ? fresh(index_->next_unit_id()) : old->first, some_pid(), some_uid());
    known(unit.owner);
    const WallTime due = some_time();
    next.units[unit.id] = unit;
    next.due[{Kind::unit, raw(unit.id)}] = due;
    return error_of(index_->put_unit(unit, due));
  }
  int put_lock(Model& next) {
    const auto old = some(next.locks);
    const bool anew = next.locks.empty() || random_() % 2 == 0;
    LockRecord lock =
        sample_lock(anew ? fresh(index_->next_lock_id()) : old->first, some_pid(), some_uid());
    known(lock.owner);
    const WallTime due = some_time();
    next.locks[lock.id] = lock;
    next.due[{Kind::lock, raw(lock.id)}] = due;
    return error_of(index_->put_lock(lock, due));
  }
  int erase_lock(Model& next) {
    const auto old = some(next.locks);
    if (old == next.locks.end()) return 0;
    const LockId id = old->first;
    next.locks.erase(old);
    next.due.erase({Kind::lock, raw(id)});
    return error_of(index_->erase_lock(id));
  }
  int intend(Model& next) {
    const auto unit = some(next.units);
    if (unit == next.units.end()) return 0;
    TrashRecord trash;
    trash.id = fresh(index_->next_trash_id());
    trash.unit = unit->second;
    trash.purge_after = some_time();
    EventRecord event;
    event.path = trash.unit.path;
    next.trash[trash.id] = trash;
    next.events.push_back(event);
    next.events.back().sequence = next.events.size();
    return error_of(index_->intend_trash(trash, event));
  }
  // An intent is stored or taken back.
  int settle_intent(Model& next) {
    const auto found = std::ranges::find_if(
        next.trash, [](const auto& row) { return row.second.stage == TrashRecord::Stage::intent; });
    if (found == next.trash.end()) return 0;
    if (random_() % 3 == 0) {
      const TrashId id = found->first;
      next.trash.erase(found);
      return error_of(index_->abandon_trash(id));
    }
    TrashRecord& trash = found->second;
    trash.stage = TrashRecord::Stage::stored;
    next.units.erase(trash.unit.id);
    next.due.erase({Kind::unit, raw(trash.unit.id)});
    next.due[{Kind::trash, raw(trash.id)}] = trash.purge_after;
    return error_of(index_->store_trash(trash));
  }
  int erase_trash(Model& next) {
    const auto old = some(next.trash);
    if (old == next.trash.end()) return 0;
    const TrashId id = old->first;
    next.trash.erase(old);
    next.due.erase({Kind::trash, raw(id)});
    return error_of(index_->erase_trash(id));
  }
  int reschedule(Model& next) {
    const auto old = some(next.due);
    if (old == next.due.end()) return 0;
    old->second = some_time();
    return error_of(index_->reschedule(old->first.kind, old->first.id, old->second));
  }

  FaultStore fault_;
  std::mt19937_64 random_;
  std::unique_ptr<UnitIndex> index_;
  Model model_;
  std::set<std::pair<std::string, std::uint64_t>> used_;
};

void walk(Store& store, std::uint64_t seed, int steps) {
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  Walk walk(store, seed);
  for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) {
    walk.step();
    ASSERT_EQ(walk.seen(), walk.wanted()) << "after step " << i;
  }
}

TEST(UnitIndexModel, AgreesOverTheDouble) {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    MemStore store;
    walk(store, seed, 300);
  }
}

TEST(UnitIndexModel, AgreesOverRocksDb) {
  const TempTree tree;
  const auto store = RocksStore::open(tree.at("index")).value();
  walk(*store, 9, 400);
}

// The same, and each part of the walk goes on from what the last one left in the directory.
TEST(UnitIndexModel, IsTheSameAfterTheDatabaseIsReopened) {
  const TempTree tree;
  Picture left = Model{}.picture();
  for (std::uint64_t seed = 20; seed < 24; ++seed) {
    const auto store = RocksStore::open(tree.at("index")).value();
    const auto index = UnitIndex::open(*store).value();
    ASSERT_EQ(take_picture(*index), left) << "seed " << seed;
    RecordMaker maker(seed);
    for (int i = 0; i < 50; ++i) {
      UnitRecord unit = maker.unit();
      unit.id = index->next_unit_id();
      ASSERT_EQ(error_of(index->put_unit(unit, unit.last_used)), 0);
      LockRecord lock = maker.lock();
      lock.id = index->next_lock_id();
      ASSERT_EQ(error_of(index->put_lock(lock, kNever)), 0);
      ASSERT_EQ(error_of(index->append_event(maker.event())), 0);
    }
    left = take_picture(*index);
  }
}

}  // namespace
}  // namespace ebbfs
