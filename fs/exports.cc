// SPDX-License-Identifier: Apache-2.0
#include "fs/exports.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "fs/export_text.h"
#include "fs/read_text.h"
#include "fs/unique_fd.h"

namespace ebbfs {
namespace {

constexpr const char* kPins = "pins";
constexpr const char* kQuotas = "quotas";
constexpr const char* kTrust = "trust";
constexpr std::string_view kInodesKey = "inodes=";

std::optional<std::string> read_all(int dir, const char* name) {
  const UniqueFd fd(::openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) return {};
  auto text = read_text(fd.get());
  if (!text) return {};
  return *std::move(text);
}

Status write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(fd, text.data(), text.size());
    if (count < 0) return fail_errno();
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

std::optional<std::uint64_t> inodes_of(std::string_view text) {
  if (!text.starts_with(kInodesKey)) return {};
  text.remove_prefix(kInodesKey.size());
  std::uint64_t count = 0;
  const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc()) return {};
  return count;
}

}  // namespace

Exports::Exports(int state_dir) : state_dir_(state_dir) {
  const auto pins = read_all(state_dir_, kPins);
  const auto quotas = read_all(state_dir_, kQuotas);
  const auto trust = read_all(state_dir_, kTrust);
  found_.any = pins.has_value();
  found_.trusted = trust.has_value();
  if (trust) found_.inodes = inodes_of(*trust);
  if (pins) found_.pins = parse_pins(*pins);
  if (quotas) found_.quotas = parse_quotas(*quotas);
}

Exports::~Exports() {
  const MutexLock lock(mu_);
  if (!leaving_ || !trusted_) return;
  const auto inodes = inodes_in_use();
  if (inodes) (void)replace(kTrust, std::string(kInodesKey) + std::to_string(*inodes) + "\n");
}

void Exports::pins_wait() {
  const MutexLock lock(mu_);
  waiting_pins_ = {found_.pins.begin(), found_.pins.end()};
}

void Exports::pin_waits(const std::string& path) {
  const MutexLock lock(mu_);
  waiting_pins_.insert(path);
}

bool Exports::take_pin(const std::string& path) {
  const MutexLock lock(mu_);
  return waiting_pins_.erase(path) > 0;
}

Status Exports::write_pins(const std::vector<std::string>& paths) {
  const MutexLock lock(mu_);
  std::set<std::string> all(paths.begin(), paths.end());
  all.insert(waiting_pins_.begin(), waiting_pins_.end());
  std::string text = pins_text({all.begin(), all.end()});
  if (pins_written_ == text) return {};
  auto written = replace(kPins, text);
  if (written) pins_written_ = std::move(text);
  return written;
}

Status Exports::write_quotas(const std::vector<QuotaRecord>& quotas) {
  const MutexLock lock(mu_);
  std::string text = quotas_text(quotas);
  if (quotas_written_ == text) return {};
  auto written = replace(kQuotas, text);
  if (written) quotas_written_ = std::move(text);
  return written;
}

void Exports::trust() {
  const MutexLock lock(mu_);
  // What an earlier clean end said of the tree is true no more.
  trusted_ = replace(kTrust, "\n").has_value();
}

void Exports::distrust(std::string_view why) {
  const MutexLock lock(mu_);
  if (::unlinkat(state_dir_, kTrust, 0) == 0) {
    spdlog::warn("event=index_distrusted why={:?} action=counted_again_at_the_next_mount", why);
  }
  trusted_ = false;
}

void Exports::leave() {
  const MutexLock lock(mu_);
  leaving_ = true;
}

std::optional<std::uint64_t> Exports::inodes_in_use() const {
  // Without those of the index, whose files come and go when it is opened and closed, and
  // meanwhile: counted until two looks agree.
  constexpr int kLooks = 5;
  std::uint64_t before = files_of_index();
  for (int look = 0; look < kLooks; ++look) {
    struct statvfs status{};
    if (::fstatvfs(state_dir_, &status) != 0 || status.f_files == 0) return {};
    const std::uint64_t own = files_of_index();
    if (own == before) return status.f_files - status.f_ffree - own;
    before = own;
  }
  return {};
}

std::uint64_t Exports::files_of_index() const {
  std::error_code error;
  const std::filesystem::path index = "/proc/self/fd/" + std::to_string(state_dir_) + "/index";
  std::uint64_t files = 0;
  for (std::filesystem::directory_iterator entry(index, error);
       !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    ++files;
  }
  return files;
}

Status Exports::replace(const char* name, const std::string& text) {
  const std::string next = std::string(name) + ".new";
  const auto written = [&]() -> Status {
    const UniqueFd fd(::openat(state_dir_, next.c_str(),
                               O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd.valid()) return fail_errno();
    if (auto done = write_all(fd.get(), text); !done) return done;
    if (::fsync(fd.get()) != 0) return fail_errno();
    if (::renameat(state_dir_, next.c_str(), state_dir_, name) != 0) return fail_errno();
    return ::fsync(state_dir_) == 0 ? Status{} : fail_errno();
  }();
  if (!written) {
    spdlog::error("event=export_failed file=.ebbfs/{} errno={}", name, code(written.error()));
    (void)::unlinkat(state_dir_, next.c_str(), 0);
  }
  return written;
}

}  // namespace ebbfs
