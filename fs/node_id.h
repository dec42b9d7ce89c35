// SPDX-License-Identifier: Apache-2.0
//
// What the kernel calls an inode (FUSE's nodeid). The backing filesystem uses the number of a file
// that is gone for a new one, ext4 at once; a request that was on its way to the old one then must
// not reach the new one. So a name is a number and which use of it that is, counted from 0 while
// the kernel knows an earlier one. The first use is the bare number. Values only.
#pragma once

#include <cstdint>

#include "index/types.h"

namespace ebbfs {

enum class NodeId : std::uint64_t {};
inline constexpr NodeId kNoNode{0};
inline constexpr NodeId kRootNode{raw(kRootInode)};

// Later uses: the top bit, 23 bits of the use, 40 of the number.
inline constexpr int kNumberBits = 40;
inline constexpr std::uint64_t kLaterUse = 1ULL << 63;
// The one above is the virtual files' (fs/virtual_files.h).
inline constexpr std::uint32_t kUsesMax = (1U << (63 - kNumberBits)) - 2;

// `use`: at most uses_of(inode).
[[nodiscard]] constexpr NodeId node_of(InodeId inode, std::uint32_t use) {
  if (use == 0) return NodeId{raw(inode)};
  return NodeId{kLaterUse | std::uint64_t{use} << kNumberBits | raw(inode)};
}

[[nodiscard]] constexpr InodeId number_of(NodeId node) {
  if ((raw(node) & kLaterUse) == 0) return InodeId{raw(node)};
  return InodeId{raw(node) & ((1ULL << kNumberBits) - 1)};
}

// The last use that can be told from the first: 0 where the number leaves no room (XFS of more than
// 512 TiB; what counts its numbers upwards and gets there, as btrfs, uses none again).
[[nodiscard]] constexpr std::uint32_t uses_of(InodeId inode) {
  return raw(inode) >> kNumberBits == 0 ? kUsesMax : 0;
}

// Whether a file of this number can be told from all else: the root is 1. No filesystem that keeps
// its numbers apart has others than these (tmpfs with inode32 comes by 1 after 2^32 files).
[[nodiscard]] constexpr bool has_node(InodeId inode) {
  return inode != kRootInode && (raw(inode) & kLaterUse) == 0;
}

}  // namespace ebbfs
