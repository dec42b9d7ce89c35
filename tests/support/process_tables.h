// SPDX-License-Identifier: Apache-2.0
//
// The real process table in the ways that kernels differ, for tests that must pass in each; and a
// cgroup of its own for a test. Threading: none of its own.
#pragma once

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <memory>
#include <string>
#include <vector>

#include "fs/proc_files.h"
#include "fs/process_table.h"

namespace ebbfs {

struct TableKind {
  const char* name;
  ProcessTableOptions options;
};

// By PIDFD_GET_INFO where the kernel has it, and by /proc alone as on Linux 6.1.
inline constexpr TableKind kTableKinds[] = {
    {.name = "ByPidfd", .options = {}},
    {.name = "ByProc", .options = {.pidfd_info = false}},
};

[[nodiscard]] std::unique_ptr<ProcessTable> open_table(const ProcessTableOptions& options);

class OnEachTable : public testing::TestWithParam<TableKind> {
 protected:
  std::unique_ptr<ProcessTable> table_ = open_table(GetParam().options);
};

[[nodiscard]] inline std::string kind_name(const testing::TestParamInfo<TableKind>& info) {
  return info.param.name;
}

// Whether PIDFD_GET_INFO tells how a reaped process ended (Linux 6.15).
[[nodiscard]] bool keeps_exit_status();

// The identity of a process as /proc has it now.
[[nodiscard]] ProcessId id_from_proc(pid_t pid);

// What the table has to say next, waited for through its event descriptor for 5 s.
[[nodiscard]] std::vector<EndedOwner> next_ends(ProcessTable& table);
// The life of the one process that is reported next, which must be `process`.
[[nodiscard]] OwnerState::Life next_life(ProcessTable& table, const ProcessId& process);

// No descriptor can be opened until this goes out of scope, but in place of one that is closed.
class NoMoreDescriptors {
 public:
  NoMoreDescriptors();
  ~NoMoreDescriptors();
  NoMoreDescriptors(const NoMoreDescriptors&) = delete;
  NoMoreDescriptors& operator=(const NoMoreDescriptors&) = delete;

 private:
  rlimit before_{};
};

// A cgroup v2 that exists until this goes out of scope. path() is empty where none can be made.
class TestCgroup {
 public:
  TestCgroup();
  ~TestCgroup();
  TestCgroup(const TestCgroup&) = delete;
  TestCgroup& operator=(const TestCgroup&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }  // below the hierarchy's root
  [[nodiscard]] bool add(pid_t pid) const;
  // Only when empty; at once, as container runtimes do.
  [[nodiscard]] bool remove() const;
  [[nodiscard]] bool make() const;

 private:
  std::string path_;
  std::string directory_;
};

}  // namespace ebbfs
