// SPDX-License-Identifier: Apache-2.0
#include "fs/control_protocol.h"

#include <gtest/gtest.h>

#include <random>

namespace ebbfs {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

ControlRequest full_request() {
  ControlRequest request;
  request.command = command::kUnits;
  request.path = "worktrees/job-17";
  request.dry_run = true;
  request.after = 0;
  request.limit = 7;
  request.since = 90s;
  request.sort = sort_by::kBytes;
  request.filter = {.class_name = "worktree",
                    .user = "alice",
                    .job = "ci-17",
                    .state = "busy",
                    .kind = "expired"};
  return request;
}

// The refusal of `text`, which must be one.
ControlReply refusal(std::string_view text) {
  const auto request = decode_request(text);
  EXPECT_FALSE(request) << text;
  return request ? ControlReply{} : request.error();
}

std::string with(std::string_view key, const json& value) {
  json message = {{"version", kControlVersion}, {"command", "show"}};
  message[std::string(key)] = value;
  return to_text(message);
}

TEST(ControlRequest, ComesBackAsItWasSent) {
  EXPECT_EQ(decode_request(encode(full_request())), full_request());
}

TEST(ControlRequest, NamesOnlyTheOptionsItUses) {
  ControlRequest request;
  request.command = command::kStatus;
  EXPECT_EQ(from_text(encode(request)),
            (json{{"version", kControlVersion}, {"command", "status"}}));
  EXPECT_EQ(decode_request(encode(request)), request);
}

TEST(ControlRequest, OnlyAsksUnlessItMayChangeSomething) {
  const auto asks = [](std::string_view name, bool dry_run = false, bool repair = false) {
    ControlRequest request;
    request.command = name;
    request.dry_run = dry_run;
    request.repair = repair;
    return only_asks(request);
  };
  for (const std::string_view question :
       {command::kStatus, command::kUnits, command::kLocks, command::kShow, command::kEvents,
        command::kExplain, command::kTrace, command::kHistory, command::kActivity,
        command::kQuotaList, command::kCheck, command::kTrashList, command::kPolicyShow}) {
    EXPECT_TRUE(asks(question)) << question;
  }
  for (const std::string_view change :
       {command::kPin, command::kUnpin, command::kQuotaSet, command::kQuotaClear, command::kResume,
        command::kPolicyReload, std::string_view("of a later version")}) {
    EXPECT_FALSE(asks(change)) << change;
    EXPECT_FALSE(asks(change, true)) << change;
  }
  for (const std::string_view change :
       {command::kExpire, command::kRestore, command::kTrashEmpty}) {
    EXPECT_FALSE(asks(change)) << change;
    EXPECT_TRUE(asks(change, true)) << change;
  }
  EXPECT_FALSE(asks(command::kCheck, false, true));
}

TEST(ControlRequest, CarriesAPathOfAnyBytes) {
  ControlRequest request;
  request.command = command::kShow;
  request.path = "locks/\xff\x01\n\"\\";
  EXPECT_EQ(decode_request(encode(request)), request);
}

TEST(ControlRequest, OfAnotherVersionIsRefusedNamingBoth) {
  for (const char* text : {R"({"version":2,"command":"show"})", R"({"version":0,"command":"show"})",
                           R"({"command":"show"})", R"({"version":"1","command":"show"})"}) {
    const ControlReply reply = refusal(text);
    EXPECT_EQ(reply.exit_code, kExitRefused) << text;
    EXPECT_NE(reply.error.find("version 1 of the control protocol"), std::string::npos) << text;
  }
}

TEST(ControlRequest, WithAnOptionNotKnownIsRefused) {
  const ControlReply reply = refusal(with("force", true));
  EXPECT_EQ(reply.exit_code, kExitUsage);
  EXPECT_EQ(reply.error, "malformed request: an option is not known to this mount's daemon");
}

TEST(ControlRequest, ThatIsGarbageIsRefused) {
  for (const char* text : {"", "garbage", "[]", "1", "null", "{", R"({"version":1})",
                           R"({"version":1,"command":""})", R"({"version":1,"command":1})"}) {
    EXPECT_NE(refusal(text).exit_code, kExitDone) << text;
  }
}

TEST(ControlRequest, WithAValueOfTheWrongTypeIsRefused) {
  const std::vector<std::pair<std::string, json>> rows = {
      {"command", 1},          {"path", 1},
      {"path_bytes", "0"},     {"dry_run", "yes"},
      {"after", -1},           {"after", 1.5},
      {"limit", -1},           {"limit", "3"},
      {"class", json()},       {"since_seconds", "1"},
      {"since_seconds", 1e99}, {"sort", 1},
      {"user", 1000},          {"job", json::array()}};
  for (const auto& [key, value] : rows) {
    EXPECT_EQ(refusal(with(key, value)).exit_code, kExitUsage) << with(key, value);
  }
}

TEST(ControlRequest, WithAPathThatCannotBeOneIsRefused) {
  EXPECT_EQ(refusal(with("path", "../etc")).error,
            "malformed request: the path cannot be one on this volume");
  EXPECT_EQ(refusal(with("path", std::string("a\0b", 3))).exit_code, kExitUsage);
  EXPECT_EQ(refusal(with("path_bytes", "2f657463")).exit_code, kExitUsage);
}

TEST(ControlRequest, BeyondTheLimitIsRefusedUnread) {
  const std::string padding(kRequestMax, ' ');
  EXPECT_EQ(refusal(padding + encode(full_request())).error, "a request has at most 65536 bytes");
  const std::string deep(kRequestMax - 1, '[');
  EXPECT_EQ(refusal(deep).exit_code, kExitUsage);
}

TEST(ControlRequest, WithBytesChangedIsRefusedOrWellFormed) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const std::string whole = encode(full_request());
  for (int round = 0; round < 5000; ++round) {
    std::string text = whole;
    for (unsigned changes = random() % 4 + 1; changes > 0; --changes) {
      text[random() % text.size()] = static_cast<char>(random());
    }
    if (random() % 4 == 0) text.resize(random() % text.size());
    const auto request = decode_request(text);
    if (request) {
      EXPECT_TRUE(valid_volume_path(request->path)) << text;
      EXPECT_EQ(decode_request(encode(*request)), *request) << text;
    } else {
      EXPECT_NE(request.error().exit_code, kExitDone) << text;
    }
  }
}

TEST(ControlReply, ComesBackAsItWasSent) {
  ControlReply sent = refused("worktrees/a is in use: close what holds it");
  sent.body = {{"path", "worktrees/a"}};
  const auto received = decode_reply(encode(sent));
  ASSERT_TRUE(received);
  EXPECT_EQ(received->exit_code, kExitRefused);
  EXPECT_EQ(received->error, sent.error);
  EXPECT_EQ(received->body, sent.body);
}

TEST(ControlReply, HasItsLongListInItsBody) {
  for (const json& body : {json::object(), json{{"total", 2}}}) {
    for (const char* items : {"", "1", R"({"path":"a"},{"path":"}]\""})"}) {
      ControlReply sent = done(body);
      sent.list = {.key = "units", .items = items};
      const auto received = decode_reply(encode(sent));
      ASSERT_TRUE(received) << encode(sent);
      json expected = body;
      expected["units"] = json::parse(std::string("[") + items + "]");
      EXPECT_EQ(received->body, expected);
    }
  }
}

TEST(ControlReply, OfSuccessHasNoError) {
  const auto received = decode_reply(encode(done({{"a", 1}})));
  ASSERT_TRUE(received);
  EXPECT_EQ(received->exit_code, kExitDone);
  EXPECT_EQ(received->error, "");
}

TEST(ControlReply, OfAnotherVersionCanStillSaySo) {
  const auto reply = decode_reply(R"({"version":9,"exit_code":1,"error":"too old","body":{}})");
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->error, "too old");
}

TEST(ControlReply, ThatIsGarbageIsAnError) {
  for (const char* text :
       {"", "garbage", "[]", "{}", R"({"exit_code":0})", R"({"exit_code":"0","body":{}})",
        R"({"exit_code":-1,"body":{}})", R"({"exit_code":256,"body":{}})",
        R"({"exit_code":0,"error":1,"body":{}})"}) {
    const auto reply = decode_reply(text);
    ASSERT_FALSE(reply) << text;
    EXPECT_EQ(code(reply.error()), EBADMSG) << text;
  }
}

TEST(VolumePath, IsNamesJoinedBySlashes) {
  for (const std::string& path :
       {std::string(), std::string("a"), std::string("a/b c/..d"), std::string(255, 'n')}) {
    EXPECT_TRUE(valid_volume_path(path)) << path;
  }
  for (const std::string& path :
       {std::string("/"), std::string("/a"), std::string("a/"), std::string("a//b"),
        std::string("."), std::string("a/./b"), std::string(".."), std::string("a/../b"),
        std::string(256, 'n'), std::string("a\0", 2)}) {
    EXPECT_FALSE(valid_volume_path(path)) << path;
  }
}

TEST(VolumePath, IsWithinADirectoryByWholeNames) {
  EXPECT_TRUE(path_within("a/b", ""));
  EXPECT_TRUE(path_within("a/b", "a"));
  EXPECT_TRUE(path_within("a/b", "a/b"));
  EXPECT_FALSE(path_within("a/bc", "a/b"));
  EXPECT_FALSE(path_within("a", "a/b"));
}

}  // namespace
}  // namespace ebbfs
