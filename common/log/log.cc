#include "common/log/log.h"

#include "common/log/log_impl.h"

namespace common::log {

Log::Log(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Log::~Log() = default;

Result<std::unique_ptr<Log>> Log::open(LogEnvironment environment, std::string path, const LogConfig& config,
                                       const OpenHints& hints, TimestampMs now) {
  NARU_CHECK(environment.disk != nullptr);
  auto impl = std::make_unique<Impl>(std::move(environment), std::move(path), config);
  if (auto recovered = impl->recover(hints, now); !recovered) return tl::unexpected(recovered.error());
  impl->check_invariants();
  return std::unique_ptr<Log>(new Log(std::move(impl)));
}

uint64_t Log::Impl::size_bytes() const {
  uint64_t sum = 0;
  for (const auto& segment : segments) sum += segment->size_bytes;
  return sum;
}

void Log::Impl::check_invariants() const {
  NARU_CHECK(!segments.empty());
  NARU_CHECK(log_start <= log_end && flushed <= log_end, "{} {} {}", log_start, flushed, log_end);
  NARU_CHECK(segments.front()->base <= log_start && segments.back()->base <= log_end, "segments {}-{}, log {}-{}",
             segments.front()->base, segments.back()->base, log_start, log_end);
  NARU_CHECK(!epochs.latest() || epochs.entries().back().start_offset <= log_end);
}

const std::string& Log::path() const {
  return impl_->directory;
}
const LogConfig& Log::config() const {
  return impl_->config;
}
void Log::set_config(const LogConfig& config) {
  impl_->config = config;
}
const RecoveryReport& Log::recovery_report() const {
  return impl_->report;
}
Offset Log::log_start_offset() const {
  return impl_->log_start;
}
Offset Log::log_end_offset() const {
  return impl_->log_end;
}
Offset Log::flushed_offset() const {
  return impl_->flushed;
}
uint64_t Log::size_bytes() const {
  return impl_->size_bytes();
}
std::shared_ptr<JobGate> Log::job_gate() const {
  return impl_->gate;
}
size_t Log::segment_count() const {
  return impl_->segments.size();
}
const std::optional<Error>& Log::failure() const {
  return impl_->failure;
}
bool Log::is_disk_full() const {
  return impl_->is_disk_full;
}
const EpochCache& Log::epochs() const {
  return impl_->epochs;
}
records::ProducerStateTable& Log::producers() {
  return impl_->producers;
}
const records::ProducerStateTable& Log::producers() const {
  return impl_->producers;
}

std::vector<SegmentInfo> Log::segments() const {
  std::vector<SegmentInfo> all;
  for (const auto& segment : impl_->segments)
    all.push_back({segment->base, segment->size_bytes, segment->largest_timestamp});
  return all;
}

void Log::begin_epoch(LeaderEpoch epoch) {
  impl_->change_epochs(impl_->epochs.assign(epoch, impl_->log_end));
}

void Log::note_damage(const std::string& why) {
  impl_->set_damaged({model::ErrorCode::corrupt_message, why});
}

void Log::when_epochs_persisted(StepDone done) {
  if (impl_->epochs_saved == impl_->epochs_version) return done({});
  impl_->epochs_waiting.emplace_back(impl_->epochs_version, std::move(done));
  if (impl_->epoch_writes == 0) impl_->persist_epochs(disk::Durability::kernel);
}

Result<ReadResult> Log::read(const ReadRequest& request) {
  return impl_->read(request, Waiting::never);
}
void Log::read_cold(const ReadRequest& request, ReadDone done) {
  impl_->read_cold(request, std::move(done));
}
void Log::read_any(const ReadRequest& request, ReadDone done) {
  impl_->read_any(request, std::move(done));
}
Result<ReadResult> Log::read_blocking(const ReadRequest& request) {
  return impl_->look(request, Waiting::allowed);
}
void Log::find_timestamp(TimestampMs at, Offset limit, FindDone done) {
  impl_->find_timestamp(at, limit, std::move(done));
}
void Log::find_largest_timestamp(Offset limit, FindDone done) {
  impl_->find_largest_timestamp(limit, std::move(done));
}

void Log::flush(FlushDone done) {
  impl_->flush(std::move(done));
}
Result<Offset> Log::truncate_to(Offset offset) {
  return impl_->truncate_to(offset);
}
void Log::truncate_fully_and_start_at(Offset offset, StepDone done) {
  impl_->truncate_fully_and_start_at(offset, std::move(done));
}
void Log::advance_log_start(Offset offset) {
  impl_->advance_log_start(offset);
}
size_t Log::apply_retention(const Now& now, Offset high_watermark) {
  return impl_->apply_retention(now, high_watermark);
}
std::vector<SegmentFacts> Log::segment_facts() {
  return impl_->segment_facts();
}
Offset Log::cleaned_offset() const {
  return impl_->cleaned_to;
}
Result<std::unique_ptr<Compaction>> Log::compact(CompactionRequest request) {
  return impl_->compact(std::move(request));
}
void Log::tick(const Now& now) {
  impl_->tick(now);
}
void Log::close(StepDone done) {
  impl_->close(std::move(done));
}
Result<void> Log::close_blocking() {
  return impl_->close_blocking();
}

}  // namespace common::log
