// By which names the page's data may be asked for.
#include <catch2/catch.hpp>

#include "broker/http/hosts.h"

using namespace broker::http;

namespace {

common::config::BrokerConfig configured() {
  common::config::BrokerConfig config;
  config.listeners = {{.name = "PLAINTEXT", .host = "0.0.0.0", .port = 9092}};
  config.advertised_listeners = {{.name = "PLAINTEXT", .host = "Kafka-1.example.com", .port = 9092}};
  config.http_advertised = "kafka.example.org:443";
  return config;
}

}  // namespace

TEST_CASE("names that nobody else can have given are answered") {
  const AllowedHosts hosts(configured(), "box7");
  for (const char* host : {"127.0.0.1", "127.0.0.1:9644", "10.1.2.3:9644", "[::1]:9644", "[fe80::1]", "localhost",
                           "localhost:9644", "LOCALHOST:1", "kafka.localhost:9644", "box7:9644", "kafka-1.example.com",
                           "KAFKA-1.example.com.:9644", "kafka.example.org", "kafka.example.org:443", ""}) {
    INFO(host);
    CHECK(hosts.allow(host));
  }
}

TEST_CASE("a name that somebody points at the broker is not") {
  const AllowedHosts hosts(configured(), "box7");
  for (const char* host : {"evil.example", "evil.example:9644", "kafka-1.example.com.evil.example", "example.com",
                           "x.example.org", "127.0.0.1.evil.example", "1.2.3", "localhost.evil.example", "notlocalhost",
                           "[evil.example]:9644", ":9644", "."}) {
    INFO(host);
    CHECK_FALSE(hosts.allow(host));
  }
}

TEST_CASE("a broker that says nothing about itself is asked by no name but its own") {
  const AllowedHosts hosts({}, "");
  CHECK_FALSE(hosts.allow("box7"));
  CHECK(hosts.allow("localhost:9644"));
}

TEST_CASE("the setting adds names, domains, or all there are") {
  common::config::BrokerConfig config;
  config.http_allowed_hosts = "kafka.intern, .example.com,http://Proxy:8080 ,";
  const AllowedHosts some(config, "box7");
  for (const char* host :
       {"kafka.intern:9644", "a.example.com", "a.b.example.com:9644", "example.com", "proxy", "box7"}) {
    INFO(host);
    CHECK(some.allow(host));
  }
  CHECK_FALSE(some.allow("evilexample.com"));
  CHECK_FALSE(some.allow("evil.kafka.intern"));
  config.http_allowed_hosts = "*";
  CHECK(AllowedHosts(config, "").allow("evil.example"));
}

TEST_CASE("a host is what stands before the port") {
  CHECK(host_in("http://a:80") == "a");
  CHECK(host_in("a") == "a");
  CHECK(host_in("[::1]:80") == "::1");
  CHECK(host_in("http://[::1]") == "::1");
  CHECK(host_in("[") == "");
  CHECK(host_in("::1") == "::1");
  CHECK(is_same_host("http://A.example.:9644", "a.example"));
  CHECK_FALSE(is_same_host("http://a.example:9644", "b.example:9644"));
}
