#include "cli/record_text.h"

#include <algorithm>
#include <charconv>
#include <ctime>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace cli {
namespace {

std::optional<int64_t> integer(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// One character of a pattern after a backslash.
std::optional<char> escaped(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case 'r':
      return '\r';
    case '0':
      return '\0';
    case '\\':
      return '\\';
    default:
      return std::nullopt;
  }
}

struct Piece {
  std::string text;
  char field = 0;
};

// Splits a pattern into literals and fields; `fields` are the letters that may follow a percent sign.
Outcome<std::vector<Piece>> pieces_of(std::string_view pattern, std::string_view fields) {
  std::vector<Piece> pieces;
  const auto literal = [&](char c) {
    if (pieces.empty() || pieces.back().field != 0) pieces.emplace_back();
    pieces.back().text += c;
  };
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if ((c != '%' && c != '\\') || i + 1 == pattern.size()) {
      literal(c);
      continue;
    }
    const char next = pattern[++i];
    if (c == '\\') {
      const std::optional<char> special = escaped(next);
      if (!special) literal(c);
      literal(special.value_or(next));
    } else if (next == '%') {
      literal('%');
    } else if (fields.find(next) != std::string_view::npos) {
      pieces.push_back({.text = {}, .field = next});
    } else {
      return problem(Exit::usage, fmt::format("--format {}: %{} means nothing here", pattern, next),
                     fmt::format("known: %{}", fmt::join(fields, " %")));
    }
  }
  return pieces;
}

bool is_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const size_t more = lead < 0x80                   ? 0
                        : lead >= 0xc2 && lead < 0xe0 ? 1
                        : lead >= 0xe0 && lead < 0xf0 ? 2
                        : lead >= 0xf0 && lead < 0xf5 ? 3
                                                      : 4;
    if (more == 4 || i + more >= text.size()) return false;
    for (size_t k = 1; k <= more; ++k) {
      if ((static_cast<unsigned char>(text[i + k]) & 0xc0) != 0x80) return false;
    }
    i += more + 1;
  }
  return true;
}

// A date as 2026-11-23 or 2026-11-23T12:00:00 with an optional Z, taken as UTC.
std::optional<int64_t> parse_date(std::string_view text) {
  if (text.ends_with('Z')) text.remove_suffix(1);
  std::tm parts{};
  const std::string copy(text);
  const char* end = strptime(copy.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (end == nullptr || *end != '\0') {
    parts = {};
    end = strptime(copy.c_str(), "%Y-%m-%d", &parts);
  }
  if (end == nullptr || *end != '\0') return std::nullopt;
  return static_cast<int64_t>(timegm(&parts)) * 1000;
}

}  // namespace

Outcome<OutputPattern> OutputPattern::parse(std::string_view text) {
  Outcome<std::vector<Piece>> pieces = pieces_of(text, "tpokKvsShTd");
  if (!pieces) return tl::unexpected(std::move(pieces.error()));
  OutputPattern pattern;
  for (Piece& piece : *pieces) pattern.parts_.push_back({.text = std::move(piece.text), .field = piece.field});
  return pattern;
}

void OutputPattern::append(std::string& out, const RecordText& record) const {
  for (const Part& part : parts_) {
    switch (part.field) {
      case 0:
        out += part.text;
        break;
      case 't':
        out += record.topic;
        break;
      case 'p':
        out += std::to_string(record.partition);
        break;
      case 'o':
        out += std::to_string(record.offset);
        break;
      case 'k':
        out += record.key.value_or(std::string_view());
        break;
      case 'K':
        out += record.key ? std::to_string(record.key->size()) : "-1";
        break;
      case 'v':
      case 's':
        out += record.value.value_or(std::string_view());
        break;
      case 'S':
        out += record.value ? std::to_string(record.value->size()) : "-1";
        break;
      case 'T':
        out += std::to_string(record.timestamp);
        break;
      case 'd':
        out += date_text(record.timestamp);
        break;
      case 'h': {
        bool first = true;
        for (const auto& [name, value] : record.headers) {
          out += fmt::format("{}{}={}", first ? "" : ",", name, value.value_or("NULL"));
          first = false;
        }
        break;
      }
    }
  }
}

std::string record_json(const RecordText& record) {
  using Json = nlohmann::ordered_json;
  bool binary = false;
  const auto text_of = [&](const std::optional<std::string_view>& bytes) {
    if (!bytes) return Json(nullptr);
    if (!is_utf8(*bytes)) binary = true;
    return Json(std::string(*bytes));
  };
  Json json = {{"topic", std::string(record.topic)}, {"partition", record.partition}, {"offset", record.offset},
               {"timestamp", record.timestamp},      {"key", text_of(record.key)},    {"value", text_of(record.value)}};
  Json headers = Json::array();
  for (const auto& [name, value] : record.headers)
    headers.push_back({{"name", std::string(name)}, {"value", text_of(value)}});
  json["headers"] = std::move(headers);
  if (binary) json["binary"] = true;
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string date_text(int64_t timestamp_ms) {
  const int64_t whole = timestamp_ms >= 0 ? timestamp_ms / 1000 : (timestamp_ms - 999) / 1000;
  const auto seconds = static_cast<time_t>(whole);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, timestamp_ms - whole * 1000);
}

Outcome<InputPattern> InputPattern::parse(std::string_view text) {
  Outcome<std::vector<Piece>> pieces = pieces_of(text, "kvs");
  if (!pieces) return tl::unexpected(std::move(pieces.error()));
  InputPattern pattern;
  const auto wrong = [&](std::string_view why) {
    return problem(Exit::usage, fmt::format("--format {}: {}", text, why), "as in '%k\\t%v\\n'");
  };
  bool has_value = false;
  bool has_key = false;
  for (Piece& piece : *pieces) {
    if (piece.field == 0) {
      (pattern.parts_.empty() ? pattern.start_ : pattern.parts_.back().end) = std::move(piece.text);
      continue;
    }
    const char field = piece.field == 's' ? 'v' : piece.field;
    bool& seen = field == 'k' ? has_key : has_value;
    if (seen) return wrong("a field stands there twice");
    seen = true;
    if (!pattern.parts_.empty() && pattern.parts_.back().end.empty())
      return wrong("something must stand between the fields");
    pattern.parts_.push_back({.field = field, .end = {}});
  }
  if (!has_value) return wrong("%v is missing");
  if (pattern.parts_.back().end.empty()) return wrong("something must end the record");
  return pattern;
}

std::optional<InputPattern::Record> InputPattern::take(std::string_view& bytes, bool at_end) const {
  std::string_view rest = bytes;
  if (rest.empty()) return std::nullopt;
  if (rest.starts_with(start_)) {
    rest.remove_prefix(start_.size());
  } else if (!at_end && std::string_view(start_).starts_with(rest)) {
    return std::nullopt;
  }
  Record record;
  for (const Part& part : parts_) {
    const size_t end = rest.find(part.end);
    if (end == std::string_view::npos && !at_end) return std::nullopt;
    const std::string_view field = rest.substr(0, end);
    (part.field == 'k' ? record.key : record.value) = std::string(field);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + part.end.size());
  }
  bytes = rest;
  return record;
}

Outcome<StartPosition> parse_from(std::string_view text, int64_t now_ms, std::string_view option) {
  using Kind = StartPosition::Kind;
  if (text == "start" || text == "beginning") return StartPosition{Kind::start, 0};
  if (text == "end") return StartPosition{Kind::end, 0};
  if (text.starts_with('@')) {
    const std::string_view moment = text.substr(1);
    if (const std::optional<int64_t> ms = integer(moment); ms && *ms >= 0) return StartPosition{Kind::time, *ms};
    if (const std::optional<int64_t> ms = parse_date(moment)) return StartPosition{Kind::time, *ms};
  } else if (const std::optional<int64_t> number = integer(text)) {
    return *number < 0 ? StartPosition{Kind::tail, -*number} : StartPosition{Kind::offset, *number};
  } else if (text.size() > 1) {
    const std::string_view unit_letter = text.substr(text.size() - 1);
    const int64_t unit = unit_letter == "s"   ? 1000
                         : unit_letter == "m" ? 60'000
                         : unit_letter == "h" ? 3'600'000
                         : unit_letter == "d" ? 86'400'000
                                              : 0;
    const size_t sign = text.starts_with('-') ? 1 : 0;  // "-1h" means the same as "1h": there is no other direction
    const std::optional<int64_t> count = integer(text.substr(sign, text.size() - 1 - sign));
    if (unit != 0 && count && *count >= 0 && *count < 10'000'000)
      return StartPosition{Kind::time, now_ms - *count * unit};
    if (const std::optional<int64_t> ms = parse_date(text)) return StartPosition{Kind::time, *ms};
  }
  return problem(
      Exit::usage,
      fmt::format("{} {}: must be start, end, -10, an offset, 30s, 5m, 2h, 1d, @milliseconds or @2026-11-23T12:00:00Z",
                  option, text));
}

std::optional<int64_t> offset_meant(const StartPosition& position, int64_t start, int64_t end,
                                    const std::optional<int64_t>& at_time) {
  using Kind = StartPosition::Kind;
  int64_t target = start;
  switch (position.kind) {
    case Kind::start:
      break;
    case Kind::end:
      target = end;
      break;
    case Kind::tail:
      target = end - position.number;
      break;
    case Kind::offset:
      target = position.number;
      break;
    case Kind::time:
      if (!at_time) return std::nullopt;
      target = *at_time >= 0 ? *at_time : end;
      break;
  }
  return std::clamp(target, start, end);
}

Outcome<TopicChoice> parse_topic_choice(std::string_view text) {
  const size_t colon = text.find(':');
  TopicChoice choice{.topic = std::string(text.substr(0, colon)), .partitions = {}};
  if (colon == std::string_view::npos) return choice;
  for (size_t at = colon; at < text.size();) {
    const size_t end = std::min(text.find(',', at + 1), text.size());
    const std::optional<int64_t> index = integer(text.substr(at + 1, end - at - 1));
    if (!index || *index < 0 || *index > std::numeric_limits<int32_t>::max())
      return problem(Exit::usage,
                     fmt::format("--topic {}: must be a topic, or one with partitions as orders:0,3", text));
    choice.partitions.insert(static_cast<int32_t>(*index));
    at = end;
  }
  return choice;
}

}  // namespace cli
