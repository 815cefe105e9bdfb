// CHECK: a broken invariant is a bug and ends the process, in release builds too (NARU_ because Catch2
// has a CHECK). Input from a socket or a disk never reaches a CHECK.
#pragma once
#include <string>

#include <fmt/format.h>

namespace common::model {
// Prints the message to standard error, with file and line, and aborts. Thread-safe.
[[noreturn]] void check_failed(const char* file, int line, const char* condition, const std::string& message);
}  // namespace common::model

// NARU_CHECK(a <= b) or NARU_CHECK(a <= b, "hw {} leo {}", a, b)
#define NARU_CHECK(condition, ...)                                                                  \
  do {                                                                                              \
    if (!(condition)) [[unlikely]]                                                                  \
      ::common::model::check_failed(__FILE__, __LINE__, #condition, ::fmt::format("" __VA_ARGS__)); \
  } while (false)
