// Java's properties format and the names of environment variables.
#include <catch2/catch.hpp>

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "common/config/config_load.h"

using namespace common::config;

TEST_CASE("properties: separators, comments, blanks") {
  const ConfigMap map = parse_properties(
      "# comment\n! another\n\n"
      "a=1\nb : 2\n  c   3\nd =  4 \ne\n=nothing\n"
      "f=x=y:z\n");
  CHECK(map.at("a") == "1");
  CHECK(map.at("b") == "2");
  CHECK(map.at("c") == "3");
  CHECK(map.at("d") == "4 ");
  CHECK(map.at("e").empty());
  CHECK(map.at("") == "nothing");
  CHECK(map.at("f") == "x=y:z");
  CHECK(map.size() == 7);
}

TEST_CASE("properties: continued lines and escapes") {
  CHECK(parse_properties("listeners=A://:1,\\\n    B://:2\n").at("listeners") == "A://:1,B://:2");
  CHECK(parse_properties("a=1\\\r\n 2\r\nb=3").at("a") == "12");
  CHECK(parse_properties("a=ends\\").at("a") == "ends");
  CHECK(parse_properties("a=two\\\\\nb=1").at("a") == "two\\");
  CHECK(parse_properties("a\\ b\\=c\\:d = x").at("a b=c:d") == "x");
  CHECK(parse_properties("a=\\t\\n\\q\\u00e9\\uD83D\\uDE00\\u12").at("a") == "\t\nq\xc3\xa9\xf0\x9f\x98\x80u12");
  // A comment sign inside a continuation is text.
  CHECK(parse_properties("a=1,\\\n#2").at("a") == "1,#2");
}

TEST_CASE("properties: a later line wins, and any bytes are survived") {
  CHECK(parse_properties("a=1\na=2").at("a") == "2");
  const std::string noise("\0\xff\\u\\\\==::\n\\", 11);
  CHECK_NOTHROW(parse_properties(noise));
}

TEST_CASE("properties: what is no file is refused rather than read as an empty one") {
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / fmt::format("naru-properties-{}", ::getpid());
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "server.properties") << "a=1\n";
  CHECK(read_properties_file((folder / "server.properties").string())->at("a") == "1");
  CHECK(read_properties_file("/dev/null")->empty());
  for (const std::string& wrong : {folder.string(), (folder / "nothing").string(), std::string("/dev/zero")}) {
    const auto read = read_properties_file(wrong);
    REQUIRE_FALSE(read);
    CHECK(read.error().find(wrong) != std::string::npos);
  }
  std::filesystem::remove_all(folder);
}

TEST_CASE("environment: names of Kafka's and bitnami's images") {
  const auto [variable, property] = GENERATE(table<std::string, std::string>({
      {"KAFKA_NODE_ID", "node.id"},
      {"KAFKA_ADVERTISED_LISTENERS", "advertised.listeners"},
      {"KAFKA_A__B_C", "a_b.c"},
      {"KAFKA_A___B", "a-b"},
      {"KAFKA_CFG_NODE_ID", "node.id"},
      {"KAFKA_CFG_LISTENER_SECURITY_PROTOCOL_MAP", "listener.security.protocol.map"},
      {"CLUSTER_ID", "naru.cluster.id"},
      {"KAFKA_KRAFT_CLUSTER_ID", "naru.cluster.id"},
      {"KAFKA_HEAP_OPTS", ""},
      {"KAFKA_JMX_PORT", ""},
      {"PATH", ""},
      {"ALLOW_PLAINTEXT_LISTENER", ""},
  }));
  CHECK(property_of_variable(variable) == property);
}
