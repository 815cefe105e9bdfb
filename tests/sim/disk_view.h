// One process's hold on its machine's disk: calls go to the simulated disk, answers come back on the shard that asked, and
// once the process has ended nothing reaches the disk any more.
#pragma once
#include <memory>

#include "common/disk/simulated_disk.h"
#include "sim/process.h"

namespace sim {

std::unique_ptr<common::disk::Disk> make_disk_view(common::disk::SimulatedDisk& disk, std::shared_ptr<Process> process,
                                                   common::Shard& shard);

}  // namespace sim
