#include "sim/probes.h"

namespace sim {

std::string_view to_string(Probe probe) {
  switch (probe) {
#define X(name, text) \
  case Probe::name:   \
    return text;
    SIM_PROBES(X)
#undef X
    case Probe::count:
      break;
  }
  return "?";
}

}  // namespace sim
