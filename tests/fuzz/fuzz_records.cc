// SPDX-License-Identifier: Apache-2.0
//
// Rows of a damaged index. Whatever is accepted is what would have been written: byte for byte.
// The first byte picks the kind of record.
#include "fs/export_text.h"
#include "index/record.h"
#include "tests/fuzz/fuzz.h"

using namespace ebbfs;
using ebbfs::test::promised;

namespace {

template <typename Record>
void check(const Result<Record>& record, std::string_view bytes) {
  if (record) promised(encode(*record) == bytes, "a record is written as it was read");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto bytes = test::text_of(data + 1, size - 1);
  switch (data[0] % 8) {
    case 0:
      check(decode_unit(bytes), bytes);
      break;
    case 1:
      check(decode_lock(bytes), bytes);
      break;
    case 2:
      check(decode_trash(bytes), bytes);
      break;
    case 3:
      check(decode_event(bytes), bytes);
      break;
    case 4:
      check(decode_quota(bytes), bytes);
      break;
    case 5:
      check(decode_brake(bytes), bytes);
      break;
    case 6:
      check(decode_clock(bytes), bytes);
      break;
    default:
      (void)parse_pins(bytes);
      (void)parse_quotas(bytes);
  }
  return 0;
}
