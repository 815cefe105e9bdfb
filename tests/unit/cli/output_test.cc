// Tables, units and problems as people see them.
#include <catch2/catch.hpp>

#include "cli/output.h"
#include "common/model/address_text.h"

using namespace cli;

TEST_CASE("tables: alignment, dashes, optional columns") {
  Table table({{"NAME"}, {"COUNT", Align::right}, {"ERROR", Align::left, true}});
  table.add({"orders", "12", ""});
  table.add({"caf\xc3\xa9", "", ""});
  CHECK(table.text() ==
        "NAME    COUNT\n"
        "orders     12\n"
        "caf\xc3\xa9        -\n");
  table.add({"x", "1", "BROKEN"});
  CHECK(table.text() ==
        "NAME    COUNT  ERROR\n"
        "orders     12  -\n"
        "caf\xc3\xa9        -  -\n"
        "x           1  BROKEN\n");
}

TEST_CASE("addresses") {
  using common::model::address_text;
  CHECK(address_text("kafka-1", 9092) == "kafka-1:9092");
  CHECK(address_text("127.0.0.1", 9092) == "127.0.0.1:9092");
  CHECK(address_text("::1", 9092) == "[::1]:9092");
  CHECK(address_text("fe80::1%eth0", 65'535) == "[fe80::1%eth0]:65535");
  CHECK(address_text("[::1]", 9092) == "[::1]:9092");
}

TEST_CASE("units") {
  CHECK(bytes_text(0) == "0 B");
  CHECK(bytes_text(1023) == "1023 B");
  CHECK(bytes_text(1536) == "1.5 KiB");
  CHECK(bytes_text(int64_t{5} << 30) == "5.0 GiB");
  CHECK(duration_text(std::chrono::milliseconds(38)) == "38 ms");
  CHECK(duration_text(std::chrono::seconds(61)) == "61 s");
  CHECK(duration_text(std::chrono::hours(3)) == "3 h");
  CHECK(ids_text({1, 2, 3}) == "1,2,3");
}

TEST_CASE("a refusal says the code and what it means; a broker's own words win") {
  using common::model::ErrorCode;
  CHECK(refused("cannot create topic a", ErrorCode::topic_already_exists).message ==
        "cannot create topic a: TOPIC_ALREADY_EXISTS (a topic of that name exists)");
  CHECK(refused("x", ErrorCode::invalid_config, "retention.ms=x: must be a whole number").message ==
        "x: INVALID_CONFIG (retention.ms=x: must be a whole number)");
  CHECK(refused("x", ErrorCode::request_timed_out).exit == Exit::unreachable);
}
