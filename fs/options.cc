// SPDX-License-Identifier: Apache-2.0
#include "fs/options.h"

#include <CLI/CLI.hpp>
#include <array>
#include <filesystem>
#include <optional>
#include <string_view>

#include "fs/whole_number.h"

namespace ebbfs {
namespace {

// Files of at least this size are read by the kernel itself. Below it the kernel's page cache of
// the mount wins: registering a backing file costs more than reading a small one.
constexpr std::int64_t kPassthroughFrom = 128 * 1024;

constexpr std::string_view kFooter =
    "Examples:\n"
    "  ebbfs /mnt/ebs                          mount in place, by the built-in policy\n"
    "  ebbfs --policy /etc/ebbfs/policy.toml /mnt/ebs\n"
    "  ebbfs --backing /data/scratch /mnt/ebs  manage another directory\n"
    "  ebbfs -o nosuid,nodev /mnt/ebs          with options of mount(8)\n"
    "  umount /mnt/ebs                         the files are a plain directory again\n"
    "  ebbfs --forget /mnt/ebs                 and .ebbfs/ is gone, the trash with it\n"
    "Then ask `ebbctl status /mnt/ebs`.\n"
    "Exit codes: 0 mounted (forgotten), 1 not, 2 usage.";

constexpr std::string_view kNoPolicyFile =
    "policy: expected a file; without the option the built-in policy is in force";

std::string absolute(const std::string& path) {
  std::error_code ignored;
  std::string full = std::filesystem::absolute(path, ignored).lexically_normal().string();
  while (full.size() > 1 && full.ends_with('/')) full.pop_back();
  return full;
}

bool only_for_mount(std::string_view option) {
  constexpr std::array kNames{"defaults", "auto", "noauto", "nofail", "_netdev", "user", "nouser"};
  return option.empty() || option.starts_with("x-") ||
         std::ranges::find(kNames, option) != kNames.end();
}

void take_access_times(std::string_view option, Options& options) {
  AccessTimes& access = options.access_times;
  if (option == "noatime") access.files = AccessTimes::Of::noatime;
  if (option == "relatime") access.files = AccessTimes::Of::relatime;
  if (option == "strictatime") access.files = AccessTimes::Of::strictatime;
  if (option == "nodiratime") access.nodiratime = true;
}

// The kernel keeps no access times for a mount of ours, and libfuse does not know these.
bool only_for_backing(std::string_view option) {
  return option == "relatime" || option == "strictatime";
}

// Takes one option of -o; what is wrong with it, if anything.
std::optional<std::string> take_option(std::string_view option, Options& options) {
  if (only_for_mount(option)) return {};
  take_access_times(option, options);
  if (only_for_backing(option)) return {};
  const std::size_t equals = option.find('=');
  const std::string_view key = option.substr(0, equals);
  const std::string value(equals == std::string_view::npos ? "" : option.substr(equals + 1));
  if (key == "policy" && value.empty()) return std::string(kNoPolicyFile);
  if (key == "policy")
    options.policy = value;
  else if (key == "backing")
    options.backing = value;
  else if (key == "metrics")
    options.metrics = value;
  else if (key == "transport")
    options.transport = value;
  else if (key == "passthrough_from") {
    const auto bytes = whole_number<std::int64_t>(value);
    if (!bytes) {
      return "passthrough_from: expected a number of bytes, or -1 for never, got \"" + value + "\"";
    }
    options.passthrough_from = *bytes;
  } else {
    options.mount_options.emplace_back(option);
  }
  return {};
}

std::optional<std::string> take_all(const std::vector<std::string>& lists, Options& options) {
  for (std::string_view list : lists) {
    while (!list.empty()) {
      const std::size_t comma = list.find(',');
      if (const auto wrong = take_option(list.substr(0, comma), options)) return wrong;
      list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
    }
  }
  return {};
}

}  // namespace

std::variant<Options, OptionsExit> parse_options(int argc, const char* const* argv) {
  Options options;
  options.passthrough_from = kPassthroughFrom;
  std::vector<std::string> lists;
  CLI::App app("Mounts a scratch filesystem that sees to expiry, quotas and orphaned locks",
               "ebbfs");
  app.footer(std::string(kFooter));
  app.add_option("mountpoint", options.mountpoint, "directory to mount over")->required();
  app.add_option("--backing", options.backing, "directory to manage (default: the mountpoint)");
  app.add_option("--policy", options.policy, "policy file (default: the built-in policy)");
  app.add_option("--metrics", options.metrics, "ADDR:PORT for Prometheus to scrape");
  app.add_flag("--forget", options.forget,
               "make the unmounted volume a plain directory again:\nremoves .ebbfs/ in it");
  app.add_flag("--yes", options.yes, "with --forget: do not ask");
  app.add_flag("-f,--foreground", options.foreground, "stay in the foreground, log to stderr");
  app.add_option("--transport", options.transport, "auto, io_uring or dev (/dev/fuse)");
  app.add_option("--log-level", options.log_level, "debug, info, warn or error");
  app.add_option("-o", lists, "options of mount(8), comma separated")->allow_extra_args(false);
  app.set_version_flag("-V,--version", "ebbfs " EBBFS_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::ostringstream out;
    std::ostringstream problem;
    const int code = app.exit(error, out, problem);
    return code == 0 ? OptionsExit{0, out.str()} : OptionsExit{2, "ebbfs: " + problem.str()};
  }
  if (options.yes && !options.forget) {
    return OptionsExit{2, "ebbfs: --yes goes with --forget\n"};
  }
  if (const auto wrong = take_all(lists, options)) return OptionsExit{2, "ebbfs: " + *wrong + "\n"};
  if (options.transport != "auto" && options.transport != "io_uring" &&
      options.transport != "dev") {
    return OptionsExit{
        2, "ebbfs: transport: expected auto, io_uring or dev, got \"" + options.transport + "\"\n"};
  }
  constexpr std::array kLevels{"debug", "info", "warn", "error"};
  if (std::ranges::find(kLevels, options.log_level) == kLevels.end()) {
    return OptionsExit{2, "ebbfs: log-level: expected debug, info, warn or error, got \"" +
                              options.log_level + "\"\n"};
  }
  if (app.count("--policy") > 0 && options.policy.empty()) {
    return OptionsExit{2, "ebbfs: " + std::string(kNoPolicyFile) + "\n"};
  }
  options.mountpoint = absolute(options.mountpoint);
  options.backing = options.backing.empty() ? options.mountpoint : absolute(options.backing);
  // A daemon in the background has left the directory it was started in.
  if (!options.policy.empty()) options.policy = absolute(options.policy);
  return options;
}

}  // namespace ebbfs
