// Log lines with an identity attached once: Logger("b2 orders-0 e7").info("leader, was follower of 1: elected").
// error = an operator must act; warn = we degraded; info = a rare state change; debug = per request. Never payloads.
// Thread-safe. spdlog stays behind logging.cc; this header costs only fmt.
#pragma once
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace common {

enum class LogLevel { debug, info, warn, error, off };
enum class LogFormat { text, json };

// Once, before the first line. `file` empty: standard error.
void configure_logging(LogLevel level, LogFormat format, const std::string& file = {});
bool log_enabled(LogLevel level);
void write_log(LogLevel level, std::string_view identity, std::string_view message);

class Logger {
 public:
  explicit Logger(std::string identity = {}) : identity_(std::move(identity)) {}
  [[nodiscard]] Logger with(std::string_view more) const {
    return Logger(identity_.empty() ? std::string(more) : fmt::format("{} {}", identity_, more));
  }
  template <class... A>
  void debug(fmt::format_string<A...> text, A&&... a) const {
    write(LogLevel::debug, text, std::forward<A>(a)...);
  }
  template <class... A>
  void info(fmt::format_string<A...> text, A&&... a) const {
    write(LogLevel::info, text, std::forward<A>(a)...);
  }
  template <class... A>
  void warn(fmt::format_string<A...> text, A&&... a) const {
    write(LogLevel::warn, text, std::forward<A>(a)...);
  }
  template <class... A>
  void error(fmt::format_string<A...> text, A&&... a) const {
    write(LogLevel::error, text, std::forward<A>(a)...);
  }

 private:
  template <class... A>
  void write(LogLevel level, fmt::format_string<A...> text, A&&... a) const {
    if (log_enabled(level)) write_log(level, identity_, fmt::format(text, std::forward<A>(a)...));
  }
  std::string identity_;
};

}  // namespace common
