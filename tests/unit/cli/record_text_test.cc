// Patterns of produce and consume, and where --from begins.
#include <catch2/catch.hpp>

#include "cli/record_text.h"

using namespace cli;

namespace {
RecordText sample() {
  RecordText record;
  record.topic = "orders";
  record.partition = 3;
  record.offset = 42;
  record.timestamp = 1'700'000'000'123;
  record.key = "k";
  record.value = "hello";
  record.headers = {{"a", "1"}, {"b", std::nullopt}};
  return record;
}
std::string formatted(std::string_view pattern, const RecordText& record) {
  const auto parsed = OutputPattern::parse(pattern);
  REQUIRE(parsed);
  std::string out;
  parsed->append(out, record);
  return out;
}
std::vector<InputPattern::Record> cut(std::string_view pattern, std::string_view bytes, bool at_end,
                                      std::string* rest = nullptr) {
  const auto parsed = InputPattern::parse(pattern);
  REQUIRE(parsed);
  std::vector<InputPattern::Record> all;
  while (auto record = parsed->take(bytes, at_end)) all.push_back(std::move(*record));
  if (rest != nullptr) *rest = bytes;
  return all;
}
}  // namespace

TEST_CASE("output patterns") {
  CHECK(formatted("%t/%p/%o %k: %s\\n", sample()) == "orders/3/42 k: hello\n");
  CHECK(formatted("%K %S %h %T", sample()) == "1 5 a=1,b=NULL 1700000000123");
  CHECK(formatted("%d", sample()) == "2023-11-14T22:13:20.123Z");
  CHECK(formatted("100%% \\t\\\\ \\q %", sample()) == "100% \t\\ \\q %");
  RecordText empty;
  CHECK(formatted("[%k][%v]%K", empty) == "[][]-1");
  CHECK(date_text(-1) == "1969-12-31T23:59:59.999Z");
  const auto wrong = OutputPattern::parse("%x");
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().exit == Exit::usage);
}

TEST_CASE("records as JSON lines") {
  CHECK(
      record_json(sample()) ==
      R"({"topic":"orders","partition":3,"offset":42,"timestamp":1700000000123,"key":"k","value":"hello","headers":[{"name":"a","value":"1"},{"name":"b","value":null}]})"
      "\n");
  RecordText record;
  record.topic = "t";
  record.value = std::string_view("\xff\xc3", 2);
  CHECK(record_json(record).find(R"("binary":true)") != std::string::npos);
  record.value = "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80";
  CHECK(record_json(record).find("binary") == std::string::npos);
}

TEST_CASE("input patterns: lines, keys, split reads") {
  std::string rest;
  auto records = cut("%v\\n", "a\nb\nc", false, &rest);
  REQUIRE(records.size() == 2);
  CHECK(records[1].value == "b");
  CHECK_FALSE(records[1].key);
  CHECK(rest == "c");
  CHECK(cut("%v\\n", "c", true).front().value == "c");
  CHECK(cut("%v\\n", "", true).empty());
  CHECK(cut("%v\\n", "\n", false).front().value == "");

  records = cut("%k\\t%v\\n", "k1\tv1\nk2\tv2\n", false);
  REQUIRE(records.size() == 2);
  CHECK(records[1].key == "k2");
  CHECK(records[1].value == "v2");
  CHECK(cut("<%v>", "<a><b", false, &rest).size() == 1);
  CHECK(rest == "<b");
  for (const std::string_view wrong : {"%k\\n", "%k%v\\n", "%v", "%v\\n%v\\n", "%o\\n"})
    CHECK_FALSE(InputPattern::parse(wrong));
}

TEST_CASE("where --from begins") {
  using Kind = StartPosition::Kind;
  const int64_t now = 1'700'000'000'000;
  CHECK(*parse_from("start", now) == StartPosition{Kind::start, 0});
  CHECK(*parse_from("end", now) == StartPosition{Kind::end, 0});
  CHECK(*parse_from("-10", now) == StartPosition{Kind::tail, 10});
  CHECK(*parse_from("1234", now) == StartPosition{Kind::offset, 1234});
  CHECK(*parse_from("2h", now) == StartPosition{Kind::time, now - 7'200'000});
  CHECK(*parse_from("@1700000000000", now) == StartPosition{Kind::time, 1'700'000'000'000});
  CHECK(*parse_from("@2023-11-14T22:13:20Z", now) == StartPosition{Kind::time, 1'700'000'000'000});
  CHECK(*parse_from("@2023-11-14", now) == StartPosition{Kind::time, 1'699'920'000'000});
  CHECK(*parse_from("-1h", now) == StartPosition{Kind::time, now - 3'600'000});
  CHECK(*parse_from("2023-11-14", now) == StartPosition{Kind::time, 1'699'920'000'000});
  CHECK(*parse_from("2023-11-14T22:13:20Z", now) == StartPosition{Kind::time, 1'700'000'000'000});
  for (const std::string_view wrong : {"", "soon", "2w", "@", "@x", "h", "1.5", "--1h", "-h", "2023-11-14x"})
    CHECK_FALSE(parse_from(wrong, now));
  CHECK(parse_from("soon", now, "--to").error().message.starts_with("--to soon: must be start, end"));
}

TEST_CASE("the offset that a position means, within what the partition holds") {
  using Kind = StartPosition::Kind;
  CHECK(offset_meant({Kind::start, 0}, 5, 20, std::nullopt) == 5);
  CHECK(offset_meant({Kind::end, 0}, 5, 20, std::nullopt) == 20);
  CHECK(offset_meant({Kind::tail, 3}, 5, 20, std::nullopt) == 17);
  CHECK(offset_meant({Kind::tail, 30}, 5, 20, std::nullopt) == 5);
  CHECK(offset_meant({Kind::offset, 7}, 5, 20, std::nullopt) == 7);
  CHECK(offset_meant({Kind::offset, 99}, 5, 20, std::nullopt) == 20);
  CHECK(offset_meant({Kind::time, 1}, 5, 20, 9) == 9);
  CHECK(offset_meant({Kind::time, 1}, 5, 20, -1) == 20);  // nothing is that young
  CHECK_FALSE(offset_meant({Kind::time, 1}, 5, 20, std::nullopt));  // nobody said so: not the end
}

TEST_CASE("a topic with some of its partitions") {
  CHECK(parse_topic_choice("orders")->topic == "orders");
  CHECK(parse_topic_choice("orders")->partitions.empty());
  CHECK(parse_topic_choice("orders:0,3")->topic == "orders");
  CHECK(parse_topic_choice("orders:0,3")->partitions == std::set<int32_t>{0, 3});
  for (const std::string_view wrong : {"orders:", "orders:x", "orders:0,", "orders:,1", "orders:-1", "orders:1x"})
    CHECK(parse_topic_choice(wrong).error().exit == Exit::usage);
}
