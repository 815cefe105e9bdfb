// Names of the files in a partition's directory. Pure; any thread.
//
//   00000000000000000120.log        record batches from offset 120 on; also .index, .timeindex
//   00000000000000000120.snapshot   producer state before offset 120
//   leader-epoch-checkpoint         and partition.metadata
//   offset-gaps                     empty: batches may be missing between others (compaction); elsewhere that is damage
//   never-in-sync                   empty: made in the place of a copy that the cluster looks for; in no ISR since
//   restart-at                      the log is being emptied and goes on at the offset inside (R67)
//   *.deleted, *.cleaned, *.tmp     left-overs: removed at the next open, large ones soon after it (R80)
//   *.log.swap                      a complete replacement for all segments in its range of offsets: takes their place
//                                   at the next open (R80)
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "common/model/types.h"

namespace common::log {

inline constexpr std::string_view log_suffix = ".log";
inline constexpr std::string_view offset_index_suffix = ".index";
inline constexpr std::string_view time_index_suffix = ".timeindex";
inline constexpr std::string_view snapshot_suffix = ".snapshot";
inline constexpr std::string_view deleted_suffix = ".deleted";
inline constexpr std::string_view cleaned_suffix = ".cleaned";
inline constexpr std::string_view swap_suffix = ".swap";
inline constexpr std::string_view epoch_file_name = "leader-epoch-checkpoint";
inline constexpr std::string_view metadata_file_name = "partition.metadata";
inline constexpr std::string_view restart_file_name = "restart-at";
inline constexpr std::string_view gaps_file_name = "offset-gaps";
inline constexpr std::string_view never_in_sync_file_name = "never-in-sync";

// "<directory>/<20 digits><suffix>"
[[nodiscard]] std::string file_path(std::string_view directory, model::Offset base, std::string_view suffix);
// The offset of "<20 digits><suffix>"; none if it is no such name.
[[nodiscard]] std::optional<model::Offset> offset_in_name(std::string_view name, std::string_view suffix);

}  // namespace common::log
