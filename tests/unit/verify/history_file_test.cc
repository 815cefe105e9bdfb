// Histories written by hand (tests/scenarios/verify): bad ones that must be found out as what they are and as nothing
// else, good ones that look bad, ones that show too little, and files that are no histories.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>
#include <sstream>

#include <catch2/catch.hpp>

#include "cli/verify/history_file.h"
#include "cli/verify/report.h"

using namespace cli::verify;
namespace fs = std::filesystem;

namespace {

const fs::path scenarios = fs::path(NARU_SOURCE_DIR) / "tests/scenarios/verify";

std::string text_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::stringstream all;
  all << in.rdbuf();
  return all.str();
}

std::vector<fs::path> files_in(const std::string& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(scenarios / folder)) files.push_back(entry.path());
  std::ranges::sort(files);
  REQUIRE_FALSE(files.empty());
  return files;
}

// What stands behind "# expect:" in the second line.
std::string expected_of(const std::string& text) {
  const std::string mark = "\n# expect: ";
  const size_t at = text.find(mark);
  REQUIRE(at != std::string::npos);
  return text.substr(at + mark.size(), text.find('\n', at + 1) - at - mark.size());
}

std::string anomalies_text(const Verdict& verdict) {
  std::string text;
  for (const auto& [anomaly, count] : verdict.anomalies)
    text += fmt::format("{}{}={}", text.empty() ? "" : " ", to_string(anomaly), count);
  return text;
}

// In pieces of `step` bytes.
tl::expected<Verdict, HistoryError> check(const std::string& text, size_t step = 4096) {
  HistoryReader reader;
  for (size_t at = 0; at < text.size(); at += step) {
    if (auto fed = reader.feed(std::string_view(text).substr(at, step)); !fed) return tl::unexpected(fed.error());
  }
  return reader.finish();
}

std::set<std::string> words_of(const std::string& text) {
  std::istringstream in(text);
  return {std::istream_iterator<std::string>(in), {}};
}

}  // namespace

TEST_CASE("bad histories are found out, as what they are and as nothing else") {
  std::set<std::string> kinds;
  for (const fs::path& file : files_in("bad")) {
    INFO(file);
    const std::string text = text_of(file);
    const size_t step = GENERATE(size_t{1}, size_t{7}, size_t{4096});
    const auto verdict = check(text, step);
    REQUIRE(verdict.has_value());
    for (const std::string& example : verdict->examples) UNSCOPED_INFO(example);
    CHECK(words_of(anomalies_text(*verdict)) == words_of(expected_of(text)));
    CHECK_FALSE(verdict->clean());
    CHECK(verdict->valid());
    for (const auto& [anomaly, count] : verdict->anomalies) kinds.insert(std::string(to_string(anomaly)));
  }
  // The table is complete: a history for each anomaly there is.
  for (int a = 0; a < anomaly_count; ++a) {
    INFO(to_string(static_cast<Anomaly>(a)));
    CHECK(kinds.contains(std::string(to_string(static_cast<Anomaly>(a)))));
  }
}

TEST_CASE("good histories are clean, however they look") {
  for (const fs::path& file : files_in("good")) {
    INFO(file);
    const auto verdict = check(text_of(file));
    if (!verdict) FAIL("line " << verdict.error().line << ": " << verdict.error().message);
    for (const std::string& example : verdict->examples) UNSCOPED_INFO(example);
    for (const std::string& reason : verdict->invalid) UNSCOPED_INFO(reason);
    CHECK(verdict->clean());
    CHECK(verdict->valid());
  }
}

TEST_CASE("a history that shows too little is invalid, and nothing in it is called lost") {
  for (const fs::path& file : files_in("invalid")) {
    INFO(file);
    const std::string text = text_of(file);
    const auto verdict = check(text);
    REQUIRE(verdict.has_value());
    CHECK(verdict->clean());
    REQUIRE(verdict->invalid.size() == 1);
    CHECK(verdict->invalid.front().find(expected_of(text)) != std::string::npos);
  }
}

TEST_CASE("files that are no histories are refused") {
  for (const fs::path& file : files_in("malformed")) {
    INFO(file);
    const auto verdict = check(text_of(file));
    REQUIRE_FALSE(verdict.has_value());
    CHECK(verdict.error().line > 0);
    CHECK_FALSE(verdict.error().message.empty());
  }
}

TEST_CASE("with acks=1 what is lost is told, apart") {
  const auto verdict = check(text_of(scenarios / "good/acks_1_may_lose.txt"));
  REQUIRE(verdict.has_value());
  CHECK(verdict->tolerated.contains(Anomaly::lost));
  CHECK(verdict->tolerated.contains(Anomaly::divergent));
}

TEST_CASE("faults: the gap of each, and the rate before and after") {
  HistoryChecker history;
  int64_t value = 0;
  const auto run = [&](int64_t from, int64_t to) {
    for (int64_t t = from; t < to; t += 10'000, ++value) {
      history.at(t);
      history.sent(0, value);
      history.acknowledged(0, value, value);
    }
  };
  run(0, 10'000'000);
  history.fault_began("kill -9 of the leader");
  run(10'500'000, 20'000'000);
  history.fault_ended();
  history.at(20'000'000);
  history.producing_stopped();
  for (int64_t v = 0; v < value; ++v) history.final_read(0, v, v);
  const Verdict verdict = history.finish(HistoryChecker::Consumers::none, {.acks_per_second = 90, .faults = 1});
  CHECK(verdict.clean());
  CHECK(verdict.valid());
  REQUIRE(verdict.faults.size() == 1);
  CHECK(verdict.faults[0].name == "kill -9 of the leader");
  CHECK(verdict.faults[0].gap.longest == 510'000);
  CHECK(verdict.faults[0].acks_per_second_before.value() == Approx(100));
  CHECK(verdict.gaps.at(0) == 510'000);
  const Verdict asked_more = history.finish(HistoryChecker::Consumers::none, {.acks_per_second = 200});
  CHECK_FALSE(asked_more.valid());
}

TEST_CASE("the rate after a fault is that of writes that went on, and absent where nobody wrote long enough") {
  // A hundred acknowledgements a second but for half a second of each fault; some from a time before the first send.
  const auto judged = [](int64_t began, int64_t healed, std::optional<int64_t> again, int64_t stopped) {
    HistoryChecker history;
    int64_t value = 0;
    const auto write = [&](int64_t from, int64_t to) {
      for (int64_t t = from; t < to; t += 10'000, ++value) {
        history.at(t);
        history.sent(0, value);
        history.acknowledged(0, value, value);
      }
    };
    const auto harm = [&](int64_t at, int64_t until) {
      history.at(at);
      history.fault_began("kill");
      write(at + 500'000, until);
      history.at(until);
      history.fault_ended();
    };
    write(150'000, began);
    harm(began, healed);
    if (again) {
      write(healed, *again);
      harm(*again, *again + 1'000'000);
      write(*again + 1'000'000, stopped);
    } else {
      write(healed, stopped);
    }
    history.at(stopped);
    history.producing_stopped();
    return history.finish(HistoryChecker::Consumers::none, {}).faults;
  };
  const auto short_quiet = judged(1'150'000, 2'150'000, {}, 3'150'000);
  REQUIRE(short_quiet.size() == 1);
  CHECK(short_quiet[0].acks_per_second_before.value() == Approx(100));
  CHECK(short_quiet[0].acks_per_second_after.value() == Approx(100));
  const auto no_quiet = judged(350'000, 1'350'000, {}, 1'500'000);
  CHECK_FALSE(no_quiet.at(0).acks_per_second_before);
  CHECK_FALSE(no_quiet.at(0).acks_per_second_after);
  Report told;
  told.verdict.faults = no_quiet;
  CHECK(screen_text(told).find("; ? a second before, ? after (?: too little time to tell)\n") != std::string::npos);
  told.verdict.faults = short_quiet;
  CHECK(screen_text(told).find("; 100 a second before, 100 after\n") != std::string::npos);
  // What comes before the second one is not counted from within the first, nor what comes after the first from within
  // the second.
  const auto two = judged(5'000'000, 6'000'000, 8'000'000, 20'000'000);
  REQUIRE(two.size() == 2);
  CHECK(two[0].acks_per_second_after.value() == Approx(100));
  CHECK(two[1].acks_per_second_before.value() == Approx(100));
  CHECK(two[1].acks_per_second_after.value() == Approx(100));
}

TEST_CASE("scattered offsets do not eat memory") {
  HistoryReader reader;
  std::string text = "naru-history 1\n";
  tl::expected<void, HistoryError> fed;
  int64_t lines = 0;
  for (int64_t i = 0; fed && i < 3'000'000; ++i, ++lines) {
    text += fmt::format("poll 0 0 {} -\n", i * 1'000'003);
    if (text.size() < 65'536) continue;
    fed = reader.feed(text);
    text.clear();
  }
  REQUIRE_FALSE(fed.has_value());
  CHECK(fed.error().message.find("scattered") != std::string::npos);
  CHECK(lines < 1'000'000);
}

TEST_CASE("damaged histories are read or refused, never more") {
  const uint64_t seed = 20'261'128;
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  std::vector<std::string> texts;
  for (const std::string folder : {"bad", "good"}) {
    for (const fs::path& file : files_in(folder)) texts.push_back(text_of(file));
  }
  int64_t read = 0;
  int64_t refused = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string text = texts[random() % texts.size()];
    for (uint64_t damage = random() % 4 + 1; damage > 0; --damage) {
      const size_t at = 15 + random() % (text.size() - 15);
      switch (random() % 4) {
        case 0:
          text[at] = static_cast<char>(random());
          break;
        case 1:
          text.erase(at, random() % 20 + 1);
          break;
        case 2:
          text.insert(at, text.substr(random() % text.size(), random() % 30));
          break;
        default:
          text[at] = static_cast<char>('0' + random() % 10);
          break;
      }
      if (text.size() < 40) break;
    }
    ++(check(text, random() % 200 + 1) ? read : refused);
  }
  CHECK(read > 100);
  CHECK(refused > 100);
}
