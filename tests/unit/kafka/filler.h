// Gives every field of a message a value by a rule that golden/MakeVectors.java follows too, so that both must encode
// the same bytes. Change one and the vectors must be made anew with golden/make_vectors.
//
// The rule: values are drawn in the order of the wire (tagged fields last, by tag), from a counter that starts at 0 for
// each message. Arrays have two elements at the top, one below. `nulls` makes everything null that may be.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "proto/kafka/runtime/message.h"

namespace kafka::test {

class Filler {
 public:
  explicit Filler(bool nulls) : nulls_(nulls) {}

  [[nodiscard]] bool is_null(bool may_be) const { return may_be && nulls_; }

  void value(int8_t& out) { out = static_cast<int8_t>(next()); }
  void value(int16_t& out) { out = static_cast<int16_t>(next()); }
  void value(uint16_t& out) { out = static_cast<uint16_t>(next()); }
  void value(int32_t& out) { out = static_cast<int32_t>(next()); }
  void value(int64_t& out) { out = static_cast<int64_t>(next()); }
  void value(double& out) { out = static_cast<double>(static_cast<int32_t>(next())) * 0.25; }
  void value(bool& out) { out = (next() & 1) == 1; }
  void value(ErrorCode& out) { out = static_cast<ErrorCode>(static_cast<int16_t>(next())); }
  void value(Uuid& out) {
    const uint64_t high = next();
    out = Uuid::from_halves(high, next());
  }
  void value(std::string& out) {
    const uint64_t x = next();
    const size_t length = (x & 63) == 0 ? 200 : (x >> 8) & 15;
    out.clear();
    for (size_t i = 0; i < length; ++i) out.push_back(static_cast<char>('a' + ((x >> 16 & 0xff) + i) % 26));
    if ((x & 7) == 1) out += "\xc3\xa9";
  }
  void value(Buffer& out) {
    const uint64_t x = next();
    std::string content((x & 31) == 0 ? 700 : (x >> 8) & 31, '\0');
    for (size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(x + i);
    out = Buffer::own(std::move(content));
  }
  void value(BufferChain& out) {
    Buffer one;
    value(one);
    out = BufferChain(std::move(one));
  }
  template <class T, class F>
  void list(std::vector<T>& out, F fill_element) {
    const size_t size = depth_ == 0 ? 2 : 1;
    ++depth_;
    out.clear();
    for (size_t i = 0; i < size; ++i) fill_element(out.emplace_back());
    --depth_;
  }

 private:
  uint64_t next() {
    const uint64_t x = ++count_ * 0x9e3779b97f4a7c15ull;
    return x ^ x >> 32;
  }

  bool nulls_;
  uint64_t count_ = 0;
  int depth_ = 0;
};

enum class Kind { defaults, full, nulls };

struct Reencoded {
  Buffer bytes;
  size_t left_over = 0;  // of the input
};

// One message, its type erased.
struct MessageCase {
  std::string file;  // stem of its schema
  std::string name;
  int16_t min_version = 0;
  int16_t max_version = 0;
  std::function<Result<Buffer>(Kind, int16_t version)> encode;
  std::function<Result<Reencoded>(const Buffer&, int16_t version)> reencode;
  std::function<bool(const Buffer&, int16_t version)> decodes;
};

std::vector<MessageCase> all_messages();

template <class T>
MessageCase message_case(std::string file, void (*fill)(Filler&, T&, int16_t)) {
  MessageCase one;
  one.file = std::move(file);
  one.name = T::message_name;
  one.min_version = T::min_version;
  one.max_version = T::max_version;
  one.encode = [fill](Kind kind, int16_t version) {
    T message;
    Filler filler(kind == Kind::nulls);
    if (kind != Kind::defaults) fill(filler, message, version);
    return kafka::encode(message, version).map([](const BufferChain& chain) { return chain.flatten(); });
  };
  one.reencode = [](const Buffer& bytes, int16_t version) -> Result<Reencoded> {
    Reader reader(bytes);
    const Result<T> message = kafka::decode<T>(reader, version);
    if (!message) return tl::unexpected(message.error());
    return kafka::encode(*message, version).map([&](const BufferChain& chain) {
      return Reencoded{chain.flatten(), reader.remaining()};
    });
  };
  one.decodes = [](const Buffer& bytes, int16_t version) { return kafka::decode<T>(bytes, version).has_value(); };
  return one;
}

}  // namespace kafka::test
