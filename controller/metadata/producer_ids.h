// Blocks of producer ids: each goes to one broker, once (R96). A crash wastes the rest of a block, never repeats it.
// Function over a Draft; pure.
#pragma once
#include "controller/metadata/draft.h"
#include "controller/metadata/options.h"

namespace controller::metadata {

[[nodiscard]] AllocateProducerIdsAnswer allocate_producer_ids(Draft& draft, const AllocateProducerIds& request,
                                                              const ControllerOptions& options);

}  // namespace controller::metadata
