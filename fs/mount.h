// SPDX-License-Identifier: Apache-2.0
//
// The mount and its session with the kernel: RAII over libfuse's session, the request loop, and the
// messages that the daemon sends on its own account.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fs/agenda.h"
#include "fs/inode_table.h"
#include "fs/ops.h"
#include "index/result.h"

struct fuse_session;

namespace ebbfs {

// What the daemon tells the kernel unasked. Made before the session, as the filesystem needs it;
// until `attach` every call is a no-op that reports "not available".
class KernelChannel final : public Invalidator, public BackingIds {
 public:
  // `inodes`, which outlives it, knows what the kernel calls them.
  explicit KernelChannel(InodeTable& inodes) : inodes_(inodes) {}
  void attach(fuse_session* session) { session_.store(session); }

  void removed(InodeId parent, NodeId child, const std::string& name) override;
  void changed(InodeId parent, const std::string& name) override;
  void appeared(InodeId parent, const std::string& name) override;
  // The attributes of `node` are to be asked for again, not its data. Waits for nothing, so it may
  // be told while a request about `node` is served.
  void attributes_changed(NodeId node);
  [[nodiscard]] std::int32_t open(int fd) override;
  void close(std::int32_t id) override;

 private:
  InodeTable& inodes_;
  std::atomic<fuse_session*> session_{nullptr};
};

struct MountOptions {
  std::string mountpoint;            // absolute
  std::string source;                // shown as the filesystem's device
  std::vector<std::string> options;  // of -o, for the kernel or libfuse
  bool io_uring = true;              // try; /dev/fuse otherwise
};

// Why a mount could not be made, in one line for people.
struct MountError {
  std::string what;
};

class Mount {
 public:
  // Mounts. `context` and `channel` outlive the mount.
  [[nodiscard]] static std::expected<std::unique_ptr<Mount>, MountError> open(
      const MountOptions& options, OpsContext& context, KernelChannel& channel);
  // Unmounts and ends the session.
  ~Mount();
  Mount(const Mount&) = delete;
  Mount& operator=(const Mount&) = delete;

  // Serves requests until unmounted by somebody or `end`. Returns 0, or the errno that ended the
  // loop.
  [[nodiscard]] int serve();
  // From any thread: unmounts, lazily when busy: then requests go on coming.
  void unmount();
  // From any thread: lets `serve` return. What is asked after it gets no answer, so nobody may send
  // to the kernel any more: it could wait for who asked.
  void end();
  // Device number that stat(2) shows for files in the mount.
  [[nodiscard]] dev_t device() const { return device_; }

 private:
  Mount(fuse_session* session, KernelChannel& channel, std::string mountpoint, dev_t device);

  fuse_session* const session_;
  KernelChannel& channel_;
  const std::string mountpoint_;
  const dev_t device_;
  std::atomic<bool> unmounted_{false};
};

// Whether the kernel is willing to talk over io_uring (module parameter enable_uring).
[[nodiscard]] bool kernel_offers_io_uring();

// Takes away mounts at `path` whose daemon is gone ("Transport endpoint is not connected"). Returns
// how many there were.
int clear_dead_mounts(const std::string& path);

}  // namespace ebbfs
