// Files of a simulated disk as a fuzzer leaves them: patched, cut, gone, under other names, and with checksums that are
// right all the same, or else no damage would ever be seen behind the first checksum.
#pragma once
#include <string>
#include <vector>

#include "common/disk/simulated_disk.h"
#include "common/records/big_endian.h"
#include "common/records/crc32c.h"
#include "common/records/layout.h"
#include "fuzz/input.h"

namespace fuzz {

using common::disk::SimulatedDisk;
using common::model::BytesView;

// Makes the checksums of whole batches right, as far as their lengths lead.
inline void seal_batches(std::vector<std::byte>& file) {
  namespace records = common::records;
  size_t at = 0;
  while (at + records::batch_header_size <= file.size()) {
    const auto length = records::load_be<int32_t>(file.data() + at + records::layout::batch_length);
    if (length < 0) return;
    const size_t size = records::batch_length_prefix_size + static_cast<size_t>(length);
    if (size < records::batch_header_size || size > file.size() - at) return;
    const BytesView batch = BytesView(file).subspan(at, size);
    records::store_be<uint32_t>(file.data() + at + records::layout::crc,
                                records::crc32c(batch.subspan(records::layout::attributes)));
    at += size;
  }
}

// Makes the checksum at `at` that of the `size` bytes from `from` on, if all of that lies in the file.
inline void seal(std::vector<std::byte>& file, size_t at, size_t from, size_t size) {
  if (at + 4 > file.size() || from > file.size() || size > file.size() - from) return;
  common::records::store_be<uint32_t>(file.data() + at, common::records::crc32c(BytesView(file).subspan(from, size)));
}

// Each kind of file that has checksums: batches, producer snapshots, both slots of the quorum's vote, the quorum's
// snapshots, Kafka's checkpoints with ours in their trailing blanks.
inline void seal_file(std::string_view path, std::vector<std::byte>& file) {
  using common::records::load_be;
  if (path.find(".log") != std::string_view::npos) {
    seal_batches(file);
  } else if (path.ends_with(".snapshot")) {
    if (file.size() > 6) seal(file, 2, 6, file.size() - 6);
  } else if (path.ends_with("quorum-state")) {
    for (const size_t slot : {0, 4096}) seal(file, slot + 55, slot, 55);
  } else if (path.ends_with(".checkpoint")) {
    constexpr size_t voters_at = 30;
    if (file.size() < voters_at) return;
    const size_t state_size_at = voters_at + load_be<uint32_t>(file.data() + voters_at - 4);
    seal(file, state_size_at + 8, state_size_at + 16, file.size() - std::min(file.size(), state_size_at + 16));
    seal(file, state_size_at + 12, 0, state_size_at + 12);
  } else if (path.ends_with("checkpoint")) {
    while (!file.empty() && std::string_view(" \t\n").find(static_cast<char>(file.back())) != std::string_view::npos)
      file.pop_back();
    const uint32_t sum = common::records::crc32c(BytesView(file));
    for (int bit = 31; bit >= 0; --bit) file.push_back((sum >> bit & 1) != 0 ? std::byte{'\t'} : std::byte{' '});
    file.push_back(std::byte{'\n'});
  }
}

// One change:   op:u8 file:u8, then
//   0 patch     position:u16 length:u8 bytes        4 rename     suffix:u8
//   1 cut       size:u16                            5 replace    length:u8 bytes
//   2 erase                                         6 twin       offset:u16   (a copy whose name has that offset)
//   3 append    length:u8 bytes                     7 seal
inline void damage_once(SimulatedDisk& disk, Input& input) {
  static const std::vector<std::string> suffixes = {".swap", ".deleted", ".cleaned", ".tmp", ".log", ".snapshot"};
  const unsigned op = input.u8() % 8;
  const std::vector<std::string> paths = disk.paths();
  if (paths.empty()) return;
  const std::string& path = paths[input.u8() % paths.size()];
  const auto before = disk.content(path);
  std::vector<std::byte> file(before.view().begin(), before.view().end());
  const auto put = [&](BytesView bytes) { file.insert(file.end(), bytes.begin(), bytes.end()); };
  switch (op) {
    case 0: {
      const size_t position = input.u16();
      const BytesView bytes = input.bytes(input.u8() % 32);
      for (size_t i = 0; i < bytes.size() && position + i < file.size(); ++i) file[position + i] = bytes[i];
      break;
    }
    case 1:
      file.resize(std::min<size_t>(file.size(), input.u16()));
      break;
    case 2:
      return disk.erase(path);
    case 3:
      put(input.bytes(input.u8()));
      break;
    case 4:
      disk.erase(path);
      return disk.overwrite(path + suffixes[input.u8() % suffixes.size()], BytesView(file));
    case 5:
      file.clear();
      put(input.bytes(input.u8()));
      break;
    case 6: {
      const size_t slash = path.rfind('/');
      const size_t dot = path.find('.', slash);
      if (slash == std::string::npos || dot == std::string::npos) return;
      const std::string digits = fmt::format("{:020}", input.u16());
      return disk.overwrite(path.substr(0, slash + 1) + digits + path.substr(dot), BytesView(file));
    }
    default:
      seal_file(path, file);
      break;
  }
  disk.overwrite(path, BytesView(file));
}

inline void damage(SimulatedDisk& disk, Input& input) {
  while (!input.empty()) damage_once(disk, input);
}

}  // namespace fuzz
