// What clients say ends up in the log, and stays within its line.
#include "common/logging.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <catch2/catch.hpp>

TEST_CASE("a line of the log is one line, whatever a client calls itself") {
  std::string directory = std::filesystem::temp_directory_path() / "naru-logging-XXXXXX";
  REQUIRE(mkdtemp(directory.data()) != nullptr);
  const std::string file = directory + "/log";
  common::configure_logging(common::LogLevel::info, common::LogFormat::text, file);
  common::Logger().info("client '{}' came", "a\x1b[31m\nforged \x7f \u00e9");
  common::configure_logging(common::LogLevel::off, common::LogFormat::text);
  std::ifstream in(file);
  const std::string text(std::istreambuf_iterator<char>(in), {});
  std::filesystem::remove_all(directory);
  REQUIRE(text.ends_with("client 'a\\x1b[31m\\x0aforged \\x7f \u00e9' came\n"));
  REQUIRE(text.find('\n') == text.size() - 1);
}
