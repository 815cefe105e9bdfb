#include <algorithm>

#include <lz4frame.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include "common/model/check.h"
#include "common/records/big_endian.h"
#include "common/records/compression.h"
#include "common/records/xerial.h"

namespace common::records {
namespace {

using model::BytesView;
using Bytes = std::vector<std::byte>;

Bytes gzip(BytesView input, std::optional<int> level) {
  z_stream stream{};
  constexpr int gzip_framing = 16;
  constexpr int memory_level = 8;
  NARU_CHECK(deflateInit2(&stream, level.value_or(Z_DEFAULT_COMPRESSION), Z_DEFLATED, MAX_WBITS + gzip_framing,
                          memory_level, Z_DEFAULT_STRATEGY) == Z_OK,
             "gzip level {}", level.value_or(-1));
  Bytes out(deflateBound(&stream, input.size()));
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(input.data()));  // zlib only reads it
  stream.avail_in = static_cast<uInt>(input.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int status = deflate(&stream, Z_FINISH);
  NARU_CHECK(status == Z_STREAM_END, "deflate {}", status);
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  return out;
}

void append_snappy_block(Bytes& out, BytesView input) {
  const size_t at = out.size();
  out.resize(at + snappy::MaxCompressedLength(input.size()));
  size_t length = 0;
  snappy::RawCompress(reinterpret_cast<const char*>(input.data()), input.size(),
                      reinterpret_cast<char*>(out.data() + at), &length);
  out.resize(at + length);
}

Bytes snappy_framed(BytesView input, SnappyFraming framing) {
  Bytes out;
  if (framing == SnappyFraming::raw) {
    append_snappy_block(out, input);
    return out;
  }
  for (const uint8_t byte : xerial::magic) out.push_back(std::byte{byte});
  append_be<int32_t>(out, 1);  // version
  append_be<int32_t>(out, 1);  // readable from this version on
  while (!input.empty()) {
    const BytesView block = input.first(std::min(input.size(), xerial::block_size));
    const size_t length_at = out.size();
    append_be<int32_t>(out, 0);
    append_snappy_block(out, block);
    store_be<int32_t>(out.data() + length_at, static_cast<int32_t>(out.size() - length_at - 4));
    input = input.subspan(block.size());
  }
  return out;
}

Bytes lz4(BytesView input, std::optional<int> level) {
  LZ4F_preferences_t preferences = LZ4F_INIT_PREFERENCES;
  // Kafka's Java reader knows independent 64 KiB blocks without content checksum.
  preferences.frameInfo.blockMode = LZ4F_blockIndependent;
  preferences.frameInfo.blockSizeID = LZ4F_max64KB;
  preferences.compressionLevel = level.value_or(0);
  Bytes out(LZ4F_compressFrameBound(input.size(), &preferences));
  const size_t length = LZ4F_compressFrame(out.data(), out.size(), input.data(), input.size(), &preferences);
  NARU_CHECK(!LZ4F_isError(length), "lz4: {}", LZ4F_getErrorName(length));
  out.resize(length);
  return out;
}

struct FreeCompressor {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};

Bytes zstd(BytesView input, std::optional<int> level) {
  thread_local const std::unique_ptr<ZSTD_CCtx, FreeCompressor> context(ZSTD_createCCtx());
  Bytes out(ZSTD_compressBound(input.size()));
  const size_t length = ZSTD_compressCCtx(context.get(), out.data(), out.size(), input.data(), input.size(),
                                          level.value_or(ZSTD_CLEVEL_DEFAULT));
  NARU_CHECK(!ZSTD_isError(length), "zstd: {}", ZSTD_getErrorName(length));
  out.resize(length);
  return out;
}

}  // namespace

std::string_view to_string(Codec codec) {
  switch (codec) {
    case Codec::none:
      return "none";
    case Codec::gzip:
      return "gzip";
    case Codec::snappy:
      return "snappy";
    case Codec::lz4:
      return "lz4";
    case Codec::zstd:
      return "zstd";
  }
  return "unknown";
}

std::optional<Codec> codec_from(int number) {
  if (number < 0 || number > static_cast<int>(Codec::zstd)) return std::nullopt;
  return static_cast<Codec>(number);
}

std::vector<std::byte> compress(Codec codec, BytesView input, const CompressOptions& options) {
  switch (codec) {
    case Codec::none:
      return {input.begin(), input.end()};
    case Codec::gzip:
      return gzip(input, options.level);
    case Codec::snappy:
      return snappy_framed(input, options.snappy);
    case Codec::lz4:
      return lz4(input, options.level);
    case Codec::zstd:
      return zstd(input, options.level);
  }
  NARU_CHECK(false, "codec {}", static_cast<int>(codec));
}

}  // namespace common::records
