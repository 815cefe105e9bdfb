// One end of a fetch stream against a peer that says what our other end never would (http2_call_fuzz says the rest).
#include <catch2/catch.hpp>

#include "broker/replication/http2_call.h"
#include "replication/http2_peer.h"

using namespace broker::replication;
using namespace test_support;

namespace {

struct Heard final : Http2Call::Events {
  void on_message(Buffer message) override { messages.emplace_back(message.text()); }
  void on_drained() override { ++drained; }
  void on_end(const CallEnd& end) override { ends.push_back(end); }
  std::vector<std::string> messages;
  std::vector<CallEnd> ends;
  int drained = 0;
};

struct LeadersEnd {
  LeadersEnd() : call(Http2Call::server(SocketPeer::shard(), peer.our_socket(), heard, {})) { SocketPeer::turn(); }
  ~LeadersEnd() { call->close(); }
  SocketPeer peer;
  Heard heard;
  std::shared_ptr<Http2Call> call;
};

}  // namespace

TEST_CASE("what comes on a second stream is not a part of the call's messages") {
  LeadersEnd leader;
  // All at once: before its refusal has gone out.
  leader.peer.say(follower_opening() + http2_frame(data_frame, 0, 1, grpc_message("first").substr(0, 7)) +
                  http2_frame(headers_frame, end_headers, 3,
                              http2_header(":method", "POST") + http2_header(":scheme", "http") +
                                  http2_header(":path", fetch_path) + http2_header(":authority", "leader:1")) +
                  http2_frame(data_frame, 0, 3, "???") +
                  http2_frame(data_frame, 0, 1, grpc_message("first").substr(7)));
  REQUIRE(leader.heard.messages == std::vector<std::string>{"first"});
  REQUIRE(leader.heard.ends.empty());
}

TEST_CASE("a call of another path is refused, and what it says is not heard") {
  LeadersEnd leader;
  leader.peer.say(follower_opening("/naru.cluster.Replication/Other") +
                  http2_frame(data_frame, 0, 1, grpc_message("hello")));
  REQUIRE(leader.heard.messages.empty());
  REQUIRE(leader.peer.hear().find("\x02" "12") != std::string::npos);  // the grpc-status of a method that is not served
}

TEST_CASE("a peer that breaks the rules of HTTP/2 is left at once") {
  LeadersEnd leader;
  leader.peer.say(follower_opening() + http2_frame(settings_frame, 0, 0, "five?"));
  REQUIRE(leader.heard.ends.size() == 1);
  REQUIRE_FALSE(leader.heard.ends.front().status.has_value());
  REQUIRE(leader.peer.say("more") == 0);
}

TEST_CASE("a peer that hangs up in the middle of a message ends the call, once") {
  LeadersEnd leader;
  leader.peer.say(follower_opening() + http2_frame(data_frame, 0, 1, grpc_message("whole")) +
                  http2_frame(data_frame, 0, 1, grpc_message("half").substr(0, 6)));
  leader.peer.hang_up();
  REQUIRE(leader.heard.messages == std::vector<std::string>{"whole"});
  REQUIRE(leader.heard.ends.size() == 1);
}
