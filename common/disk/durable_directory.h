// A directory that is made so that a loss of power does not take it away again, with all that was synced in it: POSIX
// promises no more for a file's sync than the file, and for a directory's than the names in it. Thread-compatible.
#pragma once
#include <string>

#include "common/disk/disk.h"

namespace common::disk {

// Also those above it, as far as they are not there.
[[nodiscard]] IoResult<void> create_directories_durably(Disk& disk, const std::string& path);

}  // namespace common::disk
