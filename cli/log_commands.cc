// naru log dump|verify: what lies in a partition's directory.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/log_files.h"
#include "cli/output.h"
#include "cli/record_text.h"

namespace cli {

namespace {

using Json = nlohmann::ordered_json;
using common::records::Record;

constexpr std::string_view dump_shape = R"(one object a line:
{"segment": "path", "position": 0, "base_offset": 0, "last_offset": 0, "records": 0, "bytes": 0, "leader_epoch": 0,
 "codec": "none|gzip|snappy|lz4|zstd" or null, "max_timestamp": milliseconds since 1970,
 "producer_id": 0 or null, "producer_epoch": 0 or null, "base_sequence": 0 or null,
 "transactional": false, "control": false, "checksum_ok": true}
with --records as naru consume -o json
)";
constexpr std::string_view verify_shape =
    R"({"segments": 0, "batches": 0, "records": 0, "bytes": 0, "start": 0 or null, "end": 0 or null, "well": true,
 "damages": [{"segment": "path", "position": 0, "what": "text"}]}
)";
constexpr size_t printed_at_once = 64 << 10;

std::string batch_line(const SegmentFile& segment, uint64_t position, const BatchView& batch, Format format) {
  const auto producer = batch.producer();
  const auto codec = batch.codec();
  if (format == Format::json) {
    const Json line = {{"segment", segment.path},
                       {"position", position},
                       {"base_offset", batch.base_offset().value},
                       {"last_offset", batch.last_offset().value},
                       {"records", batch.record_count()},
                       {"bytes", batch.size_bytes()},
                       {"leader_epoch", batch.leader_epoch().value},
                       {"codec", codec ? Json(common::records::to_string(*codec)) : Json(nullptr)},
                       {"max_timestamp", batch.max_timestamp().value},
                       {"producer_id", producer ? Json(producer->id.value) : Json(nullptr)},
                       {"producer_epoch", producer ? Json(producer->epoch.value) : Json(nullptr)},
                       {"base_sequence", producer ? Json(producer->base_sequence) : Json(nullptr)},
                       {"transactional", batch.is_transactional()},
                       {"control", batch.is_control()},
                       {"checksum_ok", batch.crc_ok()}};
    return line.dump() + "\n";
  }
  std::string line =
      fmt::format("{:>12} {:>12} {:>8} {:>10} {:>6} {:<6} {:>12}  {}", batch.base_offset(), batch.last_offset(),
                  batch.record_count(), batch.size_bytes(), batch.leader_epoch(),
                  codec ? common::records::to_string(*codec) : "?", position, date_text(batch.max_timestamp().value));
  if (producer) line += fmt::format("  producer {}/{} from {}", producer->id, producer->epoch, producer->base_sequence);
  if (batch.is_control()) line += "  control";
  if (batch.is_transactional()) line += "  transactional";
  if (!batch.crc_ok()) line += "  CHECKSUM WRONG";
  return line + "\n";
}

std::string_view text_in(const common::model::BytesView& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void append_record(std::string& out, const SegmentFile& segment, const Record& record, const OutputPattern& pattern,
                   Format format) {
  RecordText text{.topic = segment.topic,
                  .partition = segment.partition,
                  .offset = record.offset.value,
                  .timestamp = record.timestamp.value,
                  .key = {},
                  .value = {},
                  .headers = {}};
  if (record.key) text.key = text_in(*record.key);
  if (record.value) text.value = text_in(*record.value);
  for (const auto& header : record.headers()) {
    text.headers.emplace_back(header.name, header.value ? std::optional(text_in(*header.value)) : std::nullopt);
  }
  if (format == Format::json) {
    out += record_json(text);
  } else {
    pattern.append(out, text);
  }
}

// What is printed of one segment; false: its end was not reached.
Outcome<bool> dump_segment(const LogCommand& command, const SegmentFile& segment, const OutputPattern& pattern) {
  std::string out;
  std::string unread;
  const auto damage = read_segment(segment.path, [&](uint64_t position, const BatchView& batch) {
    if (command.records) {
      const auto read = common::records::for_each_record(batch, {}, [&](const Record& record) {
        append_record(out, segment, record, pattern, command.shared.format);
      });
      if (!read) unread = fmt::format("{} at {}: {}", segment.path, position, read.error().message);
    } else {
      out += batch_line(segment, position, batch, command.shared.format);
    }
    if (out.size() < printed_at_once) return;
    print_out(out);
    out.clear();
  });
  print_out(out);
  if (!damage) return tl::unexpected(damage.error());
  if (!unread.empty()) fmt::print(stderr, "{}\n", unread);
  if (*damage) fmt::print(stderr, "{} at {}: {}\n", segment.path, (*damage)->position, (*damage)->what);
  return unread.empty() && (!*damage || (*damage)->is_at_the_end);
}

Exit dump(const LogCommand& command) {
  const Outcome<OutputPattern> pattern =
      OutputPattern::parse(command.format.empty() ? "%o %d %k: %v\\n" : command.format);
  if (!pattern) return report(pattern.error());
  if (!command.records && command.shared.format != Format::json) {
    print_out(fmt::format("{:>12} {:>12} {:>8} {:>10} {:>6} {:<6} {:>12}  {}\n", "OFFSET", "LAST", "RECORDS", "BYTES",
                          "EPOCH", "CODEC", "POSITION", "NEWEST"));
  }
  bool is_whole = true;
  for (const std::string& path : command.paths) {
    const auto segments = segments_at(path);
    if (!segments) return report(segments.error());
    for (const SegmentFile& segment : *segments) {
      const Outcome<bool> reached = dump_segment(command, segment, *pattern);
      if (!reached) return report(reached.error());
      is_whole = is_whole && *reached;
      if (!output_is_good()) return Exit::done;
    }
  }
  return is_whole ? Exit::done : Exit::unhealthy;
}

Exit verify_log(const LogCommand& command, const std::string& path) {
  const auto segments = segments_at(path);
  if (!segments) return report(segments.error());
  const Outcome<LogFindings> found = examine(*segments, was_compacted(segments->front()));
  if (!found) return report(found.error());
  const bool is_well = found->is_well();
  if (command.shared.format == Format::json) {
    Json damages = Json::array();
    for (const LogDamage& d : found->damages)
      damages.push_back({{"segment", d.path}, {"position", d.position}, {"what", d.what}});
    const Json all = {{"segments", found->segments},
                      {"batches", found->batches},
                      {"records", found->records},
                      {"bytes", found->bytes},
                      {"start", found->start ? Json(found->start->value) : Json(nullptr)},
                      {"end", found->end ? Json(found->end->value) : Json(nullptr)},
                      {"well", is_well},
                      {"damages", std::move(damages)}};
    print_out(all.dump(2) + "\n");
  } else {
    std::string out =
        fmt::format("{}: {} records in {} batches, {} segments, {}; offsets {} to {}: {}\n", path, found->records,
                    found->batches, found->segments, bytes_text(static_cast<int64_t>(found->bytes)),
                    found->start ? fmt::to_string(*found->start) : "-", found->end ? fmt::to_string(*found->end) : "-",
                    is_well ? "well" : red("damaged"));
    for (const LogDamage& d : found->damages) {
      out += fmt::format("  {} at {}: {}{}\n", d.path, d.position, d.what,
                         d.is_at_the_end ? " (a write under way, reserved space, or what a crash cut off)" : "");
    }
    print_out(out);
  }
  return is_well ? Exit::done : Exit::unhealthy;
}

}  // namespace

Exit run(const LogCommand& command) {
  const bool verifies = command.action == LogCommand::Action::verify;
  if (command.shared.format == Format::help)
    return print_out(verifies ? verify_shape : dump_shape) ? Exit::done : Exit::refused;
  if (!verifies) return dump(command);
  Exit worst = Exit::done;
  for (const std::string& path : command.paths) {
    const Exit exit = verify_log(command, path);
    if (exit != Exit::done) worst = exit;
  }
  return worst;
}

}  // namespace cli
