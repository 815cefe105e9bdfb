#include "common/disk/durable_directory.h"

#include <filesystem>
#include <vector>

namespace common::disk {

namespace {

std::string directory_above(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path();
  return parent.empty() ? "." : parent;
}

bool is_not_there(Disk& disk, const std::string& path) {
  const auto found = disk.list(path);
  return !found && found.error().fault == IoFault::not_found;
}

}  // namespace

IoResult<void> create_directories_durably(Disk& disk, const std::string& path) {
  std::vector<std::string> parents;  // of those that are to be made
  for (std::string at = path; is_not_there(disk, at) && directory_above(at) != at; at = directory_above(at)) {
    parents.push_back(directory_above(at));
  }
  if (auto made = disk.create_directories(path); !made) return made;
  // One that may be searched and not read cannot be synced; the common file systems carry its names along all the same.
  for (const std::string& parent : parents) (void)disk.sync_directory(parent);
  return {};
}

}  // namespace common::disk
