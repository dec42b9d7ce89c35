// SPDX-License-Identifier: Apache-2.0
//
// How a handler of ops_*.cc runs a call of the filesystem and answers. Private to them.
#pragma once

#include <fuse_lowlevel.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <new>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "fs/kernel_order.h"
#include "fs/not_cancelled.h"
#include "fs/ops.h"
#include "fs/reply.h"

namespace ebbfs {

inline OpsContext& context_of(fuse_req_t request) {
  return *static_cast<OpsContext*>(fuse_req_userdata(request));
}

inline Caller caller_of(fuse_req_t request) {
  // Rings may fail to start although both sides offered them, so what is told is what was seen.
  if (std::atomic<bool>& seen = context_of(request).io_uring;
      !seen.load(std::memory_order_relaxed) && fuse_req_is_uring(request)) {
    seen.store(true, std::memory_order_relaxed);
  }
  const fuse_ctx* context = fuse_req_ctx(request);
  return {context->uid, context->gid, context->pid, context->umask, false};
}

// Of the caller; empty where they cannot be read any more.
inline std::vector<gid_t> groups_of(fuse_req_t request) {
  std::vector<gid_t> groups(64);
  for (;;) {
    const int count = fuse_req_getgroups(request, static_cast<int>(groups.size()), groups.data());
    if (count < 0) return {};
    const bool all = static_cast<std::size_t>(count) <= groups.size();
    groups.resize(static_cast<std::size_t>(count));
    if (all) return groups;
  }
}

inline NodeId id_of(fuse_ino_t inode) { return NodeId{inode}; }

inline OpenFile& file_of(const fuse_file_info* info) {
  told_by_kernel();
  return *reinterpret_cast<OpenFile*>(info->fh);
}
inline VirtualFiles::Exchange& exchange_of(const fuse_file_info* info) {
  told_by_kernel();
  return *reinterpret_cast<VirtualFiles::Exchange*>(info->fh);
}

// The one catch: libfuse's frames are C and must not be unwound.
template <typename Call>
auto guarded(Call&& call) -> decltype(call()) {
  try {
    return call();
  } catch (const std::bad_alloc&) {
    return fail(ENOMEM);
  } catch (const std::exception& error) {
    spdlog::error("event=exception what=\"{}\"", error.what());
    return fail(EIO);
  }
}

// Whether the call that gave `result` is to be made again when there is more room.
template <typename Result>
bool wants_space(OpsContext& context, const Result& result, bool last_try) {
  if (result || result.error() != Errno{ENOSPC}) return false;
  if (!last_try && context.evictor.may_help()) return true;
  context.evictor.count_refused();
  return false;
}

template <typename Again, typename Answer>
void park(OpsContext& context, const Caller& caller, Reply reply, Again again, Answer answer,
          MonoTime since);

// The second and later times: on a worker, where a call may block. `since`: when it first met
// ENOSPC.
template <typename Again, typename Answer>
void run_late(OpsContext& context, const Caller& caller, Reply reply, Again again, Answer answer,
              MonoTime since, bool last_try) {
  auto late = guarded([&] { return again(context.filesystem, caller); });
  // The inode went to another unit on the way to its lock.
  while (!late && late.error() == kDefer) {
    late = guarded([&] { return again(context.filesystem, caller); });
  }
  if (wants_space(context, late, last_try)) {
    park(context, caller, std::move(reply), std::move(again), std::move(answer), since);
    return;
  }
  answer(std::move(reply), std::move(late));
}

template <typename Again, typename Answer>
void start_late(OpsContext& context, const Caller& caller, Reply reply, Again again, Answer answer,
                MonoTime since, bool last_try) {
  context.workers.run([&context, caller, reply = std::move(reply), again = std::move(again),
                       answer = std::move(answer), since, last_try]() mutable {
    run_late(context, caller, std::move(reply), std::move(again), std::move(answer), since,
             last_try);
  });
}

template <typename Again, typename Answer>
void park(OpsContext& context, const Caller& caller, Reply reply, Again again, Answer answer,
          MonoTime since) {
  context.evictor.wait_for_space(
      since, [&context, caller, reply = std::move(reply), again = std::move(again),
              answer = std::move(answer), since](bool last_try) mutable {
        start_late(context, caller, std::move(reply), std::move(again), std::move(answer), since,
                   last_try);
      });
}

// Runs `call(filesystem, caller)` and hands its result to `answer(reply, result)`; a second time,
// on a worker, when the first may not block, or when there was no space. Both must own what they
// refer to: the handler has then returned. Copying is put off until it is needed by giving `own`
// instead, which makes the owning call.
template <typename Call, typename Own, typename Answer>
void run(fuse_req_t request, Call call, Own own, Answer answer) {
  OpsContext& context = context_of(request);
  Caller caller = caller_of(request);
  auto result = guarded([&] { return call(context.filesystem, caller); });
  const bool deferred = !result && result.error() == kDefer;
  if (!deferred && !wants_space(context, result, false)) {
    answer(Reply(request), std::move(result));
    return;
  }
  caller.may_block = true;
  const MonoTime now = std::chrono::steady_clock::now();
  auto timed = [&context, begun = RequestTimer::hand_over(), answer = std::move(answer)](
                   Reply reply, auto late) mutable {
    Reply::last_error() = 0;
    answer(std::move(reply), std::move(late));
    RequestTimer::done(context.times, begun);
  };
  if (deferred) {
    start_late(context, caller, Reply(request), own(), std::move(timed), now, false);
  } else {
    park(context, caller, Reply(request), own(), std::move(timed), now);
  }
}

// For calls that own their arguments anyway.
template <typename Call, typename Answer>
void run(fuse_req_t request, Call call, Answer answer) {
  run(request, call, [&call] { return call; }, std::move(answer));
}

// For calls that take names: `call(filesystem, caller, names...)`.
template <typename Call, typename Answer, typename... Names>
void run_named(fuse_req_t request, Call call, Answer answer, Names... names) {
  run(
      request, [&](Filesystem& fs, const Caller& caller) { return call(fs, caller, names...); },
      [&] {
        return [call, owned = std::make_tuple(std::string(names)...)](Filesystem& fs,
                                                                      const Caller& caller) {
          return std::apply([&](const auto&... name) { return call(fs, caller, name.c_str()...); },
                            owned);
        };
      },
      std::move(answer));
}

// What a request is about: the first inode among a handler's arguments, and for calls that take a
// name there, the first name behind that.
struct Subject {
  NodeId inode = kNoNode;
  const char* name = nullptr;
};
template <typename... Arguments>
Subject subject_of(RequestKind kind, const Arguments&... arguments) {
  Subject subject;
  const auto look = [&subject]<typename T>(const T& argument) {
    if constexpr (std::is_same_v<T, fuse_ino_t>) {
      if (subject.inode == kNoNode) subject.inode = id_of(argument);
    } else if constexpr (std::is_same_v<T, const char*>) {
      if (subject.inode != kNoNode && subject.name == nullptr) subject.name = argument;
    }
  };
  (look(arguments), ...);
  switch (kind) {
    case RequestKind::lookup:
    case RequestKind::mknod:
    case RequestKind::mkdir:
    case RequestKind::symlink:
    case RequestKind::unlink:
    case RequestKind::rmdir:
    case RequestKind::rename:
    case RequestKind::create:
      return subject;
    default:  // an attribute's name, or that of a new link to the inode
      return {subject.inode, nullptr};
  }
}

// What tells the tracer of a request when it has been answered, on the thread that answered.
inline std::function<void(Duration)> told_to_tracer(OpsContext& context, fuse_req_t request,
                                                    RequestKind kind, const Subject& subject) {
  const fuse_ctx* who = fuse_req_ctx(request);
  Tracer::Request traced{
      .kind = kind, .begun = std::chrono::system_clock::now(), .uid = who->uid, .pid = who->pid};
  Reply::last_error() = 0;
  return [&context, traced = std::move(traced), inode = subject.inode,
          name = std::string(subject.name == nullptr ? "" : subject.name)](Duration took) {
    Tracer::Request answered = traced;
    answered.took = took;
    answered.error = Reply::last_error();
    context.tracer.add(std::move(answered), std::chrono::steady_clock::now(),
                       [&] { return context.path_of(inode, name); });
  };
}

// A handler of the table, run to its end, that counts its request and takes its time.
template <RequestKind kind, auto handler>
struct Counted;
template <RequestKind kind, typename First, typename... Rest,
          void (*handler)(fuse_req_t, First, Rest...)>
struct Counted<kind, handler> {
  static void run(fuse_req_t request, First first, Rest... rest) {
    const NotCancelled to_its_end;
    if constexpr (std::is_same_v<First, fuse_ino_t>) {
      if (VirtualFiles::owns(id_of(first))) return handler(request, first, rest...);
    }
    OpsContext& context = context_of(request);
    context.requests.add(kind);
    RequestTimer timer(context.times, kind);
    if (context.tracer.on()) [[unlikely]] {
      timer.tell(told_to_tracer(context, request, kind, subject_of(kind, first, rest...)));
    }
    handler(request, first, rest...);
  }
};
template <RequestKind kind, auto handler>
inline constexpr auto kCounted = &Counted<kind, handler>::run;

inline void answer_entry(Reply reply, Result<Entry> entry) { reply.entry(std::move(entry)); }
inline void answer_status(Reply reply, Status status) { reply.done(status); }
inline void answer_attributes(Reply reply, Result<Attributes> attributes) {
  reply.attributes(attributes);
}
inline void answer_count(Reply reply, Result<std::size_t> count) { reply.written(count); }

// Adds the handlers of one file to the table.
void add_name_operations(fuse_lowlevel_ops& table);
void add_data_operations(fuse_lowlevel_ops& table);
void add_attribute_operations(fuse_lowlevel_ops& table);

}  // namespace ebbfs
