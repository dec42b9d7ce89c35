// SPDX-License-Identifier: Apache-2.0
#include "fs/unit_recovery.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>

#include "fs/tree.h"

namespace ebbfs {
namespace {

enum class Found : std::uint8_t { here, elsewhere, gone, misplaced, unknown };

// `path` is set to where a directory is now.
Found find_top(Volume& volume, const UnitRecord& record, std::string& path) {
  const Backing& backing = volume.backing;
  const auto fd = open_by_handle(volume, record.handle, O_PATH | O_NOFOLLOW);
  if (!fd) return is_absent(fd.error()) ? Found::gone : Found::unknown;
  const auto attributes = backing.stat(fd->get(), "");
  if (!attributes) return Found::unknown;
  if (attributes->stx_nlink == 0) return Found::gone;
  if (!is_directory(*attributes)) {
    const auto here = stands_at(volume, record.path, record.handle);
    if (!here) return Found::unknown;
    if (!*here) return Found::elsewhere;
    return is_unit_place(volume, record, record.path) ? Found::here : Found::misplaced;
  }
  auto now = backing.path_of(fd->get());
  if (!now) return is_absent(now.error()) ? Found::gone : Found::unknown;
  path = std::move(*now);
  return is_unit_place(volume, record, path) ? Found::here : Found::misplaced;
}

void forget(Volume& volume, Unit& unit, const char* why) {
  spdlog::warn("event=unit_forgotten path={:?} why={}", unit.path(), why);
  if (const auto removed = volume.units.remove(unit); !removed) {
    spdlog::error("op=erase_unit unit={} errno={}", raw(unit.id()), code(removed.error()));
  }
}

}  // namespace

bool is_unit_place(const Volume& volume, const UnitRecord& record, std::string_view path) {
  const Classifier& classifier = volume.rules.classifier();
  for (std::size_t end = path.find('/'); end < path.size(); end = path.find('/', end + 1)) {
    // Inside a unit there are no others.
    if (classifier.walk(path.substr(0, end)).tree_class != kNoClass) return false;
  }
  const Match match = classifier.walk(path);
  if (match.tree_class == kNoClass) return false;
  if (volume.rules.policy()->classes[match.tree_class].name != record.class_name) return false;
  const std::string job(classifier.job(match));
  return job.empty() || job == record.owner.job;
}

Result<bool> stands_at(const Volume& volume, std::string_view path, const FileHandle& handle) {
  const SplitPath split = split_path(path);
  const auto parent = open_beneath(volume.backing.root(), split.directory, O_PATH | O_DIRECTORY);
  const auto there = parent ? volume.backing.handle(parent->get(), split.name.c_str())
                            : Result<FileHandle>(std::unexpected(parent.error()));
  if (there) return *there == handle;
  if (is_absent(there.error())) return false;
  return std::unexpected(there.error());
}

void settle_units(Volume& volume) {
  std::vector<UnitRef> astray;  // files
  std::vector<UnitRef> settled;
  for (const UnitRef& unit : volume.units.all()) {
    const UnitRecord record = unit->record();
    // No policy file names its class any more, so nothing will happen to it.
    if (!record.dirty || volume.rules.policy()->find_class(record.class_name) == nullptr) continue;
    std::string path = record.path;
    switch (find_top(volume, record, path)) {
      case Found::here:
        settled.push_back(unit);
        if (path == record.path) break;
        spdlog::info("event=unit_found_again path={:?} now={:?}", record.path, path);
        (void)volume.units.set_path(*unit, path);
        break;
      case Found::elsewhere:
        astray.push_back(unit);
        break;
      case Found::gone:
        forget(volume, *unit, "top_gone");
        break;
      case Found::misplaced:
        forget(volume, *unit, "top_is_no_unit");
        break;
      case Found::unknown:
        break;
    }
  }
  // A rename that made a unit of the same top came as far as recording it.
  for (const UnitRef& unit : settled) volume.units.claim_top(unit);
  for (const UnitRef& unit : astray) {
    const UnitRef top = volume.units.find_by_top(unit->top(), unit->handle());
    if (top != nullptr && top != unit) forget(volume, *unit, "top_is_another_unit");
  }
}

}  // namespace ebbfs
