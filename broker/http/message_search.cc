#include "broker/http/message_search.h"

#include <algorithm>
#include <exception>
#include <optional>

#include <fmt/format.h>

#include "common/records/batch.h"
#include "common/records/compression.h"

namespace broker::http {

namespace records = common::records;
using common::Awaitable;
using common::model::Result;
using nlohmann::json;

namespace {

constexpr size_t value_bytes_max = 4096;       // of a key or a value that is shown
constexpr size_t headers_max = 50;             // of a record that are shown
constexpr size_t header_bytes_max = 256;       // of a header's name or value that is shown
constexpr size_t answer_bytes_max = 1 << 20;   // of keys, values and headers in one answer, and one record more
constexpr size_t record_bytes_max = 64 << 20;  // of a record that is looked at

bool is_text(std::string_view bytes) {
  // Control characters other than tab and line ends say that it is none; what is no UTF-8 is found out by dump().
  for (const char c : bytes) {
    const auto u = static_cast<unsigned char>(c);
    if (u < 0x20 && c != '\t' && c != '\n' && c != '\r') return false;
  }
  try {
    (void)json(std::string(bytes)).dump();
    return true;
  } catch (const json::exception&) {
    return false;
  }
}

std::string hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) fmt::format_to(std::back_inserter(out), "{:02x}", static_cast<unsigned char>(c));
  return out;
}

// {"text"} or {"hex"}, with the size and whether it was cut.
json shown(const std::optional<common::model::BytesView>& bytes, size_t bytes_max) {
  if (!bytes) return json();
  std::string_view all(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  std::string_view part = all.substr(0, bytes_max);
  json out{{"size", all.size()}};
  if (part.size() < all.size()) {
    out["cut"] = true;
    while (!part.empty() && (static_cast<unsigned char>(part.back()) & 0xc0) == 0x80)
      part.remove_suffix(1);  // not within a character
    if (!part.empty() && static_cast<unsigned char>(part.back()) >= 0xc0) part.remove_suffix(1);
  }
  if (is_text(part)) {
    out["text"] = part;
  } else {
    out["hex"] = hex(part);
  }
  return out;
}

bool key_matches(const records::Record& record, const std::string& wanted) {
  if (wanted.empty()) return true;
  if (!record.key) return false;
  return std::string_view(reinterpret_cast<const char*>(record.key->data()), record.key->size()).find(wanted) !=
         std::string_view::npos;
}

json record_json(const records::Record& record) {
  json one{{"offset", record.offset.value},
           {"time", record.timestamp.value},
           {"key", shown(record.key, value_bytes_max)},
           {"value", shown(record.value, value_bytes_max)}};
  size_t headers = 0;
  for (const records::RecordHeader& header : record.headers()) {
    if (++headers > headers_max) continue;
    json h = shown(header.value, header_bytes_max);
    one["headers"].push_back({{"name", std::string(header.name.substr(0, header_bytes_max))}, {"value", std::move(h)}});
  }
  if (headers > headers_max) one["header_count"] = headers;
  return one;
}

// At least what record_json() makes of it.
size_t shown_bytes(const records::Record& record) {
  const auto at_most = [](const std::optional<common::model::BytesView>& bytes) {
    return bytes ? std::min(bytes->size(), value_bytes_max) : size_t{0};
  };
  size_t headers = 0;
  for ([[maybe_unused]] const auto& header : record.headers())
    if (++headers == headers_max) break;
  return at_most(record.key) + at_most(record.value) + headers * 2 * header_bytes_max;
}

bool is_given_up(const WantedMessages& wanted) {
  return wanted.given_up != nullptr && wanted.given_up->load(std::memory_order_relaxed);
}

Result<void> look_through_batch(const records::BatchView& batch, const WantedMessages& wanted, FoundMessages& found) {
  return records::for_each_record(
      batch, records::DecompressLimits{.max_record_bytes = record_bytes_max}, [&](const records::Record& record) {
        if (is_given_up(wanted)) return records::Visit::stop;
        if (record.offset < found.next) return records::Visit::go_on;
        if (key_matches(record, wanted.key)) {
          found.records.push_back(record_json(record));
          found.bytes += shown_bytes(record);
        }
        found.next = record.offset.next();
        found.full = found.records.size() >= wanted.count || found.bytes >= answer_bytes_max;
        return found.full ? records::Visit::stop : records::Visit::go_on;
      });
}

Result<FoundMessages> look(const common::Shard& reader, common::model::BytesView bytes, const WantedMessages& wanted,
                           FoundMessages found) {
  for (bool is_first = true; !found.full && !bytes.empty(); is_first = false) {
    if (is_given_up(wanted) || (!is_first && reader.now() >= wanted.until)) break;
    const auto batch = records::BatchView::parse(bytes);
    if (!batch) return tl::unexpected(batch.error());
    bytes = bytes.subspan(batch->size_bytes());
    if (!batch->is_control()) {
      if (auto looked = look_through_batch(*batch, wanted, found); !looked) return tl::unexpected(looked.error());
    }
    if (!found.full && !is_given_up(wanted)) found.next = std::max(found.next, batch->next_offset());
  }
  return found;
}

}  // namespace

// An exception would end the broker, for a look at records (R111).
Result<std::unique_ptr<common::Shard>> make_reader(const common::Shard& here) {
  try {
    return common::make_thread_shard(here.id() + 1, here.clock(), "http-read");
  } catch (const std::exception& e) {
    return common::model::fail(common::model::ErrorCode::unknown_server_error,
                               fmt::format("no thread can be had for it now: {}", e.what()));
  }
}

Awaitable<Result<FoundMessages>> look_through(common::Shard& here, common::Shard& reader, common::model::Buffer batches,
                                              WantedMessages wanted, FoundMessages found) {
  co_await common::hop(reader);
  Result<FoundMessages> looked = look(reader, batches.view(), wanted, std::move(found));
  co_await common::hop(here);
  co_return looked;
}

}  // namespace broker::http
