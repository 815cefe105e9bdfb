// How far a broker's start has come: written where it happens, read by whoever asks whether it is ready. Any thread.
#pragma once
#include <atomic>
#include <cstdint>

namespace broker::http {

struct StartProgress {
  enum class Stage : uint8_t { starting, finding_quorum, recovering, registering, serving, leaving };
  std::atomic<Stage> stage{Stage::starting};
  std::atomic<uint64_t> logs_found{0};
  std::atomic<uint64_t> logs_opened{0};
  std::atomic<uint64_t> scanned_bytes{0};  // of logs that had to be checked
  std::atomic<bool> has_controller{false};  // a leader of the metadata quorum is known
};

}  // namespace broker::http
