// SPDX-License-Identifier: Apache-2.0
//
// One directory of the census: its entries counted, its units and locks found.
#include <fcntl.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstring>

#include "fs/census.h"
#include "fs/tree.h"
#include "fs/unit_recovery.h"

namespace ebbfs {
void Census::saw(const UnitRef& unit, const Attributes& attributes) {
  entries_.fetch_add(1, std::memory_order_relaxed);
  sights_[unit].push_back({InodeId{attributes.stx_ino}, attributes.stx_uid, attributes.stx_gid,
                           charge_for(attributes)});
  ++sights_count_;
  if (unit->is_root()) return;
  // A time that lies ahead says nothing about use.
  unit->touch(std::min(newest_change(attributes), volume_.clock.wall_now()));
}

bool Census::charge_all_seen() {
  while (!sights_.empty()) {
    const auto& [unit, sights] = *sights_.begin();
    if (unit->freeze(Unit::kPatience)) {
      for (const Sight& sight : sights) {
        volume_.accounting.count({*unit, sight.uid, sight.gid}, sight.inode, sight.charge);
      }
      unit->thaw();
    } else if (!unit->gone()) {
      return false;
    }
    sights_count_ -= sights.size();
    sights_.erase(sights_.begin());
  }
  return true;
}

bool Census::visit(const Inode::Place& place) {
  const auto fd = open_by_handle(volume_, place.handle, O_RDONLY | O_DIRECTORY);
  const auto own =
      fd ? volume_.backing.stat(fd->get(), "") : Result<Attributes>(std::unexpected(fd.error()));
  if (!own) {
    // ESTALE: removed meanwhile.
    if (own.error() != Errno{ESTALE}) {
      spdlog::error("op=census unit={} errno={}", raw(place.unit->id()), code(own.error()));
    }
    return true;
  }
  if (own->stx_nlink == 0) return true;
  Visit visit{{place, fd->get(), inode_id_of(volume_.backing, *own)}, {}};
  if (visit.id != kRootInode) saw(place.unit, *own);
  for (;;) {
    const auto names = next_names(fd->get());
    if (!names) {
      spdlog::error("op=census unit={} errno={}", raw(place.unit->id()), code(names.error()));
      return true;
    }
    if (names->empty()) return true;
    for (const std::string& name : *names) visit_entry(visit, name);
    if (!adopt_locks(visit)) return false;
    visit.locks.clear();
  }
}

void Census::visit_entry(Visit& visit, const std::string& name) {
  if (visit.id == kRootInode && name == kStateDirName) return;
  const auto attributes = volume_.backing.stat(visit.fd, name.c_str());
  if (!attributes) return;  // gone meanwhile
  const Match match = volume_.rules.classifier().step(visit.place.state, name);
  const bool makes_unit = match.tree_class != kNoClass && visit.place.unit->is_root();
  if (makes_unit || is_directory(*attributes)) {
    visit_branch(visit, name);
    return;
  }
  saw(visit.place.unit, *attributes);
  if (may_be_lock(volume_, visit, name, match, *attributes)) visit.locks.push_back(name);
}

// A directory, or the top of a unit.
void Census::visit_branch(const Visit& visit, const std::string& name) {
  const Backing& backing = volume_.backing;
  // Through one descriptor, so that attributes and handle are of the same thing.
  const auto fd = backing.open_at(visit.fd, name.c_str(), O_PATH, 0);
  if (!fd) return;
  const auto attributes = backing.stat(fd->get(), "");
  const auto handle = backing.handle(fd->get(), "");
  if (!attributes || !handle || !backing.on_volume(*attributes)) return;
  auto place = place_child(volume_, visit.place, name, *attributes, *handle, nullptr);
  if (!place) {
    spdlog::error("op=census name={:?} errno={}", name, code(place.error()));
    return;
  }
  if (place->unit != visit.place.unit) {
    correct_path(visit, *place->unit, name);
    if (place->unit->counting()) enqueue(place->unit);
    return;
  }
  if (is_directory(*attributes)) {
    to_walk_.push_back(std::move(*place));
  } else {
    saw(place->unit, *attributes);
  }
}

// A crash came between a rename and the record of it, or it was renamed behind our back.
void Census::correct_path(const Visit& visit, Unit& unit, const std::string& name) {
  auto path = volume_.backing.path_of(visit.fd);
  if (!path) return;
  if (!path->empty()) path->push_back('/');
  path->append(name);
  const std::string known = unit.path();
  if (*path == known) return;
  // Renamed since the look: then its path is right already, or will be.
  if (!stands_at(volume_, *path, unit.handle()).value_or(false)) return;
  spdlog::info("event=unit_found_again path={:?} now={:?}", known, *path);
  (void)volume_.units.set_path(unit, std::move(*path));
}

bool Census::adopt_locks(const Visit& visit) {
  if (visit.locks.empty()) return true;
  // Frozen, so that nobody takes one of these names between the look and the record.
  const UnitRef& unit = visit.place.unit;
  if (!unit->freeze(Unit::kPatience)) return unit->gone();
  for (const std::string& name : visit.locks) {
    const auto due = adopt_lock(volume_, visit, name, WallTime::min());
    if (!due) continue;
    ++locks_found_;
    agenda_.due_at(*due);
  }
  unit->thaw();
  return true;
}

}  // namespace ebbfs
