// SPDX-License-Identifier: Apache-2.0
#include "fs/daemon.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>

#include "fs/capabilities.h"
#include "fs/census.h"
#include "fs/checker.h"
#include "fs/control.h"
#include "fs/credentials.h"
#include "fs/evictor.h"
#include "fs/explainer.h"
#include "fs/exports.h"
#include "fs/filesystem.h"
#include "fs/git_state.h"
#include "fs/guardian.h"
#include "fs/hooks.h"
#include "fs/index_opening.h"
#include "fs/index_watch.h"
#include "fs/metric_counts.h"
#include "fs/metrics.h"
#include "fs/mount.h"
#include "fs/mount_table.h"
#include "fs/notifier.h"
#include "fs/ops.h"
#include "fs/policy_source.h"
#include "fs/reaper.h"
#include "fs/sampler.h"
#include "fs/service_notice.h"
#include "fs/signal_thread.h"
#include "fs/space_gate.h"
#include "fs/trash.h"
#include "fs/tree.h"
#include "fs/unit_recovery.h"
#include "fs/virtual_files.h"
#include "fs/workers.h"

namespace ebbfs {
namespace {

constexpr std::size_t kWorkers = 16;
// Of the descriptors that may be open, how many directories may take, and how many open files may
// not: those are for requests that need one for a moment, the index, and processes that are
// watched.
constexpr std::size_t kDirectoriesMax = 8192;
constexpr std::size_t kDirectoriesShare = 4;
constexpr std::size_t kSpareShare = 16;

std::unexpected<std::string> cannot(const std::string& what, Errno error, const char* cure) {
  return std::unexpected(what + ": " + std::strerror(code(error)) + cure);
}

// As many descriptors as the hard limit allows; returns it.
std::size_t raise_descriptor_limit() {
  struct rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_max == RLIM_INFINITY ? 1U << 20U : limit.rlim_max;
}

// The objects of one volume, in the order in which they need each other; destroyed in reverse.
struct Parts {
  std::size_t descriptors = 0;    // that may be open
  bool whole_filesystem = false;  // nobody but us uses the filesystem that it lies on
  std::unique_ptr<Backing> backing;
  std::unique_ptr<Exports> exports;
  OpenedIndex opened;
  std::unique_ptr<ProcessTable> processes;
  SystemClock clock;
  UsageLedger ledger;
  Accounting accounting{ledger, clock};
  std::unique_ptr<Quotas> quotas;
  std::unique_ptr<Rules> rules;
  InodeTable inodes;
  std::unique_ptr<DirCache> directories;
  std::unique_ptr<UnitTable> units;
  std::unique_ptr<LockTable> locks;
  std::unique_ptr<Volume> volume;
  std::unique_ptr<TopSurvey> tops;  // until what is counted is decided
  std::unique_ptr<IndexWatch> watch;
  InodeRef root;
  KernelChannel channel{inodes};
  std::unique_ptr<SpaceGate> space;
  std::unique_ptr<Notifier> notifier;
  std::unique_ptr<Trash> trash;
  std::unique_ptr<Reaper> reaper;
  std::unique_ptr<Evictor> evictor;
  std::unique_ptr<Census> census;
  std::unique_ptr<Checker> checker;
  std::unique_ptr<Sampler> sampler;
  std::unique_ptr<Filesystem> filesystem;
  std::unique_ptr<Explainer> explainer;
  Tracer tracer;
  std::unique_ptr<Hooks> hooks;
  std::unique_ptr<Control> control;
  std::unique_ptr<MetricCounts> metric_counts;
  std::unique_ptr<Metrics> metrics;
  std::unique_ptr<VirtualFiles> virtual_files;
  std::unique_ptr<OpsContext> context;
  std::unique_ptr<Workers> workers;
};

const char* hint_for_backing(const std::string& directory, Errno error) {
  struct statfs filesystem{};
  if (::statfs(directory.c_str(), &filesystem) == 0 && filesystem.f_type == FUSE_SUPER_MAGIC) {
    return " (it lies on a FUSE mount; name the directory of the filesystem underneath)";
  }
  if (error == Errno{EOPNOTSUPP}) {
    return " (its filesystem has no file handles: ext4, XFS, btrfs, tmpfs do)";
  }
  return error == Errno{EPERM} || error == Errno{EACCES} ? " (needs root)" : "";
}

std::expected<void, std::string> open_storage(const Options& options, const Seams& seams,
                                              Parts& parts) {
  auto backing = seams.open_backing(options.backing, options.access_times);
  if (!backing) {
    return cannot("cannot use " + options.backing, backing.error(),
                  hint_for_backing(options.backing, backing.error()));
  }
  parts.backing = std::move(*backing);
  const auto space = parts.backing->filesystem_stat();
  if (space && (space->f_flag & ST_RDONLY) != 0) {
    return std::unexpected(options.backing +
                           " lies on a read-only filesystem; remount that read-write first");
  }
  parts.exports = std::make_unique<Exports>(parts.backing->state_dir());
  auto opened = open_index(parts.backing->state_dir(), options.backing, parts.exports->found().any,
                           parts.clock.wall_now(), seams.before_store);
  if (!opened) return std::unexpected(opened.error());
  parts.opened = std::move(*opened);
  auto processes = open_process_table();
  if (!processes) return cannot("cannot watch processes", processes.error(), " (is /proc there?)");
  parts.processes = std::move(*processes);
  return {};
}

// What the files beside the index know better than it does.
Status take_over_exports(Parts& parts) {
  parts.exports->pins_wait();
  UnitIndex& index = *parts.opened.index;
  const auto known = index.load_quotas();
  if (!known) return std::unexpected(known.error());
  for (const QuotaRecord& quota : parts.exports->found().quotas) {
    if (auto taken = index.put_quota(quota); !taken) return taken;
  }
  return {};
}

// Units as the index knows them, pinned where only the file of pins says so; pins of others wait
// until these are found.
Status load_units(Parts& parts) {
  parts.tops = std::make_unique<TopSurvey>(*parts.volume);
  std::vector<UnitRef> to_pin;
  const auto restore = [&](UnitRecord record) {
    if (record.id == kRootUnit) return;
    const bool pin = parts.exports->take_pin(record.path);
    UnitRef unit = parts.units->restore(std::move(record));
    if (pin) to_pin.push_back(unit);
    parts.tops->add(std::move(unit));
  };
  if (auto loaded = parts.opened.index->load_units(restore); !loaded) return loaded;
  for (const UnitRef& unit : to_pin) (void)parts.units->set_pinned(*unit, true);
  return {};
}

std::expected<void, std::string> load_volume(Parts& parts) {
  const VolumeState found = parts.opened.index->volume_state();
  const bool behind = !found.clean && found.boot != parts.processes->boot_id();
  const bool distrusted = parts.exports->found().any && !parts.exports->found().trusted;
  if (!parts.opened.lost.empty() || parts.opened.rolled_back || behind || distrusted) {
    if (const auto taken = take_over_exports(parts); !taken) {
      return cannot("cannot take over quotas", taken.error(), "");
    }
  }
  parts.quotas = std::make_unique<Quotas>(*parts.opened.index, parts.ledger, parts.clock);
  if (const auto loaded = parts.quotas->load(*parts.rules->policy()); !loaded) {
    return cannot("cannot load quotas", loaded.error(), "");
  }
  auto root = parts.opened.index->load_root();
  if (!root) return cannot("cannot load the root unit", root.error(), "");
  parts.units = std::make_unique<UnitTable>(*parts.opened.index, parts.ledger,
                                            std::move(*root).value_or(UnitRecord{}));
  parts.locks = std::make_unique<LockTable>(*parts.opened.index, *parts.processes);
  parts.volume = std::unique_ptr<Volume>(
      new Volume{*parts.backing, parts.clock, *parts.processes, *parts.opened.index, parts.ledger,
                 parts.accounting, *parts.rules, parts.inodes, *parts.directories, *parts.units,
                 *parts.locks, *parts.quotas});
  parts.volume->exports = parts.exports.get();
  parts.trash = std::make_unique<Trash>(*parts.volume);
  if (const auto loaded = parts.trash->load(); !loaded) {
    return cannot("cannot load the trash", loaded.error(), "");
  }
  // After the trash: finishing what a crash left half done there changes units and locks.
  if (const auto loaded = load_units(parts); !loaded) {
    return cannot("cannot load units", loaded.error(), "");
  }
  parts.quotas->start(*parts.units);
  auto locks = parts.opened.index->load_locks();
  if (!locks) return cannot("cannot load locks", locks.error(), "");
  const auto policy = parts.rules->policy();
  for (LockRecord& lock : *locks) {
    const ClassRule* rule = policy->find_class(lock.class_name);
    parts.locks->restore(std::move(lock), rule != nullptr && rule->owner == OwnerMode::cgroup);
  }
  return {};
}

std::expected<void, std::string> place_root(Parts& parts) {
  const int fd = parts.backing->root();
  const auto attributes = parts.backing->stat(fd, "");
  if (!attributes) return cannot("cannot look at the volume root", attributes.error(), "");
  const auto handle = parts.backing->handle(fd, "");
  if (!handle) return cannot("cannot look at the volume root", handle.error(), "");
  Inode::Place place;
  place.handle = *handle;
  place.unit = parts.units->root();
  place.state = parts.rules->classifier().root();
  place.mode = attributes->stx_mode;
  place.gid = attributes->stx_gid;
  parts.root = parts.inodes.intern(kRootInode, place);
  return {};
}

void journal_policy(Parts& parts, EventRecord::Kind kind, const std::string& detail) {
  EventRecord event;
  event.kind = kind;
  event.time = parts.clock.wall_now();
  event.detail = detail;
  (void)parts.opened.index->append_event(std::move(event));
}

std::expected<void, std::string> reload_policy(const Options& options, Parts& parts) {
  auto policy = load_policy(options.policy);
  const auto present = parts.rules->policy();
  if (policy && !same_shape(*policy, *present)) {
    policy = std::unexpected(options.policy +
                             ": classes or their match, kind or owner differ from those in force; "
                             "limits can be reloaded, these take a remount");
  }
  if (!policy) {
    spdlog::error("event=policy_rejected what=\"{}\"", policy.error());
    journal_policy(parts, EventRecord::Kind::policy_rejected, policy.error());
    return std::unexpected(policy.error());
  }
  spdlog::info("event=policy_loaded source={}", policy->source);
  journal_policy(parts, EventRecord::Kind::policy_loaded, policy->source);
  parts.rules->replace(std::make_shared<const Policy>(std::move(*policy)));
  parts.quotas->policy_changed(*parts.rules->policy());
  parts.reaper->rules_changed();
  parts.hooks->policy_changed();
  return {};
}

// What git knows of that is nowhere else; also where that cannot be found out.
bool holds_work(const Volume& volume, const Unit& unit) {
  const SplitPath place = split_path(unit.path());
  const auto parent = open_beneath(volume.backing.root(), place.directory, O_RDONLY | O_DIRECTORY);
  if (!parent) return true;
  const GitState state =
      look_at_git_work(volume.backing, parent->get(), place.name.c_str(), unit.path());
  return state.work != GitWork::none;
}

void build_space(Parts& parts) {
  parts.space = std::make_unique<SpaceGate>([&parts]() -> Result<SpaceGate::Look> {
    const auto space = parts.backing->filesystem_stat();
    if (!space) return std::unexpected(space.error());
    return SpaceGate::Look{read_space(*space, parts.ledger.volume()),
                           parts.rules->policy()->volume};
  });
  parts.notifier = std::make_unique<Notifier>(parts.channel);
  parts.evictor =
      std::make_unique<Evictor>(*parts.volume, *parts.trash, *parts.reaper, *parts.space,
                                *parts.notifier, [&parts](const UnitRef& unit) {
                                  const bool holds = holds_work(*parts.volume, *unit);
                                  parts.explainer->note_work(*unit, holds);
                                  return holds;
                                });
  parts.space->on_pressure([&evictor = *parts.evictor] { evictor.press(); });
  parts.volume->space = parts.space.get();
}

MetricSources metric_sources(Parts& parts) {
  parts.metric_counts = std::make_unique<MetricCounts>(*parts.volume);
  return {.status = [&parts] { return parts.control->status_view(Caller{}); },
          .removals = [&parts] { return parts.metric_counts->removals(); },
          .quota_denials = [&parts] { return parts.metric_counts->quota_denials(); },
          .charged = [&parts] { return parts.ledger.volume().usage(); },
          .times = [&parts](RequestKind kind) { return parts.context->times.of(kind); }};
}

std::expected<void, std::string> build_service(const Options& options, Parts& parts) {
  auto reaper = Reaper::open(*parts.volume, *parts.trash, parts.channel);
  if (!reaper) return cannot("cannot start the reaper", reaper.error(), "");
  parts.reaper = std::move(*reaper);
  build_space(parts);
  parts.census = std::make_unique<Census>(*parts.volume, *parts.reaper);
  parts.checker = std::make_unique<Checker>(*parts.volume, *parts.trash);
  parts.volume->found_unit = [&census = *parts.census] { census.look_again(); };
  parts.watch =
      std::make_unique<IndexWatch>(*parts.volume, *parts.opened.steady, *parts.exports,
                                   [&census = *parts.census] { return census.progress().running; });
  parts.volume->mode_changed = [&channel = parts.channel](NodeId node) {
    channel.attributes_changed(node);
  };
  parts.volume->look_after_index = [&watch = *parts.watch] { watch.look(); };
  auto sampler = Sampler::open(*parts.volume, *parts.trash, *parts.reaper, *parts.opened.steady);
  if (!sampler) return cannot("cannot read the history", sampler.error(), "");
  parts.sampler = std::move(*sampler);
  parts.explainer = std::make_unique<Explainer>(*parts.volume, *parts.reaper, *parts.sampler);
  parts.hooks = std::make_unique<Hooks>(*parts.volume, *parts.trash);
  parts.filesystem = std::make_unique<Filesystem>(
      *parts.volume, *parts.reaper, parts.channel, options.passthrough_from,
      parts.descriptors - parts.descriptors / kSpareShare);
  parts.filesystem->on_directory_moved(
      [&census = *parts.census, &checker = *parts.checker](const FileHandle& moved) {
        census.walk_again(moved);
        checker.walk_again(moved);
      });
  DaemonFacts facts;
  facts.mount = options.mountpoint;
  facts.backing = options.backing;
  facts.started = parts.clock.wall_now();
  facts.io_uring = [&parts] { return parts.context->io_uring.load(); };
  facts.passthrough = [&parts] { return parts.context->passthrough.load(); };
  facts.requests = [&parts](RequestKind kind) { return parts.context->requests.of(kind); };
  facts.reload_policy = [&options, &parts] { return reload_policy(options, parts); };
  parts.control = std::make_unique<Control>(
      *parts.volume, *parts.filesystem, *parts.reaper, *parts.trash, *parts.evictor, *parts.census,
      *parts.checker, *parts.explainer, parts.tracer, std::move(facts));
  parts.virtual_files = std::make_unique<VirtualFiles>(
      [&control = *parts.control](const Caller& caller, std::string_view request, Access access) {
        return control.answer(caller, request, access);
      });
  parts.workers = std::make_unique<Workers>(kWorkers);
  parts.context = std::unique_ptr<OpsContext>(new OpsContext{
      *parts.filesystem, *parts.virtual_files, *parts.workers, *parts.evictor, parts.tracer,
      [&volume = *parts.volume](NodeId inode, const std::string& name) {
        return shown_path(volume, inode, name);
      },
      [&evictor = *parts.evictor, &workers = *parts.workers] {
        evictor.stop();  // first: what waits for it goes on in a worker
        workers.finish();
      },
      options.passthrough_from >= 0});
  if (!options.metrics.empty()) {
    auto metrics = Metrics::serve(options.metrics, metric_sources(parts));
    if (!metrics) return std::unexpected(metrics.error());
    parts.metrics = std::move(*metrics);
  }
  return {};
}

// Those who tell the kernel of their own accord what has changed. More than once does no harm.
void stop_senders(Parts& parts) {
  parts.evictor->stop();  // first: requests that wait for it get their answer, and let go
  parts.notifier->stop();
  parts.census->stop();
  parts.checker->stop();
  parts.trash->stop();
  parts.reaper->stop();
}

int serve(const Options& options, Parts& parts, Mount& mount, const std::function<void()>& ready) {
  parts.reaper->set_mounted({mount.device(), options.mountpoint});
  parts.explainer->set_mounted(mount.device(), options.mountpoint);
  parts.reaper->start();
  // The stored deadlines come from the policy of the last mount.
  parts.reaper->rules_changed();
  parts.trash->start();
  parts.census->start();
  parts.notifier->start();
  parts.evictor->start();
  parts.sampler->start();
  parts.hooks->start(options.mountpoint);
  journal_policy(parts, EventRecord::Kind::mounted,
                 "ebbfs " EBBFS_VERSION ", policy " + parts.rules->policy()->source);
  spdlog::info("event=mounted mount={} backing={} policy=\"{}\" units={} locks={}",
               options.mountpoint, options.backing, parts.rules->policy()->source,
               parts.units->size(), parts.locks->size());
  const auto stop = [&] {
    notify_service(ServiceState::stopping, "unmounting " + options.mountpoint);
    parts.hooks->stop();  // first: what they run is inside
    mount.unmount();
    stop_senders(parts);
    // While others still serve what it may meet.
    parts.context->finish_requests();
    mount.end();
  };
  const SignalThread signals(stop, [&] { (void)reload_policy(options, parts); });
  ready();
  notify_service(ServiceState::ready, "serving " + options.mountpoint + " from " + options.backing +
                                          ", policy: " + parts.rules->policy()->source);
  return mount.serve();
}

// It is unmounted, but where that was lazy there are still requests until the session has ended.
// Only then is what memory knows final, stored, and said to be exact.
void leave_clean(Parts& parts, std::unique_ptr<Mount> mount) {
  notify_service(ServiceState::stopping, "storing the index");
  parts.metrics.reset();
  parts.sampler->stop();
  parts.hooks->stop();
  stop_senders(parts);
  parts.context->finish_requests();
  mount.reset();
  parts.filesystem->release_all();
  parts.inodes.clear_lookups();
  journal_policy(parts, EventRecord::Kind::unmounted, "");
  const std::size_t dirty = parts.units->flush(parts.clock.wall_now(), Duration::zero(), true);
  if (dirty > 0) {
    spdlog::warn("event=unmounted_while_counting units={}", dirty);
  } else if (!parts.watch->settle()) {
    spdlog::error("event=index_not_clean action=counted_again_at_the_next_mount");
  } else if (!parts.opened.index->mark_clean()) {
    spdlog::error("event=index_not_marked_clean");
  }
  spdlog::info("event=unmounted dirty_units={}", dirty);
}

}  // namespace

std::expected<int, std::string> run_daemon(const Options& options,
                                           const std::function<void()>& ready, const Seams& seams) {
  // Before there is another thread, or anything open that it should not hold.
  const auto guardian = Guardian::start();
  if (!guardian) spdlog::warn("event=unguarded errno={}", code(guardian.error()));
  if (const auto prepared = prepare_credentials(); !prepared) {
    return cannot("cannot prepare credentials", prepared.error(), " (needs root)");
  }
  if (const auto given_up = keep_daemon_capabilities(!options.metrics.empty()); !given_up) {
    return cannot("cannot give up capabilities", given_up.error(), "");
  }
  if (const int cleared = clear_dead_mounts(options.mountpoint); cleared > 0) {
    spdlog::warn("event=dead_mount_cleared mount={} count={}", options.mountpoint, cleared);
  }
  if (is_ebbfs_mount(options.mountpoint)) {
    return std::unexpected(options.mountpoint + " is an ebbfs mount already; umount it first");
  }
  auto policy = load_policy(options.policy);
  if (!policy) return std::unexpected(policy.error());
  Parts parts;
  parts.descriptors = raise_descriptor_limit();
  parts.whole_filesystem = is_whole_filesystem(options.backing);
  parts.rules = std::make_unique<Rules>(std::make_shared<const Policy>(std::move(*policy)));
  parts.directories =
      std::make_unique<DirCache>(std::min(kDirectoriesMax, parts.descriptors / kDirectoriesShare));
  if (const auto opened = open_storage(options, seams, parts); !opened)
    return std::unexpected(opened.error());
  if (const auto loaded = load_volume(parts); !loaded) return std::unexpected(loaded.error());
  if (const auto placed = place_root(parts); !placed) return std::unexpected(placed.error());
  if (const auto built = build_service(options, parts); !built)
    return std::unexpected(built.error());
  parts.reaper->prepare();
  parts.census->prepare(*parts.tops,
                        parts.watch->must_recount(parts.opened, parts.whole_filesystem));
  parts.tops.reset();
  const auto marked =
      parts.opened.index->mark_mounted(parts.processes->boot_id(), parts.clock.wall_now());
  if (!marked) return cannot("cannot write the index", marked.error(), "");
  parts.watch->begin(parts.opened);

  MountOptions mount_options;
  mount_options.mountpoint = options.mountpoint;
  mount_options.source = options.backing;
  mount_options.options = options.mount_options;
  mount_options.io_uring = options.transport != "dev";
  auto mount = Mount::open(mount_options, *parts.context, parts.channel);
  if (!mount) return std::unexpected(mount.error().what);
  if (guardian) guardian->watch((*mount)->device());
  const int ended = serve(options, parts, **mount, ready);
  leave_clean(parts, std::move(*mount));
  return ended == 0 ? 0 : 1;
}

}  // namespace ebbfs
