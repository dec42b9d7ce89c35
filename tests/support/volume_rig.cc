// SPDX-License-Identifier: Apache-2.0
#include "tests/support/volume_rig.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <map>
#include <set>

#include "fs/tree.h"

namespace ebbfs {
namespace {

// Longer than a rename may keep a unit frozen.
constexpr Duration kCheckPatience = std::chrono::seconds(15);

constexpr dev_t kDevice = 77;
constexpr const char* kMountPath = "/mnt/rig";

std::string text(const Usage& usage) {
  return fmt::format("{} bytes, {} inodes", usage.bytes.n, usage.inodes);
}

std::vector<UsageCell> sorted(std::vector<UsageCell> cells) {
  std::ranges::sort(cells, {}, [](const UsageCell& cell) { return std::pair(cell.uid, cell.gid); });
  return cells;
}

// The charge of everything below `top`, each inode once, by the unit whose path it lies below.
class Counter {
 public:
  explicit Counter(std::vector<std::string> units) : units_(std::move(units)) {}

  void count(const std::filesystem::path& path, const std::string& relative) {
    struct ::statx attributes;
    if (::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &attributes) != 0) {
      return;
    }
    if (seen_.insert(attributes.stx_ino).second) {
      auto& cell = cells_[unit_of(relative)][{attributes.stx_uid, attributes.stx_gid}];
      cell += charge_for(attributes);
      total_ += charge_for(attributes);
    }
    if (!is_directory(attributes)) return;
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      const std::string name = entry.path().filename();
      count(entry.path(),
            relative.empty() ? name : (std::filesystem::path(relative) / name).string());
    }
  }
  std::vector<UsageCell> cells(const std::string& unit) const {
    std::vector<UsageCell> cells;
    const auto found = cells_.find(unit);
    if (found == cells_.end()) return cells;
    for (const auto& [who, usage] : found->second) cells.push_back({who.first, who.second, usage});
    return cells;
  }
  Usage total() const { return total_; }

 private:
  std::string unit_of(const std::string& relative) const {
    for (const std::string& unit : units_) {
      if (relative == unit || relative.starts_with(unit + "/")) return unit;
    }
    return {};
  }

  const std::vector<std::string> units_;
  std::set<std::uint64_t> seen_;
  std::map<std::string, std::map<std::pair<uid_t, gid_t>, Usage>> cells_;
  Usage total_;
};

}  // namespace

const char* const kRigPolicy = R"(
[volume]
trash_retention = "10m"
adopt_grace = "0s"
[[class]]
name = "worktree"
kind = "tree"
match = ["worktrees/*"]
ttl = "1h"
keep = "0s"
[[class]]
name = "lock"
kind = "lock"
match = ["locks/**", "{git}/**/*.lock", "worktrees/*/*.lock"]
orphan_grace = "5s"
ttl = "5m"
)";

void RecordingInvalidator::removed(InodeId, NodeId, const std::string& name) {
  const MutexLock lock(mu_);
  told_.push_back("removed " + name);
}

void RecordingInvalidator::changed(InodeId, const std::string& name) {
  const MutexLock lock(mu_);
  told_.push_back("changed " + name);
}

void RecordingInvalidator::appeared(InodeId, const std::string& name) {
  const MutexLock lock(mu_);
  told_.push_back("appeared " + name);
}

std::vector<std::string> RecordingInvalidator::take() {
  const MutexLock lock(mu_);
  return std::exchange(told_, {});
}

bool RecordingInvalidator::has(std::string_view what) const {
  const MutexLock lock(mu_);
  return std::ranges::find(told_, what) != told_.end();
}

VolumeRig::VolumeRig(std::string policy, const std::filesystem::path& parent)
    : tree(parent), policy_text(std::move(policy)) {
  catch_up();
  set_mountpoints({});
}

VolumeRig::~VolumeRig() {
  if (parts_) crash();
}

void VolumeRig::load() {
  parts_ = std::make_unique<Parts>(clock);
  Parts& p = *parts_;
  p.backing = open_backing(tree.path()).value();
  p.index = UnitIndex::open(faults).value();
  auto policy = parse_policy(policy_text, "rig.toml");
  ASSERT_TRUE(policy.has_value()) << policy.error().message();
  p.rules = std::make_unique<Rules>(std::make_shared<const Policy>(std::move(*policy)));
  p.quotas = std::make_unique<Quotas>(*p.index, p.ledger, clock);
  ASSERT_TRUE(p.quotas->load(*p.rules->policy()).has_value());
  p.units = std::make_unique<UnitTable>(*p.index, p.ledger,
                                        p.index->load_root().value().value_or(UnitRecord{}));
  p.locks = std::make_unique<LockTable>(*p.index, processes);
  p.volume = std::unique_ptr<Volume>(new Volume{*p.backing, clock, processes, *p.index, p.ledger,
                                                p.accounting, *p.rules, p.inodes, p.directories,
                                                *p.units, *p.locks, *p.quotas});
  p.trash = std::make_unique<Trash>(*p.volume);
  ASSERT_TRUE(p.trash->load().has_value());
  p.tops = std::make_unique<TopSurvey>(*p.volume);
  auto units = p.index->load_units().value();
  for (UnitRecord& unit : units) {
    if (unit.id != kRootUnit) p.tops->add(p.units->restore(std::move(unit)));
  }
  p.quotas->start(*p.units);
  const auto in_force = p.rules->policy();
  auto locks = p.index->load_locks().value();
  for (LockRecord& record : locks) {
    const ClassRule* rule = in_force->find_class(record.class_name);
    p.locks->restore(std::move(record), rule != nullptr && rule->owner == OwnerMode::cgroup);
  }
}

// Files made by the test are stamped by the real clock.
void VolumeRig::catch_up() {
  const auto behind = std::chrono::system_clock::now() - clock.wall_now();
  if (behind > Duration::zero()) clock.step_wall(behind);
}

void VolumeRig::mount(bool census_to_end) {
  catch_up();
  load();
  Parts& p = *parts_;
  Inode::Place place;
  place.handle = p.backing->handle(p.backing->root(), "").value();
  place.unit = p.units->root();
  place.state = p.rules->classifier().root();
  place.mode = p.backing->stat(p.backing->root(), "")->stx_mode;
  p.root = p.inodes.intern(kRootInode, place);
  p.reaper = Reaper::open(*p.volume, *p.trash, kernel).value();
  p.census = std::make_unique<Census>(*p.volume, *p.reaper);
  p.checker = std::make_unique<Checker>(*p.volume, *p.trash, kCheckPatience);
  p.filesystem = std::make_unique<Filesystem>(*p.volume, *p.reaper, p.backing_ids, -1, 1U << 20U);
  p.filesystem->on_directory_moved(
      [census = p.census.get(), checker = p.checker.get()](const FileHandle& moved) {
        census->walk_again(moved);
        checker->walk_again(moved);
      });
  p.reaper->prepare();
  p.census->prepare(*p.tops);
  p.tops.reset();
  ASSERT_TRUE(p.index->mark_mounted(processes.boot_id(), clock.wall_now()).has_value());
  p.reaper->set_mounted({kDevice, kMountPath, tree.at(".mountinfo")});
  if (!census_to_end) return;
  while (p.census->step() != Census::Step::done) {
  }
}

void VolumeRig::unmount() {
  parts_->inodes.clear_lookups();
  const auto dirty = parts_->units->flush(clock.wall_now(), Duration::zero(), true);
  if (dirty == 0) {
    EXPECT_TRUE(parts_->index->mark_clean().has_value());
  }
  crash();
}

void VolumeRig::crash() {
  // The watches of a process go with it.
  for (const LockRef& lock : parts_->locks->all()) {
    const MutexLock held(lock->mu);
    if (!lock->watched) continue;
    if (lock->owned_by_cgroup) processes.unwatch_cgroup(lock->record.owner.cgroup);
    if (!lock->owned_by_cgroup) processes.unwatch(lock->record.owner.process.id);
  }
  (void)processes.drain_ended();
  parts_->inodes.clear_lookups();
  parts_->root = {};
  parts_.reset();
}

void VolumeRig::reload(const std::string& policy) {
  auto parsed = parse_policy(policy, "rig.toml");
  ASSERT_TRUE(parsed.has_value()) << parsed.error().message();
  parts_->rules->replace(std::make_shared<const Policy>(std::move(*parsed)));
  parts_->reaper->rules_changed();
}

void VolumeRig::set_mountpoints(const std::vector<std::string>& below) {
  std::ofstream out(tree.at(".mountinfo"));
  out << "21 1 0:77 / " << kMountPath << " rw - fuse.ebbfs rig rw\n";
  for (const std::string& path : below) {
    out << "22 21 0:99 / " << kMountPath << "/" << path << " rw - tmpfs none rw\n";
  }
}

Caller VolumeRig::caller(pid_t tid) const {
  return {.uid = 0, .gid = 0, .tid = tid, .umask = 022, .may_block = true};
}

NodeId VolumeRig::at(const std::string& path) {
  NodeId id = kRootNode;
  for (const std::string_view component : components_of(path)) {
    const auto entry = parts_->filesystem->lookup(caller(0), id, std::string(component).c_str());
    if (!entry || entry->id == kNoNode) return kNoNode;
    entry->inode.add_lookup();
    id = entry->id;
  }
  return id;
}

NodeId VolumeRig::parent_of(const std::string& path) { return at(split_path(path).directory); }

Status VolumeRig::make_dir(const std::string& path, pid_t tid) {
  const std::string name = split_path(path).name;
  const auto entry =
      parts_->filesystem->make_directory(caller(tid), parent_of(path), name.c_str(), 0755);
  if (!entry) return std::unexpected(entry.error());
  entry->inode.add_lookup();
  return {};
}

Status VolumeRig::write_file(const std::string& path, std::string_view content, pid_t tid) {
  const std::string name = split_path(path).name;
  auto created = parts_->filesystem->create(caller(tid), parent_of(path), name.c_str(), 0644,
                                            O_CREAT | O_RDWR);
  if (!created) return std::unexpected(created.error());
  created->entry.inode.add_lookup();
  OpenFile* const file = created->opened.file.release();
  Status written;
  if (!content.empty()) written = append(file, content);
  close(file);
  return written;
}

Status VolumeRig::take_lock(const std::string& path, pid_t tid, std::string_view content) {
  if (at(path) != kNoNode) return fail(EEXIST);
  return write_file(path, content, tid);
}

Status VolumeRig::make_symlink(const std::string& path, const char* target, pid_t tid) {
  const std::string name = split_path(path).name;
  const auto entry =
      parts_->filesystem->make_symlink(caller(tid), parent_of(path), name.c_str(), target);
  if (!entry) return std::unexpected(entry.error());
  entry->inode.add_lookup();
  return {};
}

Status VolumeRig::link(const std::string& path, const std::string& to, pid_t tid) {
  const std::string name = split_path(to).name;
  const auto entry = parts_->filesystem->link(caller(tid), at(path), parent_of(to), name.c_str());
  if (!entry) return std::unexpected(entry.error());
  entry->inode.add_lookup();
  return {};
}

Status VolumeRig::rename(const std::string& path, const std::string& to, pid_t tid,
                         unsigned flags) {
  (void)at(path);
  (void)at(to);
  return parts_->filesystem->rename(caller(tid), parent_of(path), split_path(path).name.c_str(),
                                    parent_of(to), split_path(to).name.c_str(), flags);
}

Status VolumeRig::remove(const std::string& path, pid_t tid) {
  const std::string name = split_path(path).name;
  const NodeId parent = parent_of(path);
  auto removed = parts_->filesystem->unlink(caller(tid), parent, name.c_str());
  if (!removed && removed.error() == Errno{EISDIR}) {
    removed = parts_->filesystem->remove_directory(caller(tid), parent, name.c_str());
  }
  return removed;
}

Status VolumeRig::change_owner(const std::string& path, uid_t uid, gid_t gid) {
  AttributeChange change;
  change.uid = uid;
  change.gid = gid;
  const auto changed = parts_->filesystem->set_attributes(caller(0), at(path), nullptr, change);
  if (!changed) return std::unexpected(changed.error());
  return {};
}

OpenFile* VolumeRig::open(const std::string& path, int flags) {
  auto opened = parts_->filesystem->open(caller(0), at(path), flags, false);
  EXPECT_TRUE(opened.has_value()) << path;
  return opened ? opened->file.release() : nullptr;
}

Errno VolumeRig::open_error(const std::string& path, int flags) {
  auto opened = parts_->filesystem->open(caller(0), at(path), flags, false);
  if (!opened) return opened.error();
  close(opened->file.release());
  return Errno{0};
}

Status VolumeRig::append(OpenFile* file, std::string_view content) {
  const auto end = parts_->backing->stat(file->fd(), "");
  if (!end) return std::unexpected(end.error());
  const auto written =
      parts_->filesystem->write(caller(0), *file, std::as_bytes(std::span(content)),
                                static_cast<off_t>(end->stx_size), false);
  if (!written) return std::unexpected(written.error());
  return {};
}

void VolumeRig::close(OpenFile* file) {
  EXPECT_TRUE(parts_->filesystem->release(caller(0), file).has_value());
}

UnitRef VolumeRig::unit(const std::string& path) { return parts_->units->find_by_path(path); }

LockRef VolumeRig::lock(const std::string& path) {
  for (const LockRef& lock : parts_->locks->all()) {
    const MutexLock held(lock->mu);
    if (lock->record.path == path) return lock;
  }
  return nullptr;
}

std::vector<EventRecord> VolumeRig::events() { return parts_->index->newest_events(1000).value(); }

std::optional<EventRecord> VolumeRig::last_event(EventRecord::Kind kind) {
  std::optional<EventRecord> last;
  for (EventRecord& event : events()) {
    if (event.kind == kind) last = std::move(event);
  }
  return last;
}

testing::AssertionResult VolumeRig::exact() {
  std::vector<std::string> paths;
  for (const UnitRef& unit : parts_->units->all()) paths.push_back(unit->path());
  Counter counter(paths);
  Counter trash({});
  for (const auto& entry : std::filesystem::directory_iterator(tree.path())) {
    const std::string name = entry.path().filename();
    if (name != kStateDirName) counter.count(entry.path(), name);
  }
  for (const auto& entry : std::filesystem::directory_iterator(tree.at(".ebbfs/trash"))) {
    trash.count(entry.path(), "");
  }
  auto result = testing::AssertionSuccess();
  const auto compare = [&](const std::string& what, const Usage& counted, const Usage& held) {
    if (counted == held) return;
    if (result) result = testing::AssertionFailure();
    result << "\n  " << what << ": counted " << text(counted) << ", charged " << text(held);
  };
  auto units = parts_->units->all();
  units.push_back(parts_->units->root());
  for (const UnitRef& unit : units) {
    Usage counted;
    for (const UsageCell& cell : counter.cells(unit->path())) counted += cell.usage;
    const std::string name = unit->is_root() ? "the root unit" : unit->path();
    compare(name, counted, unit->accounts().total().usage());
    if (sorted(counter.cells(unit->path())) == sorted(unit->accounts().cells())) continue;
    if (result) result = testing::AssertionFailure();
    result << "\n  " << name << ": charged to other users";
  }
  compare("the volume", counter.total() + trash.total(), parts_->ledger.volume().usage());
  compare("the trash", trash.total(), parts_->trash->held().usage);
  return result;
}

}  // namespace ebbfs
