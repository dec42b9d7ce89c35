// SPDX-License-Identifier: Apache-2.0
#include "fs/guardian.h"

#include <fcntl.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include "fs/capabilities.h"

namespace ebbfs {
namespace {

// What the daemon writes: the number of its connection, which is never 0.
using Order = std::uint32_t;
constexpr Order kLeave = 0;

// The main thread of the daemon has ended. Not what anybody else would send to stop both.
constexpr int kDaemonEnded = SIGUSR1;

// fusectl from within, whether or not it is mounted somewhere: leaves nothing to be seen.
Result<UniqueFd> open_fusectl() {
  const UniqueFd context(::fsopen("fusectl", FSOPEN_CLOEXEC));
  if (!context.valid()) return fail_errno();
  if (::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) return fail_errno();
  UniqueFd mount(::fsmount(context.get(), FSMOUNT_CLOEXEC, 0));
  if (!mount.valid()) return fail_errno();
  return mount;
}

// Opened while the connection lives: its number may be that of another one later, this never is.
Result<UniqueFd> open_abort_switch(Order connection) {
  const auto control = open_fusectl();
  if (!control) return std::unexpected(control.error());
  const std::string name = std::to_string(connection) + "/abort";
  UniqueFd file(::openat(control->get(), name.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file.valid()) return fail_errno();
  return file;
}

class Watch {
 public:
  Watch(int orders, int signals, pid_t daemon)
      : orders_(orders), signals_(signals), daemon_(daemon) {}

  // Until the daemon has let us go, or has ended.
  void run() {
    // Told to leave and seen to end at once: it has ended well.
    for (;;) {
      pollfd ready[2] = {{orders_, POLLIN, 0}, {signals_, POLLIN, 0}};
      if (::poll(ready, 2, -1) < 0) continue;
      if (ready[0].revents != 0) {
        Order order = 0;
        const bool told = ::read(orders_, &order, sizeof order) == sizeof order;
        if (told && order == kLeave) return;
        if (!told) return free_users();
        begin(order);
      } else if (ready[1].revents != 0 && daemon_ended()) {
        return free_users();
      }
    }
  }

 private:
  void begin(Order connection) {
    auto file = open_abort_switch(connection);
    if (!file) {
      spdlog::warn("event=unguarded connection={} why=\"{}\"", connection,
                   std::strerror(code(file.error())));
      return;
    }
    connection_ = connection;
    switch_ = std::move(*file);
    // What is held is enough.
    (void)keep_capabilities({});
  }

  [[nodiscard]] bool daemon_ended() const {
    signalfd_siginfo info{};
    return ::read(signals_, &info, sizeof info) == sizeof info &&
           static_cast<pid_t>(info.ssi_pid) == daemon_;
  }

  void free_users() const {
    if (!switch_.valid()) return;
    // Without effect when the kernel has done so itself.
    const bool done = ::write(switch_.get(), "1", 1) == 1;
    spdlog::error("event=daemon_died pid={} connection={} aborted={}", daemon_, connection_, done);
  }

  const int orders_;
  const int signals_;
  const pid_t daemon_;
  Order connection_ = 0;
  UniqueFd switch_;
};

void guard(const UniqueFd& orders, pid_t daemon) {
  // Deaf to what stops a group of processes or a service: the daemon may take its time to end.
  sigset_t all;
  sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  ::setsid();
  ::prctl(PR_SET_NAME, "ebbfs-guardian");
  if (::chdir("/") != 0) return;
  const auto self = static_cast<unsigned>(orders.get());
  static constexpr std::array kOpensTheSwitch{CAP_SYS_ADMIN};
  (void)keep_capabilities(kOpensTheSwitch);
  if (self > 3) (void)::close_range(3, self - 1, 0);
  (void)::close_range(self + 1, ~0U, 0);
  sigset_t ended;
  sigemptyset(&ended);
  sigaddset(&ended, kDaemonEnded);
  const UniqueFd signals(::signalfd(-1, &ended, SFD_CLOEXEC));
  if (!signals.valid() || ::prctl(PR_SET_PDEATHSIG, kDaemonEnded) != 0) return;
  // It may have died before; then nothing is mounted yet.
  if (::getppid() != daemon) return;
  Watch(orders.get(), signals.get(), daemon).run();
}

void tell(const UniqueFd& orders, Order order) {
  if (::write(orders.get(), &order, sizeof order) != sizeof order) {
    spdlog::warn("event=guardian_lost");
  }
}

}  // namespace

Result<Guardian> Guardian::start() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno();
  UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  const pid_t daemon = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return fail_errno();
  if (child == 0) {
    writer.reset();
    guard(reader, daemon);
    ::_exit(0);
  }
  return Guardian(std::move(writer), child);
}

Guardian::Guardian(Guardian&& other) noexcept
    : orders_(std::move(other.orders_)), process_(std::exchange(other.process_, 0)) {}

Guardian::~Guardian() {
  if (process_ == 0) return;
  tell(orders_, kLeave);
  orders_.reset();
  (void)::waitpid(process_, nullptr, 0);
}

void Guardian::watch(dev_t device) const { tell(orders_, minor(device)); }

}  // namespace ebbfs
