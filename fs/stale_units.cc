// SPDX-License-Identifier: Apache-2.0
#include "fs/stale_units.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>

#include <optional>

#include "fs/exports.h"
#include "fs/tree.h"

namespace ebbfs {
namespace {

enum class Top : std::uint8_t { there, elsewhere, gone, unknown };

Top look_at_path(const Volume& volume, const UnitRecord& record) {
  const Backing& backing = volume.backing;
  const SplitPath place = split_path(record.path);
  const auto parent = open_beneath(backing.root(), place.directory, O_PATH | O_DIRECTORY);
  if (!parent) return is_absent(parent.error()) ? Top::elsewhere : Top::unknown;
  const auto top = backing.handle(parent->get(), place.name.c_str());
  if (!top) return is_absent(top.error()) ? Top::elsewhere : Top::unknown;
  return *top == record.handle ? Top::there : Top::elsewhere;
}

// Where the top is that is not at its path. A file cannot be asked for its name.
Top follow(Volume& volume, const UnitRecord& record, std::string& path) {
  const auto fd = open_by_handle(volume, record.handle, O_PATH | O_NOFOLLOW);
  if (!fd) return is_absent(fd.error()) ? Top::gone : Top::unknown;
  const auto attributes = volume.backing.stat(fd->get(), "");
  if (!attributes) return Top::unknown;
  if (attributes->stx_nlink == 0 || !is_directory(*attributes)) return Top::gone;
  auto found = volume.backing.path_of(fd->get());
  if (!found) return is_absent(found.error()) ? Top::gone : Top::unknown;
  path = std::move(*found);
  return Top::elsewhere;
}

void forget(Volume& volume, const UnitRef& unit, const std::string& path, const std::string& now) {
  spdlog::warn("event=stale_unit_forgotten path={:?} now={:?}", path, now);
  EventRecord event;
  event.kind = EventRecord::Kind::warning;
  event.time = volume.clock.wall_now();
  event.path = path;
  event.class_name = unit->class_name();
  event.detail = now.empty() ? "the unit is no longer there: forgotten"
                             : "no unit any more, moved to " + now + ": forgotten";
  (void)volume.index.append_event(std::move(event));
  if (unit->pinned() && volume.exports != nullptr) volume.exports->pin_waits(path);
  for (const LockRef& lock : volume.locks.in_unit(unit->id())) volume.locks.remove(lock);
  if (const auto removed = volume.units.remove(*unit); !removed) {
    spdlog::error("op=erase_unit path={:?} errno={}", path, code(removed.error()));
  }
}

// Whether the record was not right.
bool settle(Volume& volume, const UnitRef& unit) {
  const UnitRecord record = unit->record();
  if (record.dirty) return false;  // settle_units() has looked
  if (look_at_path(volume, record) != Top::elsewhere) return false;
  std::string path;
  switch (follow(volume, record, path)) {
    case Top::there:
    case Top::unknown:
      return false;
    case Top::gone:
      forget(volume, unit, record.path, "");
      return true;
    case Top::elsewhere:
      break;
  }
  if (!is_place_for(volume, path, record.class_name)) {
    forget(volume, unit, record.path, path);
    return true;
  }
  spdlog::warn("event=unit_moved_unseen path={:?} now={:?}", record.path, path);
  (void)volume.units.set_path(*unit, std::move(path));
  return true;
}

}  // namespace

std::uint16_t tree_class_at(const Volume& volume, std::string_view path) {
  const Classifier& classifier = volume.rules.classifier();
  const auto names = components_of(path);
  MatchState state = classifier.root();
  for (std::size_t i = 0; i < names.size(); ++i) {
    const Match match = classifier.step(state, names[i]);
    if (match.tree_class != kNoClass) return i + 1 == names.size() ? match.tree_class : kNoClass;
    state = match.state;
  }
  return kNoClass;
}

bool is_place_for(const Volume& volume, std::string_view path, const std::string& class_name) {
  if (path == kStateDirName || path.starts_with(std::string(kStateDirName) + "/")) return false;
  const std::uint16_t at = tree_class_at(volume, path);
  return at != kNoClass && volume.rules.policy()->classes[at].name == class_name;
}

std::size_t settle_stale_units(Volume& volume) {
  std::size_t stale = 0;
  for (const UnitRef& unit : volume.units.all()) {
    if (settle(volume, unit)) ++stale;
  }
  return stale;
}

}  // namespace ebbfs
