// SPDX-License-Identifier: Apache-2.0
#include "tests/mount/quota_steps.h"

#include <sys/fsuid.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ranges>
#include <sstream>

#include "tests/support/plain_files.h"

namespace ebbfs::test {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kLogMax = 40;

// This thread, for the filesystem only.
class FilesystemUser {
 public:
  explicit FilesystemUser(const Paying& who) {
    ::setfsgid(who.gid);
    ::setfsuid(who.uid);
  }
  ~FilesystemUser() {
    ::setfsuid(0);
    ::setfsgid(0);
  }
  FilesystemUser(const FilesystemUser&) = delete;
  FilesystemUser& operator=(const FilesystemUser&) = delete;
};

}  // namespace

QuotaSteps::QuotaSteps(std::string root, unsigned seed) : root_(std::move(root)), random_(seed) {
  ::umask(0);
  for (const char* path : {"plain", "units", "other", "other/j1", "other/j2"}) {
    (void)::mkdir(full(path).c_str(), 0777);
    model_.make(path, {.kind = 'd'});
  }
}

std::string QuotaSteps::directory() {
  constexpr std::array kTops{"plain", "units", "other/j1", "other/j2"};
  if (below(3) == 0) return kTops[below(kTops.size())];
  const std::string found = some("d");
  return found.empty() || found == "other" ? "plain" : found;
}

std::string QuotaSteps::some(const char* kinds) {
  std::vector<std::string> found;
  for (const auto& [path, inode] : model_.names) {
    if (std::strchr(kinds, model_.inodes.at(inode).kind) != nullptr) found.push_back(path);
  }
  return found.empty() ? "" : found[below(found.size())];
}

std::string QuotaSteps::any() {
  const std::string path = directory() + "/" + std::string(1, static_cast<char>('a' + below(6)));
  return std::ranges::count(path, '/') > 5 ? "plain/a" : path;
}

std::string QuotaSteps::fresh() {
  for (int attempt = 0; attempt < 20; ++attempt) {
    std::string path = any();
    if (!model_.names.contains(path)) return path;
  }
  return "";
}

std::int64_t QuotaSteps::length() {
  constexpr std::array<std::int64_t, 5> kMost{100, 5000, 20000, 70000, 300000};
  return 1 + static_cast<std::int64_t>(below(static_cast<std::size_t>(kMost[below(kMost.size())])));
}

bool QuotaSteps::step() {
  constexpr std::array<Make, 26> kMakes{
      &QuotaSteps::create,     &QuotaSteps::create,    &QuotaSteps::make_other,
      &QuotaSteps::make_other, &QuotaSteps::write,     &QuotaSteps::write,
      &QuotaSteps::write,      &QuotaSteps::truncate,  &QuotaSteps::truncate,
      &QuotaSteps::allocate,   &QuotaSteps::copy,      &QuotaSteps::link,
      &QuotaSteps::rename,     &QuotaSteps::rename,    &QuotaSteps::rename,
      &QuotaSteps::exchange,   &QuotaSteps::remove,    &QuotaSteps::remove,
      &QuotaSteps::own,        &QuotaSteps::hold,      &QuotaSteps::nameless,
      &QuotaSteps::write_held, &QuotaSteps::name_held, &QuotaSteps::release,
      &QuotaSteps::limit,      &QuotaSteps::limit};
  constexpr std::array<Paying, 3> kUsers{{{0, 0}, {kAlice, kAlice}, {kBob, kBob}}};
  who_ = kUsers[below(kUsers.size())];
  Plan plan;
  plan.after = model_;
  if (below(120) == 0) {
    expire(plan);
  } else {
    (this->*kMakes[below(kMakes.size())])(plan);
  }
  if (!plan.done || !plan.act) return true;
  return carry_out(plan);
}

int QuotaSteps::refusal_of_unit_rename() const {
  const ByScope usage = model_.usage();
  const auto passes = [&](const UnitPlace& from, const UnitPlace& to) {
    const auto limit = [&](const UnitPlace& place) {
      const auto found = limits_.find("unit:" + place.unit);
      return found == limits_.end() ? ModelLimit{} : found->second;
    };
    const auto held = usage.find("unit:" + from.unit);
    if (held == usage.end()) return false;
    const ModelLimit was = limit(from);
    const ModelLimit becomes = limit(to);
    return (becomes.bytes < was.bytes && held->second.bytes > becomes.bytes) ||
           (becomes.inodes < was.inodes && held->second.inodes > becomes.inodes);
  };
  return passes(rename_from_, rename_to_) ? EDQUOT : 0;
}

std::vector<int> QuotaSteps::foretell(const Plan& plan) const {
  if (!plan.errors.empty()) return plan.errors;
  std::vector<int> outcomes;
  if (plan.renames_unit) {
    outcomes.push_back(refusal_of_unit_rename());
  } else {
    ByScope peak = plan.after.usage();
    if (plan.victim != Counted{}) charge(peak, plan.victim_place, plan.victim_who, plan.victim);
    ByScope before = model_.usage();
    before.erase("unit:" + plan.new_unit);
    outcomes.push_back(refusal(limits_, before, peak));
  }
  if (plan.may_be_unsupported && outcomes.front() == 0) outcomes.push_back(EOPNOTSUPP);
  if (plan.of_gone_unit) outcomes.push_back(EDQUOT);
  return outcomes;
}

bool QuotaSteps::carry_out(Plan& plan) {
  const std::vector<int> foretold = foretell(plan);
  const int outcome = [&] {
    const FilesystemUser user(who_);
    return plan.act();
  }();
  ++outcomes_[outcome];
  std::ostringstream line;
  line << "uid " << who_.uid << ": " << plan.text << " -> " << std::strerror(outcome);
  log_.push_back(line.str());
  if (log_.size() > kLogMax) log_.pop_front();
  if (std::ranges::find(foretold, outcome) == foretold.end()) {
    why_ = "foretold: " + std::string(std::strerror(foretold.front()));
    return false;
  }
  if (outcome == 0) model_ = std::move(plan.after);
  return compare();
}

bool QuotaSteps::compare() {
  const ByScope want = model_.usage();
  // Files are released a little after their close.
  if (eventually([&] { return told(root_) == want; }, 5s)) return true;
  why_ = "usage differs from the model:\n" + difference(told(root_), want);
  return false;
}

std::string QuotaSteps::why() const {
  std::ostringstream text;
  for (const std::string& line : log_) text << "  " << line << "\n";
  text << why_ << "\n";
  const ByScope usage = model_.usage();
  for (const auto& [scope, limit] : limits_) {
    const auto held = usage.find(scope);
    text << "  " << scope << ": " << (held == usage.end() ? Counted{} : held->second) << " of "
         << Counted{limit.bytes, limit.inodes} << "\n";
  }
  return text.str();
}

}  // namespace ebbfs::test
