// naru-limit: what this machine can do at most for a replicated GB. Each part moves the same bytes as a broker must,
// and does nothing else with them: TCP on loopback out and in, CRC32C, writes to the page cache, and a gRPC stream of 1
// MiB messages. Prints the CPU seconds per GB of each as JSON; scripts/bench adds them up and compares brokers with the
// sum.
//
//   naru-limit [--megabytes N] [--directory D]     D: where the brokers' data lies; the file is removed
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "common/records/crc32c.h"

namespace {

constexpr size_t piece = 128 << 10;  // of a batch as a producer with much to say sends it
constexpr size_t grpc_message = 1 << 20;

[[noreturn]] void die(const char* what) {
  std::fprintf(stderr, "naru-limit: %s: %s\n", what, std::strerror(errno));
  std::exit(1);
}

double cpu_seconds(int who) {
  rusage used{};
  if (getrusage(who, &used) != 0) die("getrusage");
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

// Bytes that no file system or processor recognizes as nothing.
std::vector<std::byte> some_bytes(size_t size) {
  std::vector<std::byte> bytes(size);
  uint32_t x = 1;
  for (std::byte& b : bytes) {
    x = x * 1664525 + 1013904223;
    b = static_cast<std::byte>(x >> 24);
  }
  return bytes;
}

struct Sides {
  double out = 0;
  double in = 0;
};

// Two connected sockets over TCP on loopback.
std::pair<int, int> connected() {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (listener < 0 || bind(listener, generic, length) != 0 || listen(listener, 1) != 0) die("listen");
  if (getsockname(listener, generic, &length) != 0) die("getsockname");
  const int client = socket(AF_INET, SOCK_STREAM, 0);
  if (client < 0 || connect(client, generic, length) != 0) die("connect");
  const int server = accept(listener, nullptr, nullptr);
  if (server < 0) die("accept");
  close(listener);
  const int one = 1;
  setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return {client, server};
}

Sides loopback(size_t total) {
  const auto [client, server] = connected();
  Sides used;
  std::thread receiver([&used, total, fd = server] {
    std::vector<std::byte> buffer(piece);
    const double before = cpu_seconds(RUSAGE_THREAD);
    for (size_t got = 0; got < total;) {
      const ssize_t n = recv(fd, buffer.data(), buffer.size(), 0);
      if (n <= 0) die("recv");
      got += static_cast<size_t>(n);
    }
    used.in = cpu_seconds(RUSAGE_THREAD) - before;
  });
  const std::vector<std::byte> bytes = some_bytes(piece);
  const double before = cpu_seconds(RUSAGE_THREAD);
  for (size_t sent = 0; sent < total;) {
    const ssize_t n = send(client, bytes.data(), std::min(piece, total - sent), 0);
    if (n <= 0) die("send");
    sent += static_cast<size_t>(n);
  }
  used.out = cpu_seconds(RUSAGE_THREAD) - before;
  receiver.join();
  close(client);
  close(server);
  return used;
}

double checksums(size_t total) {
  const std::vector<std::byte> bytes = some_bytes(std::min<size_t>(total, 64 << 20));  // more than the caches hold
  uint32_t sum = 0;
  const double before = cpu_seconds(RUSAGE_THREAD);
  for (size_t done = 0; done < total; done += piece) {
    const size_t at = done % (bytes.size() / piece * piece);
    sum ^= common::records::crc32c({bytes.data() + at, piece});
  }
  const double used = cpu_seconds(RUSAGE_THREAD) - before;
  if (sum == 1) std::fputc('\n', stderr);  // so that it is computed
  return used;
}

double page_cache_writes(size_t total, const std::string& directory) {
  const std::string path = directory + "/naru-limit-" + std::to_string(getpid());
  const int file = open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC | O_EXCL, 0600);
  if (file < 0) die(path.c_str());
  unlink(path.c_str());
  const std::vector<std::byte> bytes = some_bytes(piece);
  const double before = cpu_seconds(RUSAGE_THREAD);
  for (size_t done = 0; done < total; done += piece) {
    if (pwrite(file, bytes.data(), piece, static_cast<off_t>(done)) != static_cast<ssize_t>(piece)) die("pwrite");
  }
  const double used = cpu_seconds(RUSAGE_THREAD) - before;
  close(file);
  return used;
}

// One stream, both ends in this process, each with a thread and a completion queue of its own.
void serve(grpc::AsyncGenericService& service, grpc::ServerCompletionQueue& queue, size_t total) {
  const auto next = [&] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  grpc::GenericServerContext context;
  grpc::GenericServerAsyncReaderWriter stream(&context);
  service.RequestCall(&context, &stream, &queue, &queue, nullptr);
  if (!next()) die("gRPC: no call");
  for (size_t got = 0; got < total;) {
    grpc::ByteBuffer message;
    stream.Read(&message, nullptr);
    if (!next()) die("gRPC: no message");
    got += message.Length();
  }
  stream.Finish(grpc::Status::OK, nullptr);
  next();
}

void send_all(grpc::GenericStub& stub, size_t total) {
  grpc::CompletionQueue queue;
  const auto next = [&] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  grpc::ClientContext context;
  const auto stream = stub.PrepareCall(&context, "/limit/Send", &queue);
  stream->StartCall(nullptr);
  if (!next()) die("gRPC: no stream");
  const std::vector<std::byte> bytes = some_bytes(grpc_message);
  const grpc::Slice slice(bytes.data(), bytes.size(), grpc::Slice::STATIC_SLICE);
  for (size_t sent = 0; sent < total; sent += bytes.size()) {
    stream->Write(grpc::ByteBuffer(&slice, 1), nullptr);
    if (!next()) die("gRPC: not sent");
  }
  grpc::Status status;
  stream->Finish(&status, nullptr);
  next();
  if (!status.ok()) die(status.error_message().c_str());
  queue.Shutdown();
}

double grpc_stream(size_t total) {
  grpc::AsyncGenericService service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterAsyncGenericService(&service);
  builder.SetMaxReceiveMessageSize(-1);
  const std::unique_ptr<grpc::ServerCompletionQueue> queue = builder.AddCompletionQueue();
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (!server) die("gRPC: no server");
  const auto channel = grpc::CreateChannel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials());
  grpc::GenericStub stub(channel);
  const double before = cpu_seconds(RUSAGE_SELF);
  std::thread server_side([&] { serve(service, *queue, total); });
  send_all(stub, total);
  server_side.join();
  const double used = cpu_seconds(RUSAGE_SELF) - before;
  server->Shutdown();
  queue->Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue->Next(&tag, &ok)) {
  }
  return used;
}

}  // namespace

int main(int argc, char** argv) {
  size_t megabytes = 1000;
  std::string directory = std::filesystem::temp_directory_path().string();
  CLI::App app{"What this machine can do at most for a replicated GB"};
  app.add_option("--megabytes", megabytes)->check(CLI::Range(64, 100'000));
  app.add_option("--directory", directory)->check(CLI::ExistingDirectory);
  CLI11_PARSE(app, argc, argv);
  const size_t total = (megabytes * 1'000'000 / grpc_message + 1) * grpc_message;  // whole pieces and messages
  const double gigabytes = static_cast<double>(total) / 1e9;
  const Sides socket = loopback(total);
  const nlohmann::json seen = {{"out", socket.out / gigabytes},
                               {"in", socket.in / gigabytes},
                               {"crc", checksums(total) / gigabytes},
                               {"write", page_cache_writes(total, directory) / gigabytes},
                               {"grpc", grpc_stream(total) / gigabytes}};
  std::printf("%s\n", seen.dump().c_str());
  return 0;
}
