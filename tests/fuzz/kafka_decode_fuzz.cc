// Every decoder of the Kafka protocol against hostile bytes (R109, fault 47): no crash, and whatever decodes must
// encode to a form that decodes to the same again.
//
// The input names a message and a version; then follow either raw bytes, or patches (position, value) to a well-formed
// message, which get past the first lengths.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "unit/kafka/filler.h"

using namespace kafka;
using namespace kafka::test;

namespace {

struct Input {
  const uint8_t* at;
  size_t left;
  uint8_t next() {
    if (left == 0) return 0;
    --left;
    return *at++;
  }
};

std::string bytes_of(Input input, const MessageCase& message, int16_t version) {
  if ((input.next() & 1) == 0) return {reinterpret_cast<const char*>(input.at), input.left};
  const Result<Buffer> whole = message.encode(Kind::full, version);
  NARU_CHECK(whole.has_value(), "{} version {}", message.name, version);
  std::string bytes(whole->text());
  while (input.left >= 3 && !bytes.empty()) {
    const size_t position = static_cast<size_t>(input.next() << 8 | input.next()) % bytes.size();
    bytes[position] = static_cast<char>(input.next());
  }
  if (input.left > 0) bytes.resize(bytes.size() * input.next() / 256);
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::vector<MessageCase> all = all_messages();
  Input input{data, size};
  const size_t which = static_cast<size_t>(input.next() << 8 | input.next()) % all.size();
  const MessageCase& message = all[which];
  const int versions = message.max_version - message.min_version + 1;
  const auto version = static_cast<int16_t>(message.min_version + input.next() % versions);
  const Result<Reencoded> once = message.reencode(Buffer::own(bytes_of(input, message, version)), version);
  if (!once) return 0;
  const Result<Reencoded> twice = message.reencode(once->bytes, version);
  NARU_CHECK(twice.has_value() && twice->left_over == 0 && twice->bytes.text() == once->bytes.text(),
             "{} version {} does not survive a round trip", message.name, version);
  return 0;
}
