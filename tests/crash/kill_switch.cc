// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <new>
#include <stdexcept>

#include "tests/crash/kill_board.h"

namespace ebbfs::test {

KillSwitch::KillSwitch(std::string file) : file_(std::move(file)) {
  const UniqueFd fd(::open(file_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd.valid() || ::ftruncate(fd.get(), sizeof(KillBoard)) != 0) {
    throw std::runtime_error("cannot make " + file_);
  }
  void* const memory =
      ::mmap(nullptr, sizeof(KillBoard), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) throw std::runtime_error("cannot map " + file_);
  board_ = new (memory) KillBoard;
}

KillSwitch::~KillSwitch() {
  ::munmap(board_, sizeof(KillBoard));
  ::unlink(file_.c_str());
}

void KillSwitch::arm(std::uint32_t changes) {
  board_->die_after = KillBoard::kNever;
  board_->passed = 0;
  board_->died = false;
  board_->die_after = changes;
}

void KillSwitch::set_fault(std::string_view call, int error, std::uint32_t ms,
                           std::uint32_t bytes) {
  mend();
  board_->fault_call = {};
  call.copy(board_->fault_call.data(), board_->fault_call.size() - 1);
  board_->fault_errno = error;
  board_->fault_ms = ms;
  board_->fault_bytes = bytes;
  board_->faults = 0;
  board_->fault_left = UINT32_MAX;
}

std::string KillSwitch::gap(std::uint32_t changes) const {
  const std::string before = changes == 0 ? "request" : board_->what(changes - 1);
  // What would have come is known when an earlier, longer run has been there.
  return before + " |";
}

}  // namespace ebbfs::test
