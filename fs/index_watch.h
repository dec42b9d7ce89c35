// SPDX-License-Identifier: Apache-2.0
//
// Looks after the index while the volume is mounted: says in the log, the journal and `status` what
// is wrong with it, pauses removal where that could do harm, has everything counted again at the
// next mount when the index on the disk tells the truth no more, and goes back to normal when it
// can. Files are served through all of it.
//
//   trouble                            removal          ends
//   rebuilt from the tree, or rolled   paused until     when everything is counted
//   back, or not to be believed        that is counted
//   refuses changes, ENOSPC            goes on: it is   when changes are taken again: those kept in
//                                      what makes room  memory are stored then
//   refuses changes, another reason    paused           the same
//   too many changes kept in memory    paused           at the next mount
//   cannot be read                     paused           at the next mount
//   counters below zero                goes on          at the next mount
//
// Threading: look() from one thread; the rest while nothing else runs.
#pragma once

#include <functional>
#include <string>

#include "fs/exports.h"
#include "fs/index_opening.h"
#include "fs/volume.h"
#include "index/steady_store.h"

namespace ebbfs {

class IndexWatch {
 public:
  // All outlive the object. `counting`: whether usage is provisional.
  IndexWatch(Volume& volume, SteadyStore& steady, Exports& exports, std::function<bool()> counting);
  IndexWatch(const IndexWatch&) = delete;
  IndexWatch& operator=(const IndexWatch&) = delete;

  // Whether everything has to be counted although the index says that it knows: to be asked before
  // the census is prepared. `whole_filesystem`: all inodes in use there are the volume's.
  [[nodiscard]] bool must_recount(const OpenedIndex& opened, bool whole_filesystem);
  // The volume is about to be served: says what was found at the start.
  void begin(const OpenedIndex& opened);
  void look();
  // Before the last marks are set: true when the index can be called clean.
  [[nodiscard]] bool settle();

 private:
  void trust();
  void tell(std::string_view what, std::string detail);
  void look_at_changes();
  void look_at_reads();
  void look_at_counters();
  void look_at_census();

  Volume& volume_;
  SteadyStore& steady_;
  Exports& exports_;
  const std::function<bool()> counting_;
  bool believed_ = true;  // nothing is wrong that only another mount can heal
  bool refusing_ = false;
  bool waits_for_census_ = false;
};

}  // namespace ebbfs
