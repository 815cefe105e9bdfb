// Whether files can be lent to sockets here: the kernel must tell what lies in memory (Linux 6.5) and the file system
// read without waiting for the medium. Where not, everything is read and checked.
#pragma once
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <string>

#include "common/disk/disk.h"

namespace test_support {

inline bool kernel_tells_what_is_in_memory() {
  const std::array<uint64_t, 2> range{0, 1};
  std::array<uint64_t, 5> pages{};
  constexpr long cachestat = 451;
  const int any = ::memfd_create("probe", MFD_CLOEXEC);
  const bool tells = any >= 0 && ::syscall(cachestat, any, range.data(), pages.data(), 0U) == 0;
  ::close(any);
  return tells;
}

inline bool reads_without_waiting(common::disk::Disk& disk, const std::string& directory) {
  const auto file = disk.open(directory + "/probe", common::disk::OpenMode::create_if_missing);
  std::array<std::byte, 1> some{};
  return file && (*file)->write_at(0, some) && (*file)->try_read(0, some);
}

inline bool lends(common::disk::Disk& disk, const std::string& directory) {
  return kernel_tells_what_is_in_memory() && reads_without_waiting(disk, directory);
}

}  // namespace test_support
