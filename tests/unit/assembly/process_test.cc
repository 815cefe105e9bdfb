// What a process takes of the machine: descriptors shared out (R111), CPUs counted as a container grants them.
#include "broker/process.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>

#include <catch2/catch.hpp>

#include "common/config/config.h"
#include "support/temporary_directory.h"

using broker::cpu_quota;
using broker::plan_descriptors;

TEST_CASE("clients cannot have the descriptors of logs and of other brokers (R111)") {
  const uint64_t limit = GENERATE(64u, 256u, 1024u, 4096u, 65'536u, 1'048'576u);
  const int shards = GENERATE(1, 2, 8);
  const auto plan = plan_descriptors(limit, shards);
  CAPTURE(limit, shards, plan.files_per_shard, plan.clients);
  REQUIRE(plan.clients >= 1);
  REQUIRE(plan.files_per_shard >= 8);
  REQUIRE(plan.files_per_shard <= 512);
  const uint64_t others = limit / 4 < 1024 ? limit / 4 : 1024;
  if (limit >= 256) REQUIRE(plan.files_per_shard * static_cast<uint64_t>(shards) + plan.clients + others <= limit);
}

TEST_CASE("with descriptors in plenty, nearly all are for clients") {
  REQUIRE(plan_descriptors(1'048'576, 2).clients > 1'000'000);
  REQUIRE(plan_descriptors(1024, 2).clients == 512);
}

TEST_CASE("a cgroup's CPU quota is rounded up to whole shards") {
  CHECK(cpu_quota("max 100000") == std::nullopt);
  CHECK(cpu_quota("200000 100000") == 2);
  CHECK(cpu_quota("150000 100000") == 2);
  CHECK(cpu_quota("50000 100000") == 1);
  CHECK(cpu_quota("") == std::nullopt);
  CHECK(cpu_quota("100000") == std::nullopt);
  CHECK(cpu_quota("1 0") == std::nullopt);
  REQUIRE(broker::usable_cpus() >= 1);
  CHECK(broker::default_shards(1) == 1);
  CHECK(broker::default_shards(2) == 1);
  CHECK(broker::default_shards(16) == 15);
}

TEST_CASE("a start that was woken by a failure tells it, and one that was told to end tells nothing") {
  CHECK(broker::why_not_started("the port is taken", std::nullopt) == "the port is taken");
  CHECK(broker::why_not_started("the port is taken", "it belongs to node 9") == "the port is taken");
  CHECK(broker::why_not_started("", "it belongs to node 9") == "it belongs to node 9");
  CHECK(broker::why_not_started("", std::nullopt) == std::nullopt);
}

TEST_CASE("memory bounds shrink with a small control group, not below what works, and not against an explicit value") {
  common::config::BrokerConfig config;
  for (const char* none : {"max", "", "x", "-1", "536870912", "100000000000"}) {
    CHECK_FALSE(broker::fit_memory(config, none));
    CHECK(config.request_memory_bytes == 16 << 20);
  }
  config.given["naru.tail.cache.bytes"] = "16777216";
  REQUIRE(broker::fit_memory(config, "134217728"));
  CHECK(config.request_memory_bytes == 4 << 20);
  CHECK(config.tail_cache_bytes == 16 << 20);
  CHECK(config.response_memory_bytes == 16 << 20);
  CHECK(config.peer_memory_bytes == 8 << 20);
  common::config::BrokerConfig tiny;
  REQUIRE(broker::fit_memory(tiny, "1000000"));
  CHECK(tiny.request_memory_bytes == 2 << 20);
  CHECK(tiny.response_memory_bytes == 4 << 20);
  CHECK(tiny.tail_cache_bytes == 1 << 20);
}

TEST_CASE("a service manager that asked for it is told; nobody else is") {
  const test_support::TemporaryDirectory directory("notify");
  const std::string file = directory.file("notify");
  for (const std::string& path : {file, "@" + file}) {
    INFO(path);
    const int socket = ::socket(AF_UNIX, SOCK_DGRAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    if (path.front() == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
    REQUIRE(::bind(socket, reinterpret_cast<const sockaddr*>(&address), size) == 0);
    REQUIRE(::setenv("NOTIFY_SOCKET", path.c_str(), 1) == 0);
    broker::tell_service_manager("READY=1\nSTATUS=serves clients");
    char told[100] = {};
    const ssize_t length = ::recv(socket, told, sizeof told, MSG_DONTWAIT);
    CHECK(std::string(told, length < 0 ? 0 : static_cast<size_t>(length)) == "READY=1\nSTATUS=serves clients");
    ::unsetenv("NOTIFY_SOCKET");
    broker::tell_service_manager("READY=1");
    CHECK(::recv(socket, told, sizeof told, MSG_DONTWAIT) == -1);
    ::close(socket);
  }
  ::setenv("NOTIFY_SOCKET", directory.file("nobody").c_str(), 1);
  broker::tell_service_manager("READY=1");  // nobody listens there: nothing happens
  ::unsetenv("NOTIFY_SOCKET");
}
