// Altering the configuration of topics, brokers and the cluster's defaults. A resource changes as a whole or not at
// all.
//
// Functions over a Draft; pure.
#pragma once
#include "controller/metadata/draft.h"
#include "controller/metadata/options.h"

namespace controller::metadata {

[[nodiscard]] AlterConfigsAnswer alter_configs(Draft& draft, const AlterConfigs& request,
                                               const ControllerOptions& options, const ConfigSchema& schema);

}  // namespace controller::metadata
