// SPDX-License-Identifier: Apache-2.0
#include "fs/hooks.h"

#include <fmt/format.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <optional>

namespace ebbfs {
namespace {

using On = HookRule::On;

constexpr std::size_t kEventsAtOnce = 1000;
constexpr Duration kIdleLookMin = std::chrono::seconds(1);
constexpr Duration kIdleLookMax = std::chrono::seconds(10);
// A look is so much more frequent than what it looks for.
constexpr int kIdleShare = 10;
constexpr std::size_t kHandledSpare = 1024;

std::string joined_words(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::size_t hook_key(const HookRule& rule) {
  std::string text = fmt::format("{}\n{}\n{}\n{}", to_string(rule.on), rule.user, rule.class_name,
                                 rule.after.count());
  for (const std::string& word : rule.command) text += '\n' + word;
  return std::hash<std::string>{}(text);
}

// From what describe.h's owner_text() wrote.
std::string job_in(std::string_view owner) {
  constexpr std::string_view kMark = " job=";
  const std::size_t at = owner.rfind(kMark);
  return at == std::string_view::npos ? "" : std::string(owner.substr(at + kMark.size()));
}

std::optional<On> on_of(EventRecord::Kind kind) {
  if (kind == EventRecord::Kind::expired) return On::expired;
  if (kind == EventRecord::Kind::reclaimed) return On::reclaimed;
  return std::nullopt;
}

std::string how_it_ended(int status, const std::string& last_line) {
  std::string how = WIFSIGNALED(status) ? fmt::format("killed by signal {}", WTERMSIG(status))
                                        : fmt::format("exit {}", WEXITSTATUS(status));
  return last_line.empty() ? how : how + ": " + last_line;
}

}  // namespace

Hooks::Hooks(Volume& volume, const Trash& trash)
    : volume_(volume), trash_(trash), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!wake_.valid()) spdlog::error("op=eventfd of=hooks errno={}", errno);
}

Hooks::~Hooks() { stop(); }

void Hooks::start(std::string mount) {
  mount_ = std::move(mount);
  if (wake_.valid()) thread_ = std::thread([this] { run(); });
}

void Hooks::stop() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  wake();
  thread_.join();
}

void Hooks::policy_changed() { wake(); }

void Hooks::wake() const {
  const std::uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
}

void Hooks::run() {
  do {
    look();
  } while (wait());
  running_.clear();
  waiting_.clear();
}

bool Hooks::wait() const {
  std::vector<pollfd> ready = {{.fd = wake_.get(), .events = POLLIN, .revents = 0}};
  for (const Running& one : running_) {
    ready.push_back({.fd = one.process.ended_fd(), .events = POLLIN, .revents = 0});
    ready.push_back({.fd = one.process.output_fd(), .events = POLLIN, .revents = 0});
  }
  const auto look = std::chrono::duration_cast<std::chrono::milliseconds>(kLook);
  // What was begun under an earlier policy is still looked after.
  const bool is_idle = policy_->hooks.empty() && running_.empty() && waiting_.empty();
  (void)::poll(ready.data(), ready.size(), is_idle ? -1 : static_cast<int>(look.count()));
  std::uint64_t times = 0;
  (void)!::read(wake_.get(), &times, sizeof times);
  return !stopping_;
}

void Hooks::look() {
  take_policy();
  if (!policy_->hooks.empty()) {
    note_removals();
    note_idle();
  }
  look_after_running();
  launch();
}

void Hooks::take_policy() {
  auto policy = volume_.rules.policy();
  if (policy == policy_) return;
  policy_ = std::move(policy);
  const WallTime now = volume_.clock.wall_now();
  std::map<HookId, WallTime> known;
  for (const HookRule& rule : policy_->hooks) {
    const auto before = known_since_.find(hook_key(rule));
    known[hook_key(rule)] = before == known_since_.end() ? now : before->second;
  }
  // What nobody had a hook for is not made up for.
  if (known_since_.empty()) {
    const auto newest = volume_.index.newest_events(1);
    if (newest && !newest->empty()) event_ = newest->back().sequence;
  }
  known_since_ = std::move(known);
}

void Hooks::note_removals() {
  const auto events = volume_.index.events_after(event_, kEventsAtOnce);
  if (!events) return;
  for (const EventRecord& event : *events) {
    event_ = event.sequence;
    if (const auto on = on_of(event.kind)) note_removal(event, *on);
  }
}

std::optional<GitRepo> Hooks::repo_of_removed(const EventRecord& event) const {
  if (event.kind == EventRecord::Kind::reclaimed) return repo_around(event.path);
  std::string admin;
  for (const TrashRecord& record : trash_.list()) {
    if (record.unit.path == event.path) admin = record.git_admin_path;
  }
  return repo_around(admin);
}

std::string Hooks::below_mount(std::string_view path) const {
  return path.empty() ? mount_ : mount_ + "/" + std::string(path);
}

void Hooks::note_removal(const EventRecord& event, On on) {
  for (const HookRule& rule : policy_->hooks) {
    if (rule.on != on || (!rule.class_name.empty() && rule.class_name != event.class_name)) {
      continue;
    }
    Task task{
        .policy = policy_, .rule = &rule, .hook = hook_key(rule), .parts = {}, .path = event.path};
    task.parts.path = below_mount(event.path);
    task.parts.class_name = event.class_name;
    task.parts.job = job_in(event.owner);
    if (hook_names(rule, "repo")) {
      if (const auto repo = repo_of_removed(event)) task.parts.repo = below_mount(repo->path);
    }
    if (has_parts(rule, task.parts)) add(std::move(task));
  }
}

void Hooks::note_idle() {
  std::optional<Duration> shortest;
  for (const HookRule& rule : policy_->hooks) {
    if (rule.on == On::idle) shortest = std::min(shortest.value_or(rule.after), rule.after);
  }
  const MonoTime mono = volume_.clock.mono_now();
  if (!shortest || mono < idle_look_) return;
  idle_look_ = mono + std::clamp(*shortest / kIdleShare, kIdleLookMin, kIdleLookMax);
  const WallTime now = volume_.clock.wall_now();
  const auto units = volume_.units.all();
  for (const UnitRef& unit : units) {
    if (now - unit->last_used() < *shortest) continue;
    for (const HookRule& rule : policy_->hooks) {
      if (rule.on == On::idle) note_idle_unit(unit, rule, hook_key(rule));
    }
  }
  if (handled_.size() > 2 * units.size() + kHandledSpare) {
    std::erase_if(handled_, [&](const auto& one) {
      return one.second.tasks == 0 && volume_.units.find(one.first) == nullptr;
    });
  }
}

void Hooks::note_idle_unit(const UnitRef& unit, const HookRule& rule, HookId hook) {
  const WallTime used = unit->last_used();
  if (volume_.clock.wall_now() - used < rule.after || used + rule.after <= known_since_[hook] ||
      (!rule.class_name.empty() && rule.class_name != unit->class_name())) {
    return;
  }
  const MonoTime mono = volume_.clock.mono_now();
  Handled& handled = handled_[unit->id()];
  if (handled.tasks > 0) return;
  if (used > handled.excused) {
    handled.excused = used;
    handled.done.clear();
  }
  if (handled.done.contains(hook) || mono < handled.retry) return;
  Task task{.policy = policy_, .rule = &rule, .hook = hook, .parts = {}, .path = unit->path()};
  const UnitRecord record = unit->record();
  task.parts.path = below_mount(task.path);
  task.parts.class_name = record.class_name;
  task.parts.job = record.owner.job;
  const auto units = ready(unit, rule, task.parts, handled.retry);
  if (!units.empty() && !has_parts(rule, task.parts)) {
    handled.done.insert(hook);
    return;
  }
  for (const UnitRef& one : units) {
    Handled& with = handled_[one->id()];
    with.done.insert(hook);
    with.excused = std::max(with.excused, one->last_used());
    ++with.tasks;
    task.units.push_back(one->id());
  }
  if (!units.empty()) add(std::move(task));
}

std::vector<UnitRef> Hooks::ready(const UnitRef& unit, const HookRule& rule, HookParts& parts,
                                  MonoTime& retry) const {
  std::vector<UnitRef> units = {unit};
  if (!hook_names(rule, "repo")) return units;
  const auto repo = repo_of_unit(volume_, unit->path());
  if (!repo) return units;
  parts.repo = below_mount(repo->path);
  for (UnitRef& other : worktrees_of(volume_, *repo)) {
    if (other->id() != unit->id()) units.push_back(std::move(other));
  }
  // All of it has to be idle.
  const WallTime from = volume_.clock.wall_now() - rule.after;
  const auto changed = last_change_of(volume_, *repo);
  if (std::ranges::any_of(units, [&](const UnitRef& one) { return one->last_used() > from; }) ||
      !changed || *changed > from) {
    retry = volume_.clock.mono_now() + std::max(rule.after / kIdleShare, kIdleLookMin);
    return {};
  }
  return units;
}

void Hooks::add(Task task) {
  if (waiting_.size() < kWaitingMax) {
    waiting_.push_back(std::move(task));
    return;
  }
  if (dropped_++ == 0) spdlog::warn("event=hooks_dropped why=\"too many wait\"");
  for (const UnitId id : task.units) --handled_[id].tasks;
}

// In order, but that a hook which has enough running holds up no other.
void Hooks::launch() {
  for (auto task = waiting_.begin(); task != waiting_.end();) {
    if (running_.size() >= kRunningMax) return;
    const auto own = std::ranges::count_if(
        running_, [&](const Running& one) { return one.task.hook == task->hook; });
    if (static_cast<std::uint64_t>(own) >= task->rule->parallel) {
      ++task;
      continue;
    }
    Task next = std::move(*task);
    task = waiting_.erase(task);
    launch(std::move(next));
  }
  if (waiting_.empty() && dropped_ > 0) {
    EventRecord event;
    event.kind = EventRecord::Kind::warning;
    event.time = volume_.clock.wall_now();
    event.detail = fmt::format("{} hooks were not run: more than {} waited", dropped_, kWaitingMax);
    (void)volume_.index.append_event(std::move(event));
    dropped_ = 0;
  }
}

void Hooks::launch(Task task) {
  if (!task.units.empty() && volume_.units.find(task.units.front()) == nullptr) {
    for (const UnitId id : task.units) --handled_[id].tasks;
    return;
  }
  const auto words = hook_command(*task.rule, task.parts);
  if (!words) return end(task, Duration::zero(), "not run: " + words.error());
  const auto user = find_hook_user(task.rule->user);
  if (!user) return end(task, Duration::zero(), "not run: no user " + task.rule->user);
  auto process = HookProcess::start(*words, *user, mount_);
  if (!process) return end(task, Duration::zero(), "not run: " + process.error());
  spdlog::info("event=hook on={} path={:?} pid={} command={:?}", to_string(task.rule->on),
               task.path, process->pid(), joined_words(*words));
  running_.push_back(
      {.task = std::move(task), .process = *std::move(process), .began = volume_.clock.mono_now()});
}

void Hooks::look_after_running() {
  const MonoTime now = volume_.clock.mono_now();
  for (auto one = running_.begin(); one != running_.end();) {
    one->process.take_output();
    if (!one->timed_out && now - one->began >= one->task.rule->timeout) {
      one->timed_out = true;
      one->process.kill();
    }
    const auto status = one->process.reap();
    if (!status) {
      ++one;
      continue;
    }
    one->process.take_output();
    const std::string how = one->timed_out
                                ? "killed after " + format_duration(one->task.rule->timeout)
                                : how_it_ended(*status, one->process.last_line());
    end(one->task, now - one->began, how);
    one = running_.erase(one);
  }
}

void Hooks::end(const Task& task, Duration took, const std::string& how) {
  const WallTime settled = volume_.clock.wall_now() + kSettle;
  for (const UnitId id : task.units) {
    Handled& handled = handled_[id];
    --handled.tasks;
    handled.excused = std::max(handled.excused, settled);
  }
  journal(task, took, how);
}

void Hooks::journal(const Task& task, Duration took, const std::string& how) {
  spdlog::info("event=hook_ended on={} path={:?} took={} how={:?}", to_string(task.rule->on),
               task.path, format_duration(std::chrono::floor<std::chrono::milliseconds>(took)),
               how);
  EventRecord event;
  event.kind = EventRecord::Kind::hook;
  event.time = volume_.clock.wall_now();
  event.path = task.path;
  event.class_name = task.parts.class_name;
  event.rule = fmt::format("on {}: {}", to_string(task.rule->on), joined_words(task.rule->command));
  event.age = took;
  event.detail = how;
  const auto told = volume_.index.append_event(std::move(event));
  if (!told) spdlog::error("op=append_event errno={}", code(told.error()));
}

}  // namespace ebbfs
