// SPDX-License-Identifier: Apache-2.0
//
// Tells the kernel later, in order, from a thread of its own: for whoever frees space. The kernel
// holds a directory's lock while a request in it waits for that space, and telling it of that
// directory waits for the lock.
//
// Threading: any thread; stop() while requests are still answered, which ends a call that waits.
#pragma once

#include <deque>
#include <string>
#include <thread>

#include "fs/agenda.h"
#include "index/mutex.h"

namespace ebbfs {

class Notifier final : public Invalidator {
 public:
  // `to` outlives it.
  explicit Notifier(Invalidator& to) : to_(to) {}
  ~Notifier() override { stop(); }
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;

  void start() EXCLUDES(mu_);
  void stop() EXCLUDES(mu_);  // what is not told yet is dropped

  void removed(InodeId parent, NodeId child, const std::string& name) override;
  void changed(InodeId parent, const std::string& name) override;
  void appeared(InodeId parent, const std::string& name) override;

 private:
  struct News {
    enum class What : std::uint8_t { removed, changed, appeared } what;
    InodeId parent;
    NodeId child;
    std::string name;
  };
  void add(News news) EXCLUDES(mu_);
  void run() EXCLUDES(mu_);
  void tell(const News& news);

  Invalidator& to_;
  Mutex mu_;
  CondVar wake_;
  std::deque<News> news_ GUARDED_BY(mu_);
  bool stopping_ GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace ebbfs
