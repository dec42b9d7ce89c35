// SPDX-License-Identifier: Apache-2.0
//
// What anybody may write to .ebbfs/control, and what a daemon of another version may answer.
#include "fs/control_json.h"
#include "fs/control_protocol.h"
#include "fs/control_status.h"
#include "fs/control_views.h"
#include "tests/fuzz/fuzz.h"

using namespace ebbfs;
using ebbfs::test::promised;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = test::text_of(data, size);
  if (const auto request = decode_request(text)) {
    promised(valid_volume_path(request->path), "no path leaves the volume");
    auto sent = *request;
    // Numbers of seconds with a fraction are not exact for ever.
    sent.since.reset();
    sent.older.reset();
    const auto again = decode_request(encode(sent));
    promised(again.has_value() && *again == sent, "a request is sent as it was read");
  } else {
    promised(!request.error().error.empty(), "a refusal says why");
  }
  if (const auto reply = decode_reply(text)) {
    (void)from_json<StatusView>(reply->body);
    (void)from_json<UnitsView>(reply->body);
  }
  (void)parse_time(text);
  return 0;
}
