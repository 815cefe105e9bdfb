#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include <lz4frame.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include "common/model/check.h"
#include "common/model/mutant.h"
#include "common/records/big_endian.h"
#include "common/records/compression.h"
#include "common/records/xerial.h"

namespace common::records {

using common::model::mutant;

namespace {

using model::BytesView;
using model::ErrorCode;
using model::fail;
using model::Result;

// A context that grew past this serves one sender's odd settings; it is freed, not kept.
constexpr size_t kept_context_bytes_max = 4u << 20;

// Idle contexts of this thread. Two decompressors may be alive at once, so they take and give back.
template <class Context>
class Pool {
 public:
  std::unique_ptr<Context> take() {
    if (idle_.empty()) return std::make_unique<Context>();
    std::unique_ptr<Context> context = std::move(idle_.back());
    idle_.pop_back();
    return context;
  }
  void give_back(std::unique_ptr<Context> context) {
    if (idle_.size() < 2 && context->worth_keeping()) idle_.push_back(std::move(context));
  }

 private:
  std::vector<std::unique_ptr<Context>> idle_;
};

template <class Context>
class Lease {
 public:
  Lease() : context_(pool().take()) {}
  ~Lease() { pool().give_back(std::move(context_)); }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  Context* operator->() const { return context_.get(); }

 private:
  static Pool<Context>& pool() {
    thread_local Pool<Context> instance;
    return instance;
  }
  std::unique_ptr<Context> context_;
};

// Enforces the limit; `fill` does the codec's work.
class Bounded : public Decompressor {
 public:
  Bounded(BytesView input, const DecompressLimits& limits)
      : input_(input), allowed_(limits.allowed_for(input.size())) {}

  Result<size_t> read(std::span<std::byte> out) final {
    // One byte past the limit is asked for, to tell "exactly full" from "more to come".
    out = out.first(std::min(out.size(), allowed_ - produced_ + 1));
    size_t filled = 0;
    while (filled < out.size()) {
      const Result<size_t> n = fill(out.subspan(filled));
      if (!n) return n;
      if (*n == 0) break;
      filled += *n;
    }
    produced_ += filled;
    if (produced_ > allowed_) {
      return fail(ErrorCode::message_too_large,
                  fmt::format("{} bytes decompress to more than {}", input_size(), allowed_));
    }
    return filled;
  }

 protected:
  // Some of the next bytes into `out` (not empty); 0 at the end.
  virtual Result<size_t> fill(std::span<std::byte> out) = 0;

  [[nodiscard]] size_t left() const { return allowed_ - produced_; }
  [[nodiscard]] size_t input_size() const { return input_.size(); }
  const BytesView input_;

 private:
  const size_t allowed_;
  size_t produced_ = 0;
};

Result<size_t> broken(std::string_view codec, std::string_view why) {
  return fail(ErrorCode::corrupt_message, fmt::format("{}: {}", codec, why));
}

class Plain final : public Bounded {
 public:
  using Bounded::Bounded;
  Result<size_t> fill(std::span<std::byte> out) override {
    const size_t n = std::min(out.size(), input_.size() - position_);
    if (n > 0) std::memcpy(out.data(), input_.data() + position_, n);
    position_ += n;
    return n;
  }

 private:
  size_t position_ = 0;
};

struct InflateContext {
  InflateContext() {
    constexpr int gzip_framing = 16;
    NARU_CHECK(inflateInit2(&stream, MAX_WBITS + gzip_framing) == Z_OK, "out of memory");
  }
  ~InflateContext() { inflateEnd(&stream); }
  [[nodiscard]] bool worth_keeping() const { return true; }  // 40 KiB, always
  z_stream stream{};
};

// One or several gzip members.
class Gzip final : public Bounded {
 public:
  Gzip(BytesView input, const DecompressLimits& limits) : Bounded(input, limits) {
    inflateReset(&context_->stream);
    context_->stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(input.data()));  // zlib only reads it
    context_->stream.avail_in = static_cast<uInt>(input.size());
  }

  Result<size_t> fill(std::span<std::byte> out) override {
    z_stream& stream = context_->stream;
    const auto wanted = static_cast<uInt>(std::min<size_t>(out.size(), 1u << 30));
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = wanted;
    while (stream.avail_out == wanted) {
      if (between_members_) {
        if (stream.avail_in == 0) return 0;
        inflateReset(&stream);
        between_members_ = false;
      }
      const int status = inflate(&stream, Z_NO_FLUSH);
      if (status == Z_STREAM_END) {
        between_members_ = true;
      } else if (status == Z_BUF_ERROR) {
        return broken("gzip", "cut short");
      } else if (status != Z_OK) {
        return broken("gzip", stream.msg != nullptr ? stream.msg : "not gzip");
      }
    }
    return wanted - stream.avail_out;
  }

 private:
  Lease<InflateContext> context_;
  bool between_members_ = false;
};

struct Lz4Context {
  Lz4Context() { NARU_CHECK(!LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)), "out of memory"); }
  ~Lz4Context() { LZ4F_freeDecompressionContext(context); }
  [[nodiscard]] bool worth_keeping() const { return !has_large_blocks; }
  LZ4F_dctx* context = nullptr;
  bool has_large_blocks = false;
};

class Lz4 final : public Bounded {
 public:
  Lz4(BytesView input, const DecompressLimits& limits) : Bounded(input, limits) {
    LZ4F_resetDecompressionContext(context_->context);
    // Byte 5 of a frame: its block size, 6 and 7 for 1 and 4 MiB; the context buffers two of them.
    constexpr size_t block_descriptor = 5;
    context_->has_large_blocks =
        input.size() > block_descriptor && (static_cast<unsigned>(input[block_descriptor]) >> 4 & 7) >= 6;
  }

  Result<size_t> fill(std::span<std::byte> out) override {
    for (;;) {
      if (position_ == input_.size() && between_frames_) return 0;
      size_t produced = out.size();
      size_t consumed = input_.size() - position_;
      const size_t hint =
          LZ4F_decompress(context_->context, out.data(), &produced, input_.data() + position_, &consumed, nullptr);
      if (LZ4F_isError(hint)) return broken("lz4", LZ4F_getErrorName(hint));
      position_ += consumed;
      between_frames_ = hint == 0;
      if (produced > 0) return produced;
      if (consumed == 0 && !between_frames_) return broken("lz4", "cut short");
    }
  }

 private:
  Lease<Lz4Context> context_;
  size_t position_ = 0;
  bool between_frames_ = true;
};

struct ZstdContext {
  ZstdContext() : context(ZSTD_createDCtx()) { NARU_CHECK(context != nullptr, "out of memory"); }
  ~ZstdContext() { ZSTD_freeDCtx(context); }
  [[nodiscard]] bool worth_keeping() const { return ZSTD_sizeof_DCtx(context) <= kept_context_bytes_max; }
  ZSTD_DCtx* context;
};

class Zstd final : public Bounded {
 public:
  Zstd(BytesView input, const DecompressLimits& limits) : Bounded(input, limits) {
    ZSTD_DCtx_reset(context_->context, ZSTD_reset_session_only);
  }

  Result<size_t> fill(std::span<std::byte> out) override {
    ZSTD_outBuffer to{out.data(), out.size(), 0};
    while (to.pos == 0) {
      if (position_ == input_.size() && between_frames_) return 0;
      ZSTD_inBuffer from{input_.data(), input_.size(), position_};
      const size_t hint = ZSTD_decompressStream(context_->context, &to, &from);
      if (ZSTD_isError(hint)) return broken("zstd", ZSTD_getErrorName(hint));
      const bool moved = from.pos != position_ || to.pos > 0;
      position_ = from.pos;
      between_frames_ = hint == 0;
      if (!moved) return broken("zstd", "cut short");
    }
    return to.pos;
  }

 private:
  Lease<ZstdContext> context_;
  size_t position_ = 0;
  bool between_frames_ = true;
};

struct SnappyContext {
  [[nodiscard]] bool worth_keeping() const { return capacity <= kept_context_bytes_max; }
  // Uninitialised on purpose: memory that is not written is not resident.
  std::byte* room_for(size_t n) {
    if (capacity < n) {
      block.reset(new std::byte[n]);
      capacity = n;
    }
    return block.get();
  }
  std::unique_ptr<std::byte[]> block;
  size_t capacity = 0;
};

// Raw: one block. Xerial: a header, then blocks that each carry their length (see xerial.h).
class Snappy final : public Bounded {
 public:
  Snappy(BytesView input, const DecompressLimits& limits)
      : Bounded(input, limits), rest_(input), is_xerial_(xerial::starts_with_header(input)) {}

  Result<size_t> fill(std::span<std::byte> out) override {
    while (block_.empty()) {
      if (rest_.empty()) return 0;
      if (Result<void> opened = open_block(); !opened) return tl::unexpected(std::move(opened.error()));
    }
    const size_t n = std::min(out.size(), block_.size());
    std::memcpy(out.data(), block_.data(), n);
    block_ = block_.subspan(n);
    return n;
  }

 private:
  Result<BytesView> next_compressed() {
    if (!is_xerial_) return std::exchange(rest_, {});
    // Streams that were written one after the other repeat the header.
    while (xerial::starts_with_header(rest_)) rest_ = rest_.subspan(xerial::header_size);
    if (rest_.empty()) return BytesView{};
    if (rest_.size() < 4) return fail(ErrorCode::corrupt_message, "snappy: block length cut short");
    const auto length = load_be<int32_t>(rest_.data());
    if (length < 0 || static_cast<size_t>(length) > rest_.size() - 4) {
      return fail(ErrorCode::corrupt_message, fmt::format("snappy: block of {} bytes", length));
    }
    const BytesView compressed = rest_.subspan(4, static_cast<size_t>(length));
    rest_ = rest_.subspan(4 + static_cast<size_t>(length));
    return compressed;
  }

  Result<void> open_block() {
    const Result<BytesView> compressed = next_compressed();
    if (!compressed) return tl::unexpected(compressed.error());
    if (compressed->empty()) return {};
    const auto* const bytes = reinterpret_cast<const char*>(compressed->data());
    size_t size = 0;
    // 3 bytes stand for at most 64: a larger claim is a lie, and nothing is allocated for it.
    if (!snappy::GetUncompressedLength(bytes, compressed->size(), &size) || size > compressed->size() * 22 + 64) {
      return fail(ErrorCode::corrupt_message, "snappy: not a snappy block");
    }
    if (size > left()) {
      return fail(ErrorCode::message_too_large,
                  fmt::format("{} bytes decompress to more than is allowed", input_size()));
    }
    std::byte* const to = context_->room_for(size);
    if (!snappy::RawUncompress(bytes, compressed->size(), reinterpret_cast<char*>(to))) {
      return fail(ErrorCode::corrupt_message, "snappy: broken block");
    }
    block_ = BytesView(to, size);
    return {};
  }

  Lease<SnappyContext> context_;
  BytesView rest_;
  BytesView block_;
  const bool is_xerial_;
};

}  // namespace

size_t DecompressLimits::allowed_for(size_t input_bytes) const {
  const size_t by_ratio =
      input_bytes > max_output_bytes / std::max<size_t>(max_ratio, 1) ? max_output_bytes : input_bytes * max_ratio;
  if (mutant<"R110-decompresses-any-ratio">()) return max_output_bytes;
  return std::min(max_output_bytes, std::max(always_allowed_bytes, by_ratio));
}

std::unique_ptr<Decompressor> make_decompressor(Codec codec, BytesView input, const DecompressLimits& limits) {
  NARU_CHECK(input.size() < (1u << 31), "a batch of {} bytes", input.size());
  switch (codec) {
    case Codec::none:
      return std::make_unique<Plain>(input, limits);
    case Codec::gzip:
      return std::make_unique<Gzip>(input, limits);
    case Codec::snappy:
      return std::make_unique<Snappy>(input, limits);
    case Codec::lz4:
      return std::make_unique<Lz4>(input, limits);
    case Codec::zstd:
      return std::make_unique<Zstd>(input, limits);
  }
  NARU_CHECK(false, "codec {}", static_cast<int>(codec));
}

Result<std::vector<std::byte>> decompress(Codec codec, BytesView input, const DecompressLimits& limits) {
  const std::unique_ptr<Decompressor> from = make_decompressor(codec, input, limits);
  std::vector<std::byte> out;
  std::array<std::byte, 16384> piece;
  for (;;) {
    const Result<size_t> n = from->read(piece);
    if (!n) return tl::unexpected(n.error());
    if (*n == 0) return out;
    append_bytes(out, BytesView(piece).first(*n));
  }
}

}  // namespace common::records
