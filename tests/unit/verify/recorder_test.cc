// What is recorded to a file reads back as the same verdict; payloads survive their journey, and only ours count.
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <catch2/catch.hpp>

#include "cli/verify/clients.h"
#include "cli/verify/history_file.h"
#include "cli/verify/payload.h"
#include "cli/verify/recorder.h"
#include "cli/verify/report.h"

using namespace cli::verify;

namespace {

// A run with some of everything, in which record 0:1 is lost and one end goes back.
void tell(Recorder& recorder) {
  recorder.expect(0);
  recorder.member(7, 0);
  recorder.assigned(7, 0, 3);
  recorder.leader_seen(0, 1, 4);
  for (int64_t n = 0; n < 3; ++n) {
    recorder.sent(0, make_value(0, n));
    recorder.acknowledged(0, make_value(0, n), n);
    recorder.polled(7, 0, n, make_value(0, n));
  }
  recorder.sent(0, make_value(1, 0));
  recorder.failed(0, make_value(1, 0), Failure::definite);
  recorder.sent(0, make_value(1, 1));
  recorder.failed(0, make_value(1, 1), Failure::unknown);
  recorder.commit_ended(recorder.commit_began(0, 0, 3), true);
  recorder.commit_ended(recorder.commit_began(0, 0, 2), false);
  recorder.commit_told(recorder.commit_asked(0, 0), 3);
  recorder.call_failed(recorder.commit_asked(0, 0));
  recorder.fault_began("kill -9 of broker 1");
  recorder.leader_seen(0, 2, 5);
  recorder.fault_ended();
  recorder.end_told(recorder.end_asked(0), 2);
  recorder.call_failed(recorder.end_asked(0));
  recorder.revoked(7, 0);
  recorder.producing_stopped();
  recorder.final_read(0, 0, make_value(0, 0));
  recorder.final_read(0, 2, make_value(0, 2));
  recorder.copied(0, 1, 0, 0xabc, 4);
  recorder.copy_ended(0, 1, 0, 1);
}

}  // namespace

TEST_CASE("a recorded history reads back as the same verdict") {
  const auto path = std::filesystem::temp_directory_path() / fmt::format("naru-recorder-test-{}", ::getpid());
  const bool is_complete = GENERATE(true, false);
  Recorder recorder({});
  REQUIRE(recorder.write_to(path));
  tell(recorder);
  const Verdict direct = recorder.finish(HistoryChecker::Consumers::read_to_end, is_complete, {});
  std::FILE* file = std::fopen(path.c_str(), "r");
  REQUIRE(file != nullptr);
  const auto read = check_history(file);
  std::fclose(file);
  std::filesystem::remove(path);
  if (!read) FAIL("line " << read.error().line << ": " << read.error().message);
  CHECK(read->valid() == is_complete);
  CHECK(direct.count(Anomaly::lost) == (is_complete ? 1 : 0));
  CHECK(direct.count(Anomaly::stale) == 1);
  Report first{.verdict = direct};
  Report second{.verdict = *read};
  second.verdict.invalid.clear();
  CHECK(json_members(first) == json_members(second));
  CHECK(screen_text(first).starts_with("FAIL"));
}

TEST_CASE("a history that cannot be written is said at once") {
  Recorder recorder({});
  const auto opened = recorder.write_to("/nowhere/at/all");
  REQUIRE_FALSE(opened);
  CHECK(opened.error().exit == cli::Exit::usage);
}

TEST_CASE("payloads: ours, of another run, and of nobody") {
  const Value value = make_value(12, 345'678);
  const std::string text = payload_of("cafe0001", value, 100);
  CHECK(text.size() == 100);
  const Payload ours = parse_payload("cafe0001", text);
  CHECK(ours.is_ours);
  CHECK(ours.value == value);
  CHECK_FALSE(parse_payload("cafe0002", text).is_ours);
  for (const std::string damaged :
       {"", "naru", "naru cafe0001", "naru cafe0001 ", "naru cafe0001 12", "naru cafe0001 12:", "naru cafe0001 12:x",
        "naru cafe0001 -1:5", "hello", "naru cafe0001 12:3 45"}) {
    INFO(damaged);
    const Payload nobodys = parse_payload("cafe0001", damaged);
    CHECK(nobodys.is_ours);
    CHECK(nobodys.value == -1);
  }
}

TEST_CASE("the screen and the exit: pass, fail, invalid, incomplete") {
  Report report{.subject = "topic t"};
  CHECK(passed(report));
  CHECK(screen_text(report).starts_with("PASS  topic t"));
  report.notes = {"replica 2 of partition 0 was not compared: connection refused"};
  CHECK(passed(report));
  CHECK(screen_text(report).find("not checked: replica 2") != std::string::npos);
  report.verdict.invalid = {"3.0 acknowledgements a second, fewer than 100"};
  CHECK_FALSE(passed(report));
  CHECK(screen_text(report).starts_with("INVALID"));
  report.verdict.invalid.clear();
  report.is_complete = false;
  CHECK(screen_text(report).starts_with("INVALID"));
  report.verdict.anomalies[Anomaly::lost] = 2;
  CHECK_FALSE(passed(report));
  CHECK(screen_text(report).starts_with("FAIL"));
}

TEST_CASE("a file of client properties says how to connect, not what a run is judged by") {
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / ("naru-verify-" + std::to_string(::getpid()) + ".properties");
  std::ofstream(file) << "bootstrap.servers=file:1\nacks=1\nenable.idempotence=false\nenable.auto.commit=true\n"
                         "auto.offset.reset=latest\nisolation.level=read_uncommitted\ngroup.id=billing\nlinger.ms=5\n";
  cli::Shared shared;
  shared.command_config = file.string();
  shared.properties = {"acks=all", "group.id=other"};
  const std::vector<std::string> properties = library_properties(shared);
  std::filesystem::remove(file);
  CHECK(properties == std::vector<std::string>{"bootstrap.servers=file:1", "linger.ms=5", "acks=all"});
}
