#include "sim/probes.h"

namespace sim {

std::string_view to_string(Probe probe) {
  switch (probe) {
#define X(name, text) \
  case Probe::name:   \
    return text;
    SIM_PROBES(X)
#undef X
#define X(name, text)       \
  case Probe::fault_##name: \
    return "fault: " text;
    SIM_FAULTS(X)
#undef X
#define X(name, text)      \
  case Probe::rare_##name: \
    return "runs in which " text;
    SIM_RARE(X)
#undef X
    case Probe::count:
      break;
  }
  return "?";
}

std::optional<Probe> Probes::of_error(common::model::ErrorCode code) {
  using common::model::ErrorCode;
  switch (code) {
    case ErrorCode::not_enough_replicas:
      return Probe::below_min_isr;
    case ErrorCode::not_enough_replicas_after_append:
      return Probe::isr_shrank_after_append;
    case ErrorCode::not_leader_or_follower:
      return Probe::refused_by_no_leader;
    case ErrorCode::request_timed_out:
      return Probe::timed_out;
    case ErrorCode::kafka_storage_error:
      return Probe::storage_error;
    case ErrorCode::out_of_order_sequence_number:
      return Probe::out_of_sequence;
    default:
      return std::nullopt;
  }
}

}  // namespace sim
