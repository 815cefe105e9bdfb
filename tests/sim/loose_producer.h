// A producer that asks for less than most: acks=0 or 1, or acks=all without idempotence. It sends one batch at a time and
// tries again, with the same records, whatever it has no good answer to. What it may lose or double is nobody's promise;
// all the rest is (nothing that was not sent, nothing refused, nothing read twice with other bytes).
#pragma once
#include "sim/producer.h"

namespace sim {

class LooseProducer {
 public:
  LooseProducer(Client& client, History& history, Probes& probes, const Options& options, const Running& running,
                Place place, int16_t acks, Value first_value)
      : client_(client),
        history_(history),
        probes_(probes),
        options_(options),
        running_(running),
        place_(place),
        acks_(acks),
        next_value_(first_value) {}

  static Awaitable<void> run(LooseProducer& self);
  [[nodiscard]] bool is_done() const { return done_; }
  [[nodiscard]] static cli::verify::Promise promise(int16_t acks);

 private:
  // How a record's last attempt ended.
  enum class Outcome { acknowledged, refused, unknown };
  Awaitable<Outcome> send(Buffer batch);
  Buffer encode(const std::vector<Value>& values) const;
  void acknowledge(const std::vector<Value>& values);

  Client& client_;
  History& history_;
  Probes& probes_;
  const Options& options_;
  const Running& running_;
  const Place place_;
  const int16_t acks_;
  Value next_value_;
  int64_t offset_ = -1;  // of the last acknowledged batch
  bool done_ = false;
};

}  // namespace sim
