// Somebody who deletes a topic again and again, to be kept for an hour, and asks it back when it is missed: it must come
// back as the one that it was, with all that was acknowledged before it went, and take records as before.
#pragma once
#include <string>

#include "sim/producer.h"

namespace sim {

constexpr std::string_view regretted_topic = "regretted";

class Restorer {
 public:
  Restorer(Client& client, Probes& probes, const Running& running, Uuid topic)
      : client_(client), probes_(probes), running_(running), topic_(topic) {}

  // Asks for it until the end of the run: a deletion may have been late on its way.
  static Awaitable<void> run(Restorer& self);

 private:
  Awaitable<void> remove();
  Awaitable<void> restore();
  Awaitable<bool> is_missing();

  Client& client_;
  Probes& probes_;
  const Running& running_;
  const Uuid topic_;
  bool removed_ = false;
};

}  // namespace sim
