#include "common/logging.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <memory>
#include <utility>

#include <fmt/format.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <nlohmann/json.hpp>

#include "common/log_set_up.h"
#include "common/log_writer.h"

namespace common {
namespace {

std::atomic<LogLevel> threshold{LogLevel::info};
std::atomic<LogFormat> layout{LogFormat::text};
std::atomic<bool> queued{false};

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

spdlog::sink_ptr make_sink(const std::string& file) {
  if (file.empty()) return std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
  return std::make_shared<spdlog::sinks::basic_file_sink_mt>(file);
}

// Never destroyed: the thread that writes, if there is one, goes on until the process has ended.
std::shared_ptr<spdlog::logger>& logger() {
  static auto& instance = *new std::shared_ptr<spdlog::logger>(std::make_shared<spdlog::logger>("naru", make_sink({})));
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

// A line's text behind its time and level.
std::string line_of(std::string_view identity, std::string_view message) {
  if (layout.load(std::memory_order_relaxed) == LogFormat::json)
    return fmt::format(R"("logger":{},"msg":{})", json_text(identity), json_text(message));
  if (std::ranges::any_of(message, is_control)) return line_of(identity, on_one_line(message));
  return identity.empty() ? std::string(message) : fmt::format("[{}] {}", identity, message);
}

std::string line_of_loss(uint64_t lines) {
  return line_of(
      "log", fmt::format("{} {} lost: what takes the log stood still", lines, lines == 1 ? "line is" : "lines are"));
}

void use(std::shared_ptr<spdlog::logger> made, LogLevel level, LogFormat format) {
  threshold = level;
  layout = format;
  logger() = std::move(made);
  logger()->set_level(spdlog_level(level));
  logger()->set_pattern(format == LogFormat::json ? R"({"ts":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l",%v})"
                                                  : "%H:%M:%S.%e %^%-5l%$ %v");
}

}  // namespace

void configure_logging(LogLevel level, LogFormat format, const std::string& file) {
  use(std::make_shared<spdlog::logger>("naru", make_sink(file)), level, format);
  logger()->flush_on(spdlog::level::debug);
  queued = false;
}

model::Result<void> set_up_logging(LogLevel level, LogFormat format, const std::string& file) {
  try {
    use(make_queued_logger(make_sink(file), line_of_loss), level, format);
    queued = true;
    return {};
  } catch (const std::exception& failure) {  // spdlog's, of the file, or the thread's
    configure_logging(level, format);
    return model::fail(model::ErrorCode::invalid_config, failure.what());
  }
}

bool log_enabled(LogLevel level) {
  return level >= threshold.load(std::memory_order_relaxed);
}

void write_log(LogLevel level, std::string_view identity, std::string_view message) {
  if (!logger()->should_log(spdlog_level(level))) return;
  if (queued.load(std::memory_order_relaxed)) count_queued_line();
  const std::string line = line_of(identity, message);
  logger()->log(spdlog_level(level), spdlog::string_view_t(line));
}

}  // namespace common
