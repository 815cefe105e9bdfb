// The five codecs of record batches. Decompression streams through a small window, so that memory does not follow the
// sender's claims, and stops at a bound before the output is produced (R110, fault 50). Codec contexts are kept for
// reuse per thread. Functions may be called from any thread; a Decompressor belongs to the thread that made it.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "common/model/bytes.h"
#include "common/model/result.h"

namespace common::records {

enum class Codec : uint8_t { none = 0, gzip = 1, snappy = 2, lz4 = 3, zstd = 4 };

std::string_view to_string(Codec codec);  // "none", "gzip", ...: Kafka's configuration values
std::optional<Codec> codec_from(int number);

struct DecompressLimits {
  // In no case more than this.
  size_t max_output_bytes = 256u << 20;
  // Beyond `always_allowed_bytes`, at most this many bytes out for each byte in.
  size_t max_ratio = 1024;
  size_t always_allowed_bytes = 16u << 20;
  // Largest single record. Produce may ask for less (topic configuration max.decompressed.message.bytes); what is in a
  // log, for compaction and lookups, may be as large as produce takes at most.
  size_t max_record_bytes = 256u << 20;

  [[nodiscard]] size_t allowed_for(size_t input_bytes) const;
};

// Reads the decompressed form of `input` piece by piece. `input` must outlive it.
class Decompressor {
 public:
  virtual ~Decompressor() = default;
  // Fills `out` as far as possible; 0 only at the end. CORRUPT_MESSAGE for bad input, MESSAGE_TOO_LARGE past the limit.
  [[nodiscard]] virtual model::Result<size_t> read(std::span<std::byte> out) = 0;
};
[[nodiscard]] std::unique_ptr<Decompressor> make_decompressor(Codec codec, model::BytesView input,
                                                              const DecompressLimits& limits);

// The whole of it at once: tools and tests.
[[nodiscard]] model::Result<std::vector<std::byte>> decompress(Codec codec, model::BytesView input,
                                                               const DecompressLimits& limits);

enum class SnappyFraming { xerial, raw };
struct CompressOptions {
  std::optional<int> level;  // the codec's default if absent
  SnappyFraming snappy = SnappyFraming::xerial;
};
// Snappy is written in xerial blocks with big-endian version fields, as Java does and every client reads.
[[nodiscard]] std::vector<std::byte> compress(Codec codec, model::BytesView input, const CompressOptions& options = {});

}  // namespace common::records
