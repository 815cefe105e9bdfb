// What the other end of an Http2Call says, byte by byte: for tests and fuzz targets that say what no library would.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "support/socket_peer.h"

namespace test_support {

enum FrameType : uint8_t { data_frame = 0, headers_frame = 1, settings_frame = 4 };
inline constexpr uint8_t end_headers = 4;
inline constexpr std::string_view http2_preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
inline constexpr std::string_view fetch_path = "/naru.cluster.Replication/Fetch";

inline std::string big_endian(size_t value, int bytes) {
  std::string out;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift & 255));
  return out;
}

inline std::string http2_frame(uint8_t type, uint8_t flags, uint8_t stream, std::string_view content) {
  return big_endian(content.size(), 3) + big_endian(type, 1) + big_endian(flags, 1) + big_endian(stream, 4) +
         std::string(content);
}

// RFC 7541, 6.2.2: a header that is neither indexed nor compressed.
inline std::string http2_header(std::string_view name, std::string_view value) {
  constexpr size_t longest = 126;  // whose length is one byte
  value = value.substr(0, longest);
  return big_endian(0, 1) + big_endian(name.size(), 1) + std::string(name) + big_endian(value.size(), 1) +
         std::string(value);
}

inline std::string grpc_message(std::string_view content) {
  return big_endian(0, 1) + big_endian(content.size(), 4) + std::string(content);
}

// What a follower opens its call with, and what a leader answers first.
inline std::string follower_opening(std::string_view path = fetch_path) {
  return std::string(http2_preface) + http2_frame(settings_frame, 0, 0, "") +
         http2_frame(headers_frame, end_headers, 1,
                     http2_header(":method", "POST") + http2_header(":scheme", "http") + http2_header(":path", path) +
                         http2_header(":authority", "leader:1") + http2_header("te", "trailers"));
}
inline std::string leader_opening() {
  return http2_frame(settings_frame, 0, 0, "") +
         http2_frame(headers_frame, end_headers, 1,
                     http2_header(":status", "200") + http2_header("content-type", "application/grpc"));
}

}  // namespace test_support
