#include "common/logging.h"

#include <algorithm>
#include <atomic>

#include <fmt/format.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <nlohmann/json.hpp>

#include "common/log_set_up.h"

namespace common {
namespace {

std::atomic<LogLevel> threshold{LogLevel::info};
std::atomic<LogFormat> layout{LogFormat::text};

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warn:
      return spdlog::level::warn;
    case LogLevel::error:
      return spdlog::level::err;
    case LogLevel::off:
      break;
  }
  return spdlog::level::off;
}

std::shared_ptr<spdlog::logger> make_logger(const std::string& file) {
  std::shared_ptr<spdlog::sinks::sink> sink;
  if (file.empty()) {
    sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
  } else {
    sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(file);
  }
  return std::make_shared<spdlog::logger>("naru", std::move(sink));
}

std::shared_ptr<spdlog::logger>& logger() {
  static std::shared_ptr<spdlog::logger> instance = make_logger({});
  return instance;
}

std::string json_text(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

// Clients name themselves, their groups and their topics: nothing that they say begins a line or moves a cursor.
std::string on_one_line(std::string_view text) {
  std::string line;
  line.reserve(text.size());
  for (const char c : text) {
    if (is_control(c)) {
      line += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      line += c;
    }
  }
  return line;
}

}  // namespace

void configure_logging(LogLevel level, LogFormat format, const std::string& file) {
  threshold = level;
  layout = format;
  logger() = make_logger(file);
  logger()->set_level(spdlog_level(level));
  logger()->flush_on(spdlog::level::debug);
  logger()->set_pattern(format == LogFormat::json ? R"({"ts":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l",%v})"
                                                  : "%H:%M:%S.%e %^%-5l%$ %v");
}

model::Result<void> set_up_logging(LogLevel level, LogFormat format, const std::string& file) {
  try {
    configure_logging(level, format, file);
    return {};
  } catch (const spdlog::spdlog_ex& failure) {
    configure_logging(level, format);
    return model::fail(model::ErrorCode::invalid_config, failure.what());
  }
}

bool log_enabled(LogLevel level) {
  return level >= threshold.load(std::memory_order_relaxed);
}

void write_log(LogLevel level, std::string_view identity, std::string_view message) {
  if (layout.load(std::memory_order_relaxed) == LogFormat::text && std::ranges::any_of(message, is_control)) {
    return write_log(level, identity, on_one_line(message));
  }
  if (layout.load(std::memory_order_relaxed) == LogFormat::json) {
    logger()->log(spdlog_level(level), R"("logger":{},"msg":{})", json_text(identity), json_text(message));
  } else if (identity.empty()) {
    logger()->log(spdlog_level(level), message);
  } else {
    logger()->log(spdlog_level(level), "[{}] {}", identity, message);
  }
}

}  // namespace common
