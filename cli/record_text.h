// How records look as text: the patterns of `naru consume -f` and `naru produce -f`, and where `--from` begins.
// Pure; thread-compatible.
#pragma once
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/problem.h"

namespace cli {

struct RecordText {
  std::string_view topic;
  int32_t partition = 0;
  int64_t offset = 0;
  int64_t timestamp = 0;  // milliseconds since 1970
  std::optional<std::string_view> key;
  std::optional<std::string_view> value;
  std::vector<std::pair<std::string_view, std::optional<std::string_view>>> headers;
};

// %t topic, %p partition, %o offset, %k key, %K key length, %v or %s value, %S value length, %h headers, %T
// milliseconds, %d date, %% percent; \n \t \r \0 \\ as usual.
class OutputPattern {
 public:
  static Outcome<OutputPattern> parse(std::string_view text);
  void append(std::string& out, const RecordText& record) const;

 private:
  // A literal, or (text empty) a field by its letter.
  struct Part {
    std::string text;
    char field = 0;
  };
  std::vector<Part> parts_;
};

// One JSON object, in one line with its end. Bytes that are no UTF-8 are replaced, and said so by "binary": true.
std::string record_json(const RecordText& record);
// 2026-11-23T12:00:00.123Z
std::string date_text(int64_t timestamp_ms);

// Cuts a stream of bytes into records by a pattern such as "%k\t%v\n" (%k key, %v value, text between them separates).
class InputPattern {
 public:
  struct Record {
    std::optional<std::string> key;
    std::optional<std::string> value;
  };
  static Outcome<InputPattern> parse(std::string_view text);
  // Takes one record from the front of `bytes`; absent: more bytes are needed. With `at_end` what is left counts as if
  // the last separator stood behind it.
  std::optional<Record> take(std::string_view& bytes, bool at_end) const;

 private:
  struct Part {
    char field = 0;  // 'k' or 'v'
    std::string end;
  };
  std::string start_;
  std::vector<Part> parts_;
};

// Where `--from` begins.
struct StartPosition {
  enum class Kind { start, end, tail, offset, time } kind = Kind::end;
  int64_t number = 0;  // tail: how many; offset; time: milliseconds since 1970
  friend bool operator==(const StartPosition&, const StartPosition&) = default;
};
// `option` is what the message calls it.
Outcome<StartPosition> parse_from(std::string_view text, int64_t now_ms, std::string_view option = "--from");
// The offset that it means in a partition that holds [start, end). `at_time`: what the partition's leader said of the
// time, -1 if no record is that young, which means the end; absent if it said nothing, and then nobody knows.
std::optional<int64_t> offset_meant(const StartPosition& position, int64_t start, int64_t end,
                                    const std::optional<int64_t>& at_time);

// "orders" or "orders:0,3", as --topic takes it.
struct TopicChoice {
  std::string topic;
  std::set<int32_t> partitions;  // empty: all
};
Outcome<TopicChoice> parse_topic_choice(std::string_view text);

}  // namespace cli
