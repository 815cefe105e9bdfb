#include "common/log/checkpoint_file.h"

#include <charconv>

#include <fmt/format.h>

#include "common/model/mutant.h"
#include "common/records/crc32c.h"

namespace common::log {

using common::model::mutant;

namespace {

constexpr size_t checksum_blanks = 32;

std::string seal(std::string text, size_t entries) {
  if (entries == 0) return text;
  const uint32_t crc = records::crc32c(model::as_bytes(std::string_view(text).substr(0, text.size() - 1)));
  text.pop_back();
  for (size_t bit = checksum_blanks; bit-- > 0;) text += ((crc >> bit) & 1) != 0 ? '\t' : ' ';
  text += '\n';
  return text;
}

// The text without its checksum and last newline, if the checksum is right.
std::optional<std::string_view> unseal(std::string_view file) {
  if (file == "0\n0\n") return file.substr(0, 3);
  if (file.size() < checksum_blanks + 1 || file.back() != '\n') return std::nullopt;
  file.remove_suffix(1);
  const std::string_view blanks = file.substr(file.size() - checksum_blanks);
  file.remove_suffix(checksum_blanks);
  uint32_t crc = 0;
  for (const char c : blanks) {
    if (c != ' ' && c != '\t') return std::nullopt;
    crc = (crc << 1) | (c == '\t' ? 1u : 0u);
  }
  if (records::crc32c(model::as_bytes(file)) != crc && !mutant<"R73-reads-a-damaged-checkpoint">()) return std::nullopt;
  return file;
}

template <class T>
bool parse_number(std::string_view text, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

// Cuts the part before `separator` off the front.
std::string_view take(std::string_view& rest, char separator) {
  const size_t at = rest.find(separator);
  const std::string_view part = rest.substr(0, at);
  rest = at == std::string_view::npos ? std::string_view() : rest.substr(at + 1);
  return part;
}

// Calls `f` with each entry's line; false from `f` or a wrong number of lines: not a checkpoint.
template <class F>
bool for_each_line(std::string_view file, F f) {
  const auto text = unseal(file);
  if (!text) return false;
  std::string_view rest = *text;
  size_t count = 0;
  if (take(rest, '\n') != "0" || !parse_number(take(rest, '\n'), count)) return false;
  for (; !rest.empty(); --count) {
    if (count == 0 || !f(take(rest, '\n'))) return false;
  }
  return count == 0;
}

}  // namespace

std::string encode_offsets(const OffsetMap& offsets) {
  std::string text = fmt::format("0\n{}\n", offsets.size());
  for (const auto& [partition, offset] : offsets) {
    fmt::format_to(std::back_inserter(text), "{} {} {}\n", partition.topic, partition.partition, offset);
  }
  return seal(std::move(text), offsets.size());
}

std::optional<OffsetMap> decode_offsets(std::string_view file) {
  OffsetMap offsets;
  const bool good = for_each_line(file, [&](std::string_view line) {
    model::TopicPartition partition;
    partition.topic = take(line, ' ');
    Offset offset;
    return !partition.topic.empty() && parse_number(take(line, ' '), partition.partition.value) &&
           parse_number(line, offset.value) && offset.value >= 0 && partition.partition.value >= 0 &&
           offsets.emplace(std::move(partition), offset).second;
  });
  if (!good) return std::nullopt;
  return offsets;
}

std::string encode_epochs(const std::vector<EpochStart>& epochs) {
  std::string text = fmt::format("0\n{}\n", epochs.size());
  for (const EpochStart& e : epochs) fmt::format_to(std::back_inserter(text), "{} {}\n", e.epoch, e.start_offset);
  return seal(std::move(text), epochs.size());
}

std::optional<std::vector<EpochStart>> decode_epochs(std::string_view file) {
  std::vector<EpochStart> epochs;
  const bool good = for_each_line(file, [&](std::string_view line) {
    EpochStart e;
    if (!parse_number(take(line, ' '), e.epoch.value) || !parse_number(line, e.start_offset.value)) return false;
    if (e.epoch.value < 0 || e.start_offset.value < 0) return false;
    if (!epochs.empty() && (epochs.back().epoch >= e.epoch || epochs.back().start_offset >= e.start_offset))
      return false;
    epochs.push_back(e);
    return true;
  });
  if (!good) return std::nullopt;
  return epochs;
}

}  // namespace common::log
