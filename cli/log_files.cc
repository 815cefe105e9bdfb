#include "cli/log_files.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <limits>

#include <fmt/format.h>

namespace cli {

namespace {

namespace fs = std::filesystem;
using common::model::BytesView;

constexpr std::string_view segment_suffix = ".log";
constexpr size_t damages_max = 100;
constexpr uint64_t searched_max = 128 << 20;  // more than the largest request that a broker takes by default

// The partition's, with its name even where one stands in it.
fs::path directory_of(const fs::path& segment) {
  return fs::absolute(segment).lexically_normal().parent_path();
}

SegmentFile segment_of(const fs::path& path) {
  SegmentFile segment{.path = path.string(), .base = {}, .topic = {}};
  const std::string stem = path.stem().string();
  int64_t base = 0;
  const auto [end, error] = std::from_chars(stem.data(), stem.data() + stem.size(), base);
  if (error == std::errc() && end == stem.data() + stem.size()) segment.base = Offset(base);
  const std::string directory = directory_of(path).filename().string();
  if (const size_t dash = directory.rfind('-'); dash != std::string::npos) {
    int32_t partition = 0;
    const char* first = directory.data() + dash + 1;
    const char* last = directory.data() + directory.size();
    const auto [stop, wrong] = std::from_chars(first, last, partition);
    if (wrong == std::errc() && stop == last && first != last) {
      segment.topic = directory.substr(0, dash);
      segment.partition = partition;
    }
  }
  return segment;
}

// From there to the end of the file.
bool are_zeros_from(std::ifstream& file, uint64_t position) {
  file.clear();
  file.seekg(static_cast<std::streamoff>(position));
  std::array<char, 4096> bytes{};
  while (file.read(bytes.data(), bytes.size()) || file.gcount() > 0) {
    if (std::any_of(bytes.begin(), bytes.begin() + file.gcount(), [](char c) { return c != 0; })) return false;
  }
  return true;
}

// Whether there is a sound batch of what comes after `end` anywhere from that position on: a crash cuts off ends.
bool holds_a_batch_from(std::ifstream& file, uint64_t position, uint64_t size, Offset end) {
  std::vector<std::byte> bytes(static_cast<size_t>(std::min(size - position, searched_max)));
  file.clear();
  file.seekg(static_cast<std::streamoff>(position));
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  const BytesView all(bytes.data(), static_cast<size_t>(file.gcount()));
  constexpr size_t magic_at = 16;
  for (size_t at = 0; at + common::records::batch_header_size <= all.size(); ++at) {
    if (std::to_integer<int8_t>(all[at + magic_at]) != common::records::batch_magic) continue;
    const BytesView rest = all.subspan(at);
    const std::optional<size_t> whole = BatchView::size_at(rest);
    if (!whole || *whole > rest.size()) continue;
    const auto batch = BatchView::parse(rest);
    if (!batch) continue;
    // Checksums of what merely looks like a batch would take long.
    const uint64_t ahead = static_cast<uint64_t>(batch->base_offset().value) - static_cast<uint64_t>(end.value);
    if (ahead <= std::numeric_limits<int32_t>::max() && batch->crc_ok()) return true;
  }
  return false;
}

// What is wrong with the records of a batch; empty: nothing.
std::string fault_in(const BatchView& batch) {
  if (!batch.crc_ok()) return "the checksum is wrong";
  int64_t seen = 0;
  const auto read = common::records::for_each_record(batch, {}, [&](const common::records::Record&) { ++seen; });
  if (!read) return fmt::format("its records cannot be read: {}", read.error().message);
  return {};
}

}  // namespace

Outcome<std::vector<SegmentFile>> segments_at(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    if (!fs::exists(path, error)) return problem(Exit::usage, fmt::format("there is no {}", path));
    return std::vector<SegmentFile>{segment_of(path)};
  }
  std::vector<SegmentFile> all;
  for (fs::directory_iterator it(path, error), end; it != end; it.increment(error)) {
    if (it->path().extension() != segment_suffix) continue;
    SegmentFile segment = segment_of(it->path());
    if (segment.base) all.push_back(std::move(segment));
  }
  if (error) return problem(Exit::refused, fmt::format("cannot read {}: {}", path, error.message()));
  if (all.empty()) {
    return problem(Exit::usage, fmt::format("there is no segment in {}", path),
                   "a partition's directory is called TOPIC-PARTITION and lies in one of log.dirs");
  }
  std::ranges::sort(all, {}, [](const SegmentFile& s) { return *s.base; });
  return all;
}

Outcome<std::optional<LogDamage>> read_segment(const std::string& path,
                                               const std::function<void(uint64_t, const BatchView&)>& f) {
  std::error_code error;
  const uint64_t size = fs::file_size(path, error);
  std::ifstream file(path, std::ios::binary);
  if (error || !file) return problem(Exit::refused, fmt::format("cannot read {}", path));
  std::vector<std::byte> bytes;
  const auto take = [&](size_t from, size_t n) {
    if (bytes.size() < from + n) bytes.resize(from + n);
    file.read(reinterpret_cast<char*>(bytes.data() + from), static_cast<std::streamsize>(n));
    return static_cast<size_t>(file.gcount()) == n;
  };
  const auto damage = [&](uint64_t position, std::string what, bool at_the_end = false) {
    return LogDamage{.path = path, .position = position, .what = std::move(what), .is_at_the_end = at_the_end};
  };
  const std::string torn = "it ends in the middle of a batch";
  Offset expected = segment_of(path).base.value_or(Offset(0));
  for (uint64_t at = 0; at < size;) {
    if (size - at < common::records::batch_header_size) return damage(at, torn, true);
    if (!take(0, common::records::batch_header_size)) return damage(at, torn, true);
    const BytesView header(bytes.data(), common::records::batch_header_size);
    const std::optional<size_t> whole = BatchView::size_at(header);
    if (!whole && are_zeros_from(file, at)) return damage(at, "zeros up to the end of the file", true);
    if (!whole) return damage(at, "this is no batch");
    if (*whole > size - at) {
      if (!holds_a_batch_from(file, at + 1, size, expected)) return damage(at, torn, true);
      return damage(at, "its length is wrong: sound batches come after it");
    }
    if (!take(header.size(), *whole - header.size())) return damage(at, torn, true);
    const auto batch = BatchView::parse(BytesView(bytes.data(), *whole));
    if (!batch) return damage(at, batch.error().message);
    f(at, *batch);
    expected = batch->next_offset();
    at += *whole;
  }
  return std::nullopt;
}

Outcome<LogFindings> examine(const std::vector<SegmentFile>& segments, bool may_have_gaps) {
  LogFindings found;
  for (const SegmentFile& segment : segments) {
    ++found.segments;
    if (segment.base && found.end && *segment.base < *found.end) {
      found.damages.push_back(
          {segment.path, 0, fmt::format("begins at {}, but what is before it ends at {}", *segment.base, *found.end)});
    }
    const auto end = read_segment(segment.path, [&](uint64_t position, const BatchView& batch) {
      ++found.batches;
      found.records += static_cast<uint64_t>(std::max(0, batch.record_count()));
      found.bytes += batch.size_bytes();
      std::string fault = fault_in(batch);
      const Offset base = batch.base_offset();
      if (fault.empty() && found.end && base < *found.end)
        fault = fmt::format("its first offset is {}, below {}", base, *found.end);
      if (fault.empty() && found.end && base > *found.end && !may_have_gaps)
        fault = fmt::format("offsets {} to {} are missing before it", *found.end, base.value - 1);
      if (!fault.empty() && found.damages.size() < damages_max)
        found.damages.push_back({segment.path, position, std::move(fault)});
      if (!found.start) found.start = base;
      found.end = std::max(found.end.value_or(base), batch.next_offset());
    });
    if (!end) return tl::unexpected(end.error());
    if (!*end) continue;
    found.damages.push_back(**end);
    found.damages.back().is_at_the_end &= &segment == &segments.back();
  }
  return found;
}

bool LogFindings::is_well() const {
  return std::ranges::all_of(damages, &LogDamage::is_at_the_end);
}

bool was_compacted(const SegmentFile& segment) {
  const fs::path directory = directory_of(segment.path);
  std::error_code error;
  if (fs::exists(directory / "offset-gaps", error)) return true;
  // Kafka has no such file; where its cleaner has been is said beside the partitions: TOPIC PARTITION OFFSET.
  std::ifstream cleaned(directory.parent_path() / "cleaner-offset-checkpoint");
  const std::string ours = fmt::format("{} {} ", segment.topic, segment.partition);
  for (std::string line; std::getline(cleaned, line);) {
    if (line.starts_with(ours)) return true;
  }
  return false;
}

}  // namespace cli
