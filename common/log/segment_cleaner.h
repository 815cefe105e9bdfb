// The part of a compaction that reads and writes segments, piece by piece. Internal to common/log; see compaction.h.
// Used by one job on the disk's pool at a time.
#pragma once
#include <map>

#include "common/log/compaction.h"
#include "common/log/segment.h"

namespace common::log {

struct CleanFault {
  // not_compactable: the batches are what they were when they were written, and cannot be taken apart, or not fit a
  // segment, all the same.
  enum class Kind { disk, damaged, map_too_small, not_compactable };
  Kind kind = Kind::disk;
  disk::IoError io;
  std::string message;
};
template <class T>
using CleanResult = tl::expected<T, CleanFault>;

class SegmentCleaner {
 public:
  struct Source {
    std::shared_ptr<disk::File> file;
    uint64_t size_bytes = 0;
    Offset base;
    Offset end;
    EpochCache epochs = {};
  };
  // `remembered`: last offsets of the batches that the producer table knows, ascending.
  SegmentCleaner(disk::Disk& disk, std::vector<Source> sources, CompactionRequest request,
                 std::vector<Offset> remembered, const LogConfig& config);

  // Each does one piece of work; true: this part is done. In this order.
  [[nodiscard]] CleanResult<bool> survey();
  [[nodiscard]] CleanResult<bool> fill_map();
  struct Group {
    size_t first = 0;  // sources
    size_t count = 0;
    std::string path;  // of the .cleaned file
    std::optional<LeaderEpoch> epoch_before;
  };
  [[nodiscard]] CleanResult<void> begin_group(const Group& group);
  [[nodiscard]] CleanResult<bool> write_group();
  // Everything is in the file and on the medium.
  [[nodiscard]] CleanResult<void> finish_group();
  // What was written, but for its file.
  [[nodiscard]] std::unique_ptr<Segment> take_segment() { return std::move(out_); }

  [[nodiscard]] Offset map_end() const { return map_end_; }
  [[nodiscard]] uint64_t take_io_bytes() { return std::exchange(io_bytes_, 0); }
  [[nodiscard]] const CompactionReport& totals() const { return totals_; }

 private:
  struct Transaction {
    Offset first;
    Offset marker;
    bool is_aborted = false;
  };
  enum class Want { header, whole };

  [[nodiscard]] CleanResult<std::optional<records::BatchView>> next_batch(Want want, size_t last_source);
  void rewind(size_t source);
  void note_transaction(const records::BatchFacts& facts);
  void settle_end();
  [[nodiscard]] bool is_aborted(const records::BatchView& batch) const;
  [[nodiscard]] CleanResult<void> add_to_map(const records::BatchView& batch);
  [[nodiscard]] bool must_stay(const records::BatchView& batch, bool is_last) const;
  [[nodiscard]] bool keeps(const records::BatchView& batch, const records::Record& record) const;
  [[nodiscard]] CleanResult<void> copy(const records::BatchView& batch, bool is_last);
  [[nodiscard]] CleanResult<void> put(model::BytesView batch);
  [[nodiscard]] CleanResult<void> write_out();

  disk::Disk& disk_;
  const std::vector<Source> sources_;
  const CompactionRequest request_;
  const std::vector<Offset> remembered_;
  const LogConfig config_;

  // Where the reading is.
  size_t source_ = 0;
  uint64_t position_ = 0;
  std::optional<FileWindow> window_;
  size_t piece_ = 0;  // bytes of the present piece

  // The survey.
  uint64_t keys_at_most_ = 0;
  std::map<model::ProducerId, Offset> open_;
  std::multimap<model::ProducerId, Transaction> transactions_;

  std::optional<KeyMap> map_;
  Offset map_end_;

  // The group being written.
  Group group_;
  std::shared_ptr<disk::File> file_;
  std::unique_ptr<Segment> out_;
  uint64_t written_ = 0;  // of out_->size_bytes, to the file
  std::vector<std::byte> buffer_;
  std::optional<LeaderEpoch> previous_epoch_;

  uint64_t io_bytes_ = 0;
  CompactionReport totals_;
};

}  // namespace common::log
