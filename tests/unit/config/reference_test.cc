// docs/configuration.md is printed from the table. NARU_REWRITE=1 writes it anew, as `naru config reference` does.
#include <catch2/catch.hpp>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "common/config/config_load.h"

TEST_CASE("docs/configuration.md says what the table says") {
  const std::string path = std::string(NARU_SOURCE_DIR) + "/docs/configuration.md";
  if (std::getenv("NARU_REWRITE") != nullptr) std::ofstream(path) << common::config::configuration_reference();
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  const bool same = text.str() == common::config::configuration_reference();
  INFO("naru config reference > " << path);
  CHECK(same);
}
