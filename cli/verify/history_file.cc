#include "cli/verify/history_file.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include <fmt/format.h>

namespace cli::verify {
namespace {

constexpr size_t line_bytes_max = 4096;
constexpr int64_t microseconds_max = int64_t{1'000'000} * 86'400 * 365;
constexpr int64_t offset_max = int64_t{1} << 50;
// What honest histories stay far below: state that grows faster than what was read is nonsense, or an attack.
constexpr size_t state_bytes_min = size_t{256} << 20;
constexpr size_t state_bytes_per_event = 512;
constexpr int64_t events_between_looks = 1 << 16;

}  // namespace

// The words of one line, taken from the front. The first that is not as it must be stays the reason.
struct HistoryReader::Words {
  std::string_view rest;
  const char* wrong = nullptr;

  std::string_view word() {
    const size_t start = rest.find_first_not_of(' ');
    if (start == std::string_view::npos) {
      rest = {};
      return {};
    }
    rest.remove_prefix(start);
    const size_t end = std::min(rest.find(' '), rest.size());
    const std::string_view found = rest.substr(0, end);
    rest.remove_prefix(end);
    return found;
  }
  bool fail(const char* why) {
    if (wrong == nullptr) wrong = why;
    return false;
  }
  int64_t number(int64_t least, int64_t most, const char* why) {
    const std::string_view text = word();
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size() && !text.empty() && value >= least && value <= most)
      return value;
    fail(why);
    return least;
  }
  [[nodiscard]] bool at_end() const { return rest.find_first_not_of(' ') == std::string_view::npos; }

  int32_t partition() { return static_cast<int32_t>(number(0, 1'000'000, "a partition is 0 to 1000000")); }
  int32_t small(const char* why) { return static_cast<int32_t>(number(0, 2'147'483'647, why)); }
  int32_t group() { return static_cast<int32_t>(number(0, groups_max - 1, "a group is 0 to 7")); }
  int64_t offset() { return number(-1, offset_max, "not an offset"); }
  int64_t id(const char* why) { return number(0, offset_max, why); }
  Value value() {
    const std::string_view text = word();
    if (text == "-") return -1;
    const size_t colon = text.find(':');
    Words first{.rest = text.substr(0, colon)};
    if (colon == std::string_view::npos) {
      const int64_t counter = first.number(0, counter_max, "");
      if (first.wrong != nullptr) fail("a value is COUNTER or PRODUCER:COUNTER");
      return counter;
    }
    Words second{.rest = text.substr(colon + 1)};
    const auto producer = static_cast<int32_t>(first.number(0, producer_max, ""));
    const int64_t counter = second.number(0, counter_max, "");
    if (first.wrong != nullptr || second.wrong != nullptr) fail("a value is COUNTER or PRODUCER:COUNTER");
    return make_value(producer, counter);
  }
  uint64_t hexadecimal() {
    const std::string_view text = word();
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (error != std::errc() || end != text.data() + text.size() || text.empty()) fail("a hash is hexadecimal");
    return value;
  }
};

HistoryReader::HistoryReader() = default;
HistoryReader::~HistoryReader() = default;

HistoryChecker& HistoryReader::checker() {
  if (!checker_) checker_ = std::make_unique<HistoryChecker>(promise_);
  return *checker_;
}

bool HistoryReader::header(std::string_view word, Words& words) {
  if (word == "promise") {
    if (checker_) return words.fail("promises come before what happened");
    while (!words.at_end()) {
      const std::string_view item = words.word();
      if (item == "acks=all")
        promise_.acks = Promise::Acks::all;
      else if (item == "acks=1")
        promise_.acks = Promise::Acks::leader;
      else if (item == "acks=0")
        promise_.acks = Promise::Acks::none;
      else if (item == "idempotent=yes")
        promise_.idempotent = true;
      else if (item == "idempotent=no")
        promise_.idempotent = false;
      else if (item == "isolation=read_committed")
        promise_.read_committed = true;
      else if (item == "isolation=read_uncommitted")
        promise_.read_committed = false;
      else
        return words.fail("no such promise");
    }
    return true;
  }
  if (word != "require") return false;
  while (!words.at_end()) {
    const std::string_view item = words.word();
    const size_t equals = item.find('=');
    if (equals == std::string_view::npos) return words.fail("NAME=NUMBER");
    Words number{.rest = item.substr(equals + 1)};
    const int64_t least = number.number(0, 1'000'000'000, "");
    if (number.wrong != nullptr) return words.fail("NAME=NUMBER");
    const std::string_view name = item.substr(0, equals);
    if (name == "acks")
      requirements_.acks_per_second = least;
    else if (name == "faults")
      requirements_.faults = least;
    else if (name == "leaders")
      requirements_.leader_changes = least;
    else
      return words.fail("acks, faults or leaders can be required");
  }
  return true;
}

bool HistoryReader::produce_event(std::string_view word, Words& words) {
  if (word == "sent") {
    const int32_t partition = words.partition();
    const Value value = words.value();
    const int64_t transaction = words.at_end() ? HistoryChecker::no_transaction : words.id("not a transaction");
    if (value < 0) return words.fail("what is sent has a value");
    if (words.wrong == nullptr) checker().sent(partition, value, transaction);
  } else if (word == "ack") {
    const int32_t partition = words.partition();
    const Value value = words.value();
    const int64_t offset = words.offset();
    if (words.wrong == nullptr) checker().acknowledged(partition, value, offset);
  } else if (word == "refused" || word == "unknown") {
    const int32_t partition = words.partition();
    const Value value = words.value();
    const Failure failure = word == "refused" ? Failure::definite : Failure::unknown;
    if (words.wrong == nullptr) checker().failed(partition, value, failure);
  } else {
    return false;
  }
  return true;
}

bool HistoryReader::consume_event(std::string_view word, Words& words) {
  if (word == "poll") {
    const int32_t consumer = words.small("not a consumer");
    const int32_t partition = words.partition();
    const int64_t offset = words.offset();
    const Value value = words.value();
    if (words.wrong == nullptr) checker().polled(consumer, partition, offset, value);
  } else if (word == "member") {
    const int32_t consumer = words.small("not a consumer");
    const int32_t group = words.group();
    if (words.wrong == nullptr) checker().member(consumer, group);
  } else if (word == "assign") {
    const int32_t consumer = words.small("not a consumer");
    const int32_t partition = words.partition();
    const int32_t generation = words.at_end() ? -1 : words.small("not a generation");
    if (words.wrong == nullptr) checker().assigned(consumer, partition, generation);
  } else if (word == "revoke") {
    const int32_t consumer = words.small("not a consumer");
    const int32_t partition = words.partition();
    if (words.wrong == nullptr) checker().revoked(consumer, partition);
  } else {
    return false;
  }
  return true;
}

bool HistoryReader::call_event(std::string_view word, Words& words) {
  static constexpr std::string_view known[] = {
      "commit", "committed", "commit-refused", "commit-unknown", "offset?", "offset", "end?", "end", "failed"};
  if (std::ranges::find(known, word) == std::end(known)) return false;
  const int64_t call = words.id("not a call");
  bool fits = true;
  if (word == "commit") {
    const int32_t group = words.group();
    const int32_t partition = words.partition();
    const int64_t offset = words.offset();
    if (words.wrong == nullptr) fits = checker().commit_began(call, group, partition, offset);
  } else if (word == "offset?") {
    const int32_t group = words.group();
    const int32_t partition = words.partition();
    if (words.wrong == nullptr) fits = checker().commit_fetch_began(call, group, partition);
  } else if (word == "end?") {
    const int32_t partition = words.partition();
    if (words.wrong == nullptr) fits = checker().end_asked(call, partition);
  } else if (word == "offset" || word == "end") {
    const int64_t offset = words.offset();
    if (words.wrong == nullptr) {
      fits = word == "end" ? checker().end_answered(call, offset) : checker().commit_fetch_answered(call, offset);
    }
  } else if (words.wrong == nullptr) {
    fits = word == "committed" ? checker().commit_acknowledged(call)
           : word == "failed"
               ? checker().end_failed(call) || checker().commit_fetch_failed(call)
               : checker().commit_failed(call, word == "commit-refused" ? Failure::definite : Failure::unknown);
  }
  return fits || words.fail("a call begins once, and ends after it has begun");
}

bool HistoryReader::transaction_event(std::string_view word, Words& words) {
  if (word == "begin") {
    const int64_t transaction = words.id("not a transaction");
    const int32_t consumer = words.at_end() ? -1 : words.small("not a consumer");
    if (words.wrong == nullptr) checker().transaction_began(transaction, consumer);
  } else if (word == "commit-txn") {
    const int64_t transaction = words.id("not a transaction");
    if (words.wrong == nullptr) checker().transaction_committing(transaction);
  } else if (word == "txn") {
    const int64_t transaction = words.id("not a transaction");
    const std::string_view outcome = words.word();
    if (outcome != "committed" && outcome != "aborted" && outcome != "unknown")
      return words.fail("a transaction ends committed, aborted or unknown");
    if (words.wrong == nullptr) {
      checker().transaction_ended(transaction, outcome == "committed" ? HistoryChecker::Outcome::committed
                                               : outcome == "aborted" ? HistoryChecker::Outcome::aborted
                                                                      : HistoryChecker::Outcome::unknown);
    }
  } else {
    return false;
  }
  return true;
}

bool HistoryReader::last_event(std::string_view word, Words& words) {
  if (word == "final") {
    const int32_t partition = words.partition();
    const int64_t offset = words.offset();
    const Value value = words.value();
    if (words.wrong == nullptr) checker().final_read(partition, offset, value);
  } else if (word == "copy") {
    const int32_t partition = words.partition();
    const int32_t replica = words.small("not a replica");
    const int64_t offset = words.offset();
    const uint64_t hash = words.hexadecimal();
    const auto epoch = static_cast<int32_t>(words.number(-1, 2'147'483'647, "not an epoch"));
    if (words.wrong == nullptr) checker().copied(partition, replica, offset, hash, epoch);
  } else if (word == "copied") {
    const int32_t partition = words.partition();
    const int32_t replica = words.small("not a replica");
    const int64_t start = words.offset();
    const int64_t high_watermark = words.offset();
    if (words.wrong == nullptr) checker().copy_ended(partition, replica, start, high_watermark);
  } else if (word == "start") {
    const int32_t partition = words.partition();
    const int64_t offset = words.offset();
    if (words.wrong == nullptr) checker().log_start(partition, offset);
  } else if (word == "complete") {
    is_complete_ = true;
    const std::string_view polled = words.word();
    if (!polled.empty() && polled != "polled") return words.fail("complete, or complete polled");
    were_polled_ = polled == "polled";
  } else {
    return false;
  }
  return true;
}

bool HistoryReader::event(std::string_view word, Words& words) {
  if (word == "@") {
    const int64_t time = words.number(0, microseconds_max, "a time is in microseconds since the start");
    if (words.wrong == nullptr) checker().at(time);
  } else if (word == "leader") {
    const int32_t partition = words.partition();
    const int32_t broker = words.small("not a broker");
    const int32_t epoch = words.small("not an epoch");
    if (words.wrong == nullptr) checker().leader_seen(partition, broker, epoch);
  } else if (word == "fault") {
    checker().fault_began(std::string(words.rest.substr(std::min<size_t>(1, words.rest.size()))));
    words.rest = {};
  } else if (word == "healed") {
    checker().fault_ended();
  } else if (word == "stop") {
    checker().producing_stopped();
  } else {
    return produce_event(word, words) || consume_event(word, words) || last_event(word, words) ||
           call_event(word, words) || transaction_event(word, words) || header(word, words);
  }
  return true;
}

tl::expected<void, HistoryError> HistoryReader::line(std::string_view text) {
  const auto wrong = [&](std::string why) {
    return tl::unexpected(HistoryError{.line = line_, .message = std::move(why)});
  };
  ++line_;
  if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
  if (!has_magic_) {
    if (text != "naru-history 1") return wrong("not a history: the first line must be: naru-history 1");
    has_magic_ = true;
    return {};
  }
  Words words{.rest = text};
  const std::string_view word = words.word();
  if (word.empty() || word.front() == '#') return {};
  if (is_complete_) return wrong("nothing comes after complete");
  if (!event(word, words) && words.wrong == nullptr) return wrong(fmt::format("no such event: {:.40}", word));
  if (words.wrong != nullptr) return wrong(words.wrong);
  if (!words.at_end()) return wrong("too many words");
  if (++events_ % events_between_looks == 0 && checker_ &&
      checker_->bytes() > state_bytes_min + static_cast<size_t>(events_) * state_bytes_per_event)
    return wrong("offsets are scattered as in no log; giving up before memory runs out");
  return {};
}

tl::expected<void, HistoryError> HistoryReader::feed(std::string_view bytes) {
  const auto too_long = [&] {
    return tl::unexpected(HistoryError{.line = line_ + 1, .message = "the line is too long"});
  };
  while (!bytes.empty()) {
    const size_t end = bytes.find('\n');
    const std::string_view piece = bytes.substr(0, end);
    if (rest_.size() + piece.size() > line_bytes_max) return too_long();
    if (end == std::string_view::npos) {
      rest_.append(piece);
      return {};
    }
    bytes.remove_prefix(end + 1);
    if (rest_.empty()) {
      if (auto read = line(piece); !read) return read;
      continue;
    }
    rest_.append(piece);
    const std::string whole = std::move(rest_);
    rest_.clear();
    if (auto read = line(whole); !read) return read;
  }
  return {};
}

tl::expected<Verdict, HistoryError> HistoryReader::finish(const Requirements& at_least) {
  // What follows the last line end is a line that was being written when the recorder died.
  const bool cut_off = !rest_.empty() || !is_complete_;
  if (!has_magic_) return tl::unexpected(HistoryError{.line = 1, .message = "not a history: it is empty"});
  Requirements required = requirements_;
  required.acks_per_second = std::max(required.acks_per_second, at_least.acks_per_second);
  required.faults = std::max(required.faults, at_least.faults);
  required.leader_changes = std::max(required.leader_changes, at_least.leader_changes);
  if (cut_off) checker().final_read_cut_off();
  Verdict verdict = checker().finish(
      were_polled_ ? HistoryChecker::Consumers::read_to_end : HistoryChecker::Consumers::none, required);
  if (cut_off)
    verdict.invalid.insert(verdict.invalid.begin(), "the history is cut off: it has no final read of everything");
  return verdict;
}

tl::expected<Verdict, HistoryError> check_history(std::FILE* file, const Requirements& at_least,
                                                  const std::function<void(int64_t)>& lines_read) {
  HistoryReader reader;
  std::vector<char> buffer(size_t{1} << 20);
  for (;;) {
    const size_t got = std::fread(buffer.data(), 1, buffer.size(), file);
    if (got == 0) break;
    if (auto fed = reader.feed({buffer.data(), got}); !fed) return tl::unexpected(std::move(fed.error()));
    if (lines_read) lines_read(reader.lines());
  }
  if (std::ferror(file) != 0) return tl::unexpected(HistoryError{reader.lines(), "the file cannot be read"});
  return reader.finish(at_least);
}

}  // namespace cli::verify
