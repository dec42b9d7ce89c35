// SPDX-License-Identifier: Apache-2.0
//
// ebbctl report: a page for whoever is not at the terminal.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "fs/unique_fd.h"
#include "tools/control_client.h"
#include "tools/ebbctl_command.h"
#include "tools/report.h"

namespace ebbfs {
namespace {

// The answer to `name` as a view, or the reply that says why not.
template <typename View>
std::expected<View, ControlReply> asked(const std::string& mount, ControlRequest request,
                                        std::string_view name) {
  request.command = name;
  ControlReply reply = ask(mount, request);
  if (reply.exit_code != kExitDone) return std::unexpected(std::move(reply));
  auto view = from_json<View>(reply.body);
  if (!view) {
    return std::unexpected(
        refused("the daemon's answer is not understood: it is of another version than this "
                "ebbctl"));
  }
  return *std::move(view);
}

std::expected<VolumeReport, ControlReply> gather(const std::string& mount,
                                                 const ControlRequest& request) {
  auto status = asked<StatusView>(mount, {}, command::kStatus);
  if (!status) return std::unexpected(status.error());
  auto explained = asked<ExplainView>(mount, request, command::kExplain);
  if (!explained) return std::unexpected(explained.error());
  auto history = asked<HistoryView>(mount, request, command::kHistory);
  if (!history) return std::unexpected(history.error());
  ControlRequest fullest;
  fullest.limit = kQuotasShown;
  auto quotas = asked<QuotasView>(mount, fullest, command::kQuotaList);
  if (!quotas) return std::unexpected(quotas.error());
  return VolumeReport{*std::move(status), *std::move(explained), *std::move(history),
                      *std::move(quotas)};
}

Status write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail_errno();
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

// The file is there whole or not at all, but where it is a device or a pipe.
Status write_page(const std::string& file, std::string_view page) {
  if (const UniqueFd other(::open(file.c_str(), O_WRONLY | O_NOCTTY | O_CLOEXEC)); other.valid()) {
    struct stat info{};
    if (::fstat(other.get(), &info) == 0 && !S_ISREG(info.st_mode)) {
      return write_all(other.get(), page);
    }
  }
  const std::string fresh = file + ".tmp";
  const UniqueFd fd(
      ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!fd.valid()) return fail_errno();
  Status done = write_all(fd.get(), page);
  if (done && ::rename(fresh.c_str(), file.c_str()) != 0) done = fail_errno();
  if (!done) ::unlink(fresh.c_str());
  return done;
}

int run_report(Invocation& invocation, const Style& /*style*/) {
  if (invocation.file.empty() && !invocation.json) {
    return print_error(false, misused("report writes a page, --html FILE, or the figures of it, "
                                      "--json"));
  }
  const auto target = find_target(invocation.place, this_host());
  if (!target) return print_error(invocation.json, target.error());
  const auto report = gather(target->mount, invocation.request);
  if (!report) return print_error(invocation.json, report.error());
  const std::string page = invocation.file.empty() ? "" : html_page(*report);
  if (invocation.file == "-") {
    print(page);
    return kExitDone;
  }
  if (!page.empty()) {
    if (const Status written = write_page(invocation.file, page); !written) {
      return print_error(
          invocation.json,
          refused(fmt::format("{}: {}", invocation.file, std::strerror(code(written.error())))));
    }
  }
  if (invocation.json) {
    print_json(report_json(*report));
  } else {
    print(fmt::format("{}: written, {}\n", plain(invocation.file),
                      human_bytes({static_cast<std::int64_t>(page.size())})));
  }
  return kExitDone;
}

}  // namespace

void add_report_commands(CLI::App& app, Invocation& invocation) {
  CLI::App* report =
      add_command(app, invocation, "report", "A page of usage, removals, limits and owners",
                  "  ebbctl report --html /tmp/ebs.html\n"
                  "  ebbctl report --html /tmp/ebs.html --since 30d /mnt/ebs\n"
                  "  ebbctl report --html - | gzip >ebs.html.gz\n"
                  "  ebbctl report --json | jq .history.points[-1]\n"
                  "One file that loads nothing else, light or dark as the reader's device is.\n"
                  "With --html and --json, the figures are those of the page.",
                  run_report);
  add_path(*report, invocation, "A path on the mount to ask", PathUse::optional);
  report->add_option("--html", invocation.file, "Write the page there, - for standard output")
      ->type_name("FILE");
  add_duration(*report, "--since", invocation.request.since, "How far to look back (default 7d)");
}

}  // namespace ebbfs
