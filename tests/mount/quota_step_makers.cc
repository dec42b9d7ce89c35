// SPDX-License-Identifier: Apache-2.0
//
// The operations of QuotaSteps: what each does, and what it should do to the model.
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "tests/mount/quota_steps.h"
#include "tests/support/plain_files.h"
#include "tools/control_client.h"

namespace ebbfs::test {
namespace {

// O_PATH-like care: a FIFO must not block.
UniqueFd open_file(const std::string& path, int flags) {
  return UniqueFd(::open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW, 0666));
}

int act_on(const std::string& path, int flags, const std::function<bool(int)>& act) {
  const UniqueFd fd = open_file(path, flags);
  return fd.valid() ? result_of(act(fd.get())) : errno;
}

int write_all(int fd, std::int64_t offset, std::int64_t count, bool appends) {
  const std::string bytes(static_cast<std::size_t>(count), 'w');
  const ssize_t done = appends ? ::write(fd, bytes.data(), bytes.size())
                               : ::pwrite(fd, bytes.data(), bytes.size(), offset);
  if (done < 0) return errno;
  return done == count ? 0 : EIO;
}

}  // namespace

void QuotaSteps::create(Plan& plan) {
  const std::string path = fresh();
  if (path.empty()) return;
  plan.text = "create " + path;
  plan.after.make(path, {.who = who_});
  plan.act = [name = full(path)] {
    return result_of(open_file(name, O_WRONLY | O_CREAT | O_EXCL).valid());
  };
}

void QuotaSteps::make_other(Plan& plan) {
  const std::string path = fresh();
  if (path.empty()) return;
  constexpr std::array kOtherKinds{'d', 'd', 'd', 'l', 'p', 'f'};
  const char kind = kOtherKinds[below(kOtherKinds.size())];
  plan.text = std::string("make ") + kind + " " + path;
  plan.after.make(path, {.kind = kind, .who = who_});
  plan.act = [name = full(path), kind] {
    if (kind == 'd') return result_of(::mkdir(name.c_str(), 0777) == 0);
    if (kind == 'l') return result_of(::symlink("target", name.c_str()) == 0);
    return result_of(::mknod(name.c_str(), (kind == 'p' ? S_IFIFO : S_IFREG) | 0666, 0) == 0);
  };
}

void QuotaSteps::write(Plan& plan) {
  const std::string path = some("f");
  if (path.empty()) return;
  ModelInode& inode = *plan.after.at(path);
  constexpr std::array kFlags{0, O_APPEND, O_DIRECT, O_DIRECT | O_APPEND, O_SYNC};
  const int flags = O_WRONLY | kFlags[below(kFlags.size())];
  const bool appends = (flags & O_APPEND) != 0;
  const std::int64_t offset = appends ? inode.size : length();
  const std::int64_t count = std::min<std::int64_t>(length(), 65536);
  plan.text = (appends ? "append " : "write ") + path + " at " + std::to_string(offset) + " " +
              std::to_string(count) + " bytes";
  inode.size = std::max(inode.size, offset + count);
  plan.act = [=, name = full(path)] {
    const UniqueFd fd = open_file(name, flags);
    return fd.valid() ? write_all(fd.get(), offset, count, appends) : errno;
  };
}

void QuotaSteps::truncate(Plan& plan) {
  const std::string path = some("f");
  if (path.empty()) return;
  const std::size_t how = below(8);
  const std::int64_t size = how == 0   ? std::int64_t{1} << (30 + below(10))
                            : how == 1 ? 0
                                       : length();
  plan.text = "truncate " + path + " to " + std::to_string(size);
  plan.after.at(path)->size = size;
  plan.act = [=, name = full(path)] {
    if (size == 0 && how == 1) return result_of(open_file(name, O_RDWR | O_TRUNC).valid());
    return result_of(::truncate(name.c_str(), size) == 0);
  };
}

void QuotaSteps::allocate(Plan& plan) {
  const std::string path = some("f");
  if (path.empty()) return;
  ModelInode& inode = *plan.after.at(path);
  constexpr std::array kModes{0,
                              0,
                              FALLOC_FL_KEEP_SIZE,
                              FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE,
                              FALLOC_FL_ZERO_RANGE,
                              FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
                              FALLOC_FL_COLLAPSE_RANGE,
                              FALLOC_FL_INSERT_RANGE};
  const int mode = kModes[below(kModes.size())];
  const std::int64_t unit =
      (mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE)) != 0 ? 4096 : 1;
  const std::int64_t offset = length() / unit * unit;
  const std::int64_t count = (length() / unit + 1) * unit;
  const bool keeps = (mode & FALLOC_FL_KEEP_SIZE) != 0;
  const bool punches = (mode & FALLOC_FL_PUNCH_HOLE) != 0;
  plan.text = "fallocate " + std::to_string(mode) + " " + path + " at " + std::to_string(offset) +
              " " + std::to_string(count) + " bytes";
  if (unit != 1 || (keeps && !punches && offset + count > inode.size)) {
    plan.errors = {EOPNOTSUPP};
  } else if (!keeps) {
    inode.size = std::max(inode.size, offset + count);
  }
  plan.may_be_unsupported = (mode & FALLOC_FL_ZERO_RANGE) != 0;
  plan.act = [=, name = full(path)] {
    return act_on(name, O_WRONLY,
                  [&](int fd) { return ::fallocate(fd, mode, offset, count) == 0; });
  };
}

void QuotaSteps::copy(Plan& plan) {
  const std::string from = some("f");
  const std::string to = some("f");
  if (from.empty() || plan.after.names.at(from) == plan.after.names.at(to)) return;
  const std::int64_t there = plan.after.at(from)->size;
  const std::int64_t start = below(3) == 0 ? length() : 0;
  const std::int64_t count = std::min(length(), std::max<std::int64_t>(there - start, 0));
  const std::int64_t offset = length();
  if (count == 0) return;
  ModelInode& inode = *plan.after.at(to);
  inode.size = std::max(inode.size, offset + count);
  plan.text = "copy " + std::to_string(count) + " bytes of " + from + " to " + to + " at " +
              std::to_string(offset);
  plan.act = [=, source = full(from), name = full(to)] {
    const UniqueFd in = open_file(source, O_RDONLY);
    return act_on(name, O_WRONLY, [&](int fd) {
      off_t from_offset = start;
      off_t to_offset = offset;
      return ::copy_file_range(in.get(), &from_offset, fd, &to_offset,
                               static_cast<std::size_t>(count), 0) == count;
    });
  };
}

void QuotaSteps::link(Plan& plan) {
  const std::string from = some("flp");
  const std::string to = fresh();
  if (from.empty() || to.empty()) return;
  who_ = {};  // protected_hardlinks
  plan.text = "link " + from + " to " + to;
  if (place_of(to).top || place_of(from).unit != place_of(to).unit) {
    plan.errors = {EXDEV};
  } else {
    plan.after.link(plan.after.names.at(from), to);
  }
  plan.act = [source = full(from), name = full(to)] {
    return result_of(::link(source.c_str(), name.c_str()) == 0);
  };
}

void QuotaSteps::rename(Plan& plan) {
  const std::string from = some("fflpd");
  const std::string to = any();
  const UnitPlace source = place_of(from);
  const UnitPlace target = place_of(to);
  const bool fixed = !from.contains('/') || (from.starts_with("other/") && source.unit.empty());
  if (from.empty() || fixed || from == to) return;
  if (to.starts_with(from + "/") || from.starts_with(to + "/")) return;
  const bool noreplace = below(4) == 0;
  plan.text = "rename " + from + " to " + to + (noreplace ? " unless it is there" : "");
  plan.act = [=, one = full(from), other = full(to)] {
    return result_of(::renameat2(AT_FDCWD, one.c_str(), AT_FDCWD, other.c_str(),
                                 noreplace ? RENAME_NOREPLACE : 0) == 0);
  };
  const ModelInode& moved = *model_.at(from);
  const ModelInode* replaced = model_.at(to);
  if (replaced != nullptr) {
    if (noreplace) {
      plan.errors = {EEXIST};
    } else if (model_.names.at(from) == model_.names.at(to)) {
      return;  // two names of one file: nothing happens
    } else if ((moved.kind == 'd') != (replaced->kind == 'd')) {
      plan.errors = {moved.kind == 'd' ? ENOTDIR : EISDIR};
    } else if (!model_.empty(to)) {
      plan.errors = {ENOTEMPTY, EEXIST, EXDEV, EDQUOT};  // XFS: EEXIST
    }
    if (!plan.errors.empty()) return;
    if (replaced->links == 1 && replaced->opens == 0) {
      plan.victim = {replaced->kind == 'f' ? charge_for_size(replaced->size).n : 0, 1};
      plan.victim_place = target;
      if (target.top) plan.victim_place.unit.clear();  // it was another unit
      plan.victim_who = replaced->who;
    }
  }
  const bool keeps = keeps_unit(source, target);
  const bool within = !source.top && !target.top && source.unit == target.unit;
  if (!keeps && !within && model_.has_linked(from)) {
    plan.errors = {EXDEV};
    return;
  }
  plan.renames_unit = keeps;
  if (target.top) plan.new_unit = target.unit;
  rename_from_ = source;
  rename_to_ = target;
  plan.after.move(from, to);
}

void QuotaSteps::exchange(Plan& plan) {
  const std::string one = some("fld");
  const std::string other = some("fld");
  const auto fixed = [](const std::string& path) {
    return !path.contains('/') || (path.starts_with("other/") && place_of(path).unit.empty());
  };
  if (one.empty() || other.empty() || fixed(one) || fixed(other) || one == other) return;
  if (one.starts_with(other + "/") || other.starts_with(one + "/")) return;
  if (model_.names.at(one) == model_.names.at(other)) return;
  const UnitPlace first = place_of(one);
  const UnitPlace second = place_of(other);
  plan.text = "exchange " + one + " and " + other;
  plan.act = [name = full(one), with = full(other)] {
    return result_of(::renameat2(AT_FDCWD, name.c_str(), AT_FDCWD, with.c_str(), RENAME_EXCHANGE) ==
                     0);
  };
  const bool within = !first.top && !second.top && first.unit == second.unit;
  if (!within && !keeps_unit(first, second)) {
    plan.errors = {EXDEV};
    return;
  }
  if (!within) {
    rename_from_ = first;
    rename_to_ = second;
    if (refusal_of_unit_rename() == 0) std::swap(rename_from_, rename_to_);
    plan.renames_unit = true;
  }
  plan.after.exchange(one, other);
}

void QuotaSteps::remove(Plan& plan) {
  const std::string path = some("fflpd");
  const bool fixed =
      !path.contains('/') || (path.starts_with("other/") && place_of(path).unit.empty());
  if (path.empty() || fixed) return;
  plan.text = "remove " + path;
  if (model_.empty(path)) {
    plan.after.unlink(path);
  } else {
    plan.errors = {ENOTEMPTY, EEXIST};
  }
  const bool directory = model_.at(path)->kind == 'd';
  plan.act = [name = full(path), directory] {
    return result_of((directory ? ::rmdir(name.c_str()) : ::unlink(name.c_str())) == 0);
  };
}

void QuotaSteps::own(Plan& plan) {
  const std::string path = some("fflpd");
  if (path.empty()) return;
  who_ = {};
  constexpr std::array<unsigned, 3> kIds{0, kAlice, kBob};
  const unsigned user = kIds[below(3)];
  const unsigned group = kIds[below(3)];
  const std::size_t how = below(3);
  ModelInode& inode = *plan.after.at(path);
  if (how != 0) inode.who.uid = user;
  if (how != 1) inode.who.gid = group;
  plan.text = "chown " + path + " to " + std::to_string(inode.who.uid) + ":" +
              std::to_string(inode.who.gid);
  plan.act = [=, name = full(path)] {
    return result_of(::lchown(name.c_str(), how != 0 ? user : static_cast<uid_t>(-1),
                              how != 1 ? group : static_cast<gid_t>(-1)) == 0);
  };
}

void QuotaSteps::hold(Plan& plan) {
  const std::string path = some("f");
  if (path.empty() || held_.size() > 6) return;
  const int number = plan.after.names.at(path);
  if (held_.contains(number)) return;
  ++plan.after.inodes.at(number).opens;
  plan.text = "hold " + path;
  plan.act = [this, number, name = full(path)] {
    UniqueFd fd = open_file(name, O_WRONLY);  // of others the kernel cuts writes at pages
    if (!fd.valid()) return errno;
    held_.emplace(number, std::move(fd));
    return 0;
  };
}

void QuotaSteps::nameless(Plan& plan) {
  const std::string path = directory();
  if (held_.size() > 6) return;
  const ModelInode inode{.who = who_, .links = 0, .opens = 1, .place = place_of(path)};
  const int number = plan.after.make(path, inode);
  plan.text = "nameless file in " + path;
  plan.act = [this, number, name = full(path)] {
    UniqueFd fd(::open(name.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666));
    if (!fd.valid()) return errno;
    held_.insert_or_assign(number, std::move(fd));
    nameless_.insert(number);
    return 0;
  };
}

void QuotaSteps::write_held(Plan& plan) {
  if (held_.empty()) return;
  const auto held = std::next(held_.begin(), static_cast<std::ptrdiff_t>(below(held_.size())));
  ModelInode& inode = plan.after.inodes.at(held->first);
  const std::int64_t offset = length();
  const std::int64_t count = std::min<std::int64_t>(length(), 65536);
  const std::size_t how = below(4);
  plan.text = std::string(how == 0   ? "truncate"
                          : how == 1 ? "give away"
                                     : "write") +
              " held " + std::to_string(held->first) + " at " + std::to_string(offset) + " " +
              std::to_string(count) + " bytes, of " + inode.place.unit + ", uid " +
              std::to_string(inode.who.uid) + " size " + std::to_string(inode.size);
  plan.of_gone_unit = inode.place.unit.empty() && !inode.place.class_name.empty();
  plan.act = [=, fd = held->second.get()] {
    if (how == 0) return result_of(::ftruncate(fd, offset) == 0);
    if (how == 1) return result_of(::fchown(fd, kBob, kAlice) == 0);
    return write_all(fd, offset, count, false);
  };
  if (how == 0) {
    inode.size = offset;
  } else if (how == 1) {
    who_ = {};
    inode.who = {kBob, kAlice};
  } else {
    inode.size = std::max(inode.size, offset + count);
  }
}

void QuotaSteps::name_held(Plan& plan) {
  if (held_.empty()) return;
  const auto held = std::next(held_.begin(), static_cast<std::ptrdiff_t>(below(held_.size())));
  const std::string to = fresh();
  if (to.empty()) return;
  who_ = {};
  const ModelInode& inode = plan.after.inodes.at(held->first);
  plan.text = "name held " + std::to_string(held->first) + " " + to;
  const bool gone = inode.place.unit.empty() != inode.place.class_name.empty();
  if (gone || place_of(to).top || inode.place.unit != place_of(to).unit) {
    plan.errors = {EXDEV, ENOENT};
  } else if (inode.links == 0) {
    // The last name gone is gone for good; only what never had one may get its first.
    if (!nameless_.contains(held->first)) plan.errors = {ENOENT};
    plan.after.link(held->first, to);
  } else {
    plan.after.link(held->first, to);
  }
  plan.act = [this, number = held->first, fd = held->second.get(), name = full(to)] {
    const std::string self = "/proc/thread-self/fd/" + std::to_string(fd);
    const int flags = AT_SYMLINK_FOLLOW;
    if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, name.c_str(), flags) != 0) return errno;
    nameless_.erase(number);
    return 0;
  };
}

void QuotaSteps::release(Plan& plan) {
  if (held_.empty()) return;
  const auto held = std::next(held_.begin(), static_cast<std::ptrdiff_t>(below(held_.size())));
  plan.text = "release " + std::to_string(held->first);
  plan.after.close(held->first);
  plan.act = [this, number = held->first] {
    held_.erase(number);
    nameless_.erase(number);
    return 0;
  };
}

void QuotaSteps::expire(Plan& plan) {
  std::string unit;
  for (const auto& [path, number] : model_.names) {
    if (place_of(path).top && (unit.empty() || below(3) == 0)) unit = path;
  }
  if (unit.empty()) return;
  who_ = {};
  plan.text = "expire " + unit;
  if (model_.has_open(place_of(unit))) {
    plan.errors = {EBUSY};
  } else {
    plan.after.expire(unit);
    if (limits_.contains("volume")) plan.after.trash = {};
  }
  plan.act = [this, unit, busy = !plan.errors.empty()] {
    ControlRequest request;
    request.command = command::kExpire;
    request.path = unit;
    const auto expired = [&] { return ask(root_, request).exit_code == kExitDone; };
    // Files closed just now are open a little longer.
    if (!(busy ? expired() : eventually(expired, std::chrono::seconds(5)))) return EBUSY;
    return !limits_.contains("volume") || empty_trash() ? 0 : EIO;
  };
}

// The trash goes by itself when the volume's limit is reached, at no moment that can be foretold:
// so there is none while the volume has a limit.
bool QuotaSteps::empty_trash() {
  ControlRequest empty;
  empty.command = command::kTrashEmpty;
  if (ask(root_, empty).exit_code != kExitDone) return false;
  ControlRequest list;
  list.command = command::kTrashList;
  return eventually([&] { return ask(root_, list).body["items"].empty(); },
                    std::chrono::seconds(10));
}

int QuotaSteps::set_limit(const std::string& scope, const ModelLimit& limit, bool soft) {
  ControlRequest request;
  request.scope = scope;
  request.command = command::kQuotaClear;
  const bool cleared = limit.bytes == kUnlimited && limit.inodes == kUnlimited;
  if (!cleared) {
    request.command = command::kQuotaSet;
    // A soft limit without grace is as hard.
    request.quota = {.bytes = soft ? kUnlimited : limit.bytes,
                     .soft_bytes = soft ? limit.bytes : kUnlimited,
                     .inodes = soft ? kUnlimited : limit.inodes,
                     .soft_inodes = soft ? limit.inodes : kUnlimited,
                     .grace = "0s"};
  }
  const ControlReply reply = ask(root_, request);
  return reply.exit_code == kExitDone ? 0 : EINVAL;
}

void QuotaSteps::limit(Plan& plan) {
  who_ = {};
  std::vector<std::string> scopes{"volume"};
  ByScope usage = model_.usage();
  for (const auto& [scope, held] : usage) scopes.push_back(scope);
  const std::string scope = scopes[below(scopes.size())];
  const bool set = limits_.contains(scope);
  ModelLimit limit;
  if (!set || below(3) != 0) {
    const Counted held = usage[scope];
    const auto room = [&](std::int64_t most) {
      return static_cast<std::int64_t>(below(static_cast<std::size_t>(most)));
    };
    const std::size_t what = below(4);
    if (what != 0) limit.bytes = held.bytes + room(200000) - 4096;
    if (what != 1) limit.inodes = held.inodes + room(6) - 1;
    limit = {std::max<std::int64_t>(limit.bytes, 0), std::max<std::int64_t>(limit.inodes, 0)};
  }
  // Renaming a unit asks hard limits only.
  const bool soft = below(4) == 0 && !scope.starts_with("unit:");
  plan.text = "limit " + scope + (soft ? " softly" : "") + " to " + std::to_string(limit.bytes) +
              " bytes, " + std::to_string(limit.inodes) + " inodes";
  if (scope == "volume") plan.after.trash = {};
  plan.act = [=, this] {
    if (scope == "volume" && !empty_trash()) return EIO;
    const int outcome = set_limit(scope, limit, soft);
    if (outcome != 0) return outcome;
    limits_.erase(scope);
    if (limit.bytes != kUnlimited || limit.inodes != kUnlimited) limits_.emplace(scope, limit);
    return 0;
  };
}

}  // namespace ebbfs::test
