// SPDX-License-Identifier: Apache-2.0
#include "fs/notifier.h"

#include <utility>

namespace ebbfs {

void Notifier::start() {
  thread_ = std::thread([this] { run(); });
}

void Notifier::stop() {
  {
    const MutexLock lock(mu_);
    stopping_ = true;
    wake_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void Notifier::removed(InodeId parent, NodeId child, const std::string& name) {
  add({News::What::removed, parent, child, name});
}

void Notifier::changed(InodeId parent, const std::string& name) {
  add({News::What::changed, parent, {}, name});
}

void Notifier::appeared(InodeId parent, const std::string& name) {
  add({News::What::appeared, parent, {}, name});
}

void Notifier::add(News news) {
  const MutexLock lock(mu_);
  news_.push_back(std::move(news));
  wake_.notify_all();
}

void Notifier::run() {
  for (;;) {
    News news;
    {
      const MutexLock lock(mu_);
      while (!stopping_ && news_.empty()) wake_.wait(mu_);
      if (stopping_) return;
      news = std::move(news_.front());
      news_.pop_front();
    }
    tell(news);
  }
}

void Notifier::tell(const News& news) {
  switch (news.what) {
    case News::What::removed:
      to_.removed(news.parent, news.child, news.name);
      return;
    case News::What::changed:
      to_.changed(news.parent, news.name);
      return;
    case News::What::appeared:
      to_.appeared(news.parent, news.name);
      return;
  }
}

}  // namespace ebbfs
