// SPDX-License-Identifier: Apache-2.0
#include "fs/subtree.h"

#include <fcntl.h>

#include <algorithm>

#include "fs/directory_reader.h"

namespace ebbfs {
namespace {

// Deeper trees cannot be named by a path at all; bounds descriptors and stack.
constexpr int kDepthMax = 2048;

}  // namespace

std::size_t Subtree::source(const UnitRef& unit) {
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    if (sources_[i] == unit) return i;
  }
  sources_.push_back(unit);
  return sources_.size() - 1;
}

UnitRef Subtree::unit_of_top(const UnitRef& unit) const {
  if (std::ranges::find(sources_, unit) == sources_.end()) return nullptr;
  const auto top = std::ranges::find_if(
      items_, [&](const Item& item) { return item.was_top && sources_[item.from] == unit; });
  return top == items_.end() ? nullptr : destinations_[top->to].unit;
}

Result<Subtree> Subtree::walk(Volume& volume, int dir, const char* name, const UnitRef& from,
                              const UnitRef& to_unit, const Match& to, const std::string& to_path) {
  Subtree tree;
  tree.destinations_.push_back({to_unit, {}, false, false});
  const auto walked = tree.visit(volume, dir, name, {tree.source(from), 0, to, to_path}, 0);
  if (!walked) return std::unexpected(walked.error());
  return tree;
}

Status Subtree::visit(Volume& volume, int dir, const char* name, Context context, int depth) {
  if (depth > kDepthMax) return fail(ENAMETOOLONG);
  const auto attributes = volume.backing.stat(dir, name);
  if (!attributes) return std::unexpected(attributes.error());
  const auto handle = volume.backing.handle(dir, name);
  if (!handle) return std::unexpected(handle.error());
  const InodeId inode{attributes->stx_ino};
  const Classifier& classifier = volume.rules.classifier();

  bool was_top = false;
  if (sources_[context.from]->is_root()) {
    if (const UnitRef top = volume.units.find_by_top(inode, *handle)) {
      context.from = source(top);
      was_top = true;
    }
  }
  MatchState state = context.match.state;
  bool unit_top = false;
  const UnitRef& around = destinations_[context.to].unit;
  if (context.match.tree_class != kNoClass && around != nullptr && around->is_root()) {
    unit_top = true;
    state = classifier.inside_unit(state);
    const ClassRule& rule = volume.rules.policy()->classes[context.match.tree_class];
    const std::string job(classifier.job(context.match));
    Destination made;
    made.record.path = context.path;
    const UnitRef& from = sources_[context.from];
    const UnitRecord was = from->record();
    if (was_top && was.class_name == rule.name && was.owner.job == job) {
      made.unit = from;
      made.keeps = true;
    } else {
      made.record.handle = *handle;
      made.record.inode = inode;
      made.record.class_name = rule.name;
      made.record.owner = was.owner;
      made.record.owner.uid = attributes->stx_uid;
      made.record.owner.gid = attributes->stx_gid;
      made.record.owner.job = job;
      made.record.pinned = was_top && was.pinned;
    }
    destinations_.push_back(std::move(made));
    context.to = destinations_.size() - 1;
  }
  // A file with a second name outside would end up in two units.
  if (!is_directory(*attributes) && attributes->stx_nlink > 1 &&
      sources_[context.from] != destinations_[context.to].unit) {
    return fail(EXDEV);
  }
  items_.push_back({inode, attributes->stx_uid, attributes->stx_gid, charge_for(*attributes),
                    context.from, context.to, state, unit_top, was_top});
  if (!is_directory(*attributes)) return {};
  return descend(volume, dir, name, context, state, depth);
}

Status Subtree::descend(Volume& volume, int dir, const char* name, const Context& context,
                        MatchState state, int depth) {
  const auto fd = volume.backing.open_at(dir, name, O_RDONLY | O_DIRECTORY, 0);
  if (!fd) return std::unexpected(fd.error());
  const auto names = names_in(fd->get());
  if (!names) return std::unexpected(names.error());
  for (const std::string& child : *names) {
    Context below = context;
    below.match = volume.rules.classifier().step(state, child);
    below.path += "/" + child;
    const auto visited = visit(volume, fd->get(), child.c_str(), std::move(below), depth + 1);
    if (!visited) return visited;
  }
  return {};
}

}  // namespace ebbfs
