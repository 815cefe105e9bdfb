#include "broker/replication/http2_call.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include <fmt/format.h>
#include <nghttp2/nghttp2.h>

#include "common/model/check.h"

namespace broker::replication {

using common::Awaitable;
using common::model::as_text;
using common::model::BytesView;
using namespace std::chrono_literals;

namespace {

// A window that a stream at full speed does not use up. nghttp2 renews it when half is used.
constexpr int32_t window_bytes = 8 << 20;
constexpr uint32_t frame_bytes_accepted = 1 << 20;
constexpr size_t frame_bytes_sent = 256 << 10;  // nghttp2 keeps room for the largest that it has sent
constexpr size_t read_bytes = 64 << 10;
constexpr int reads_per_turn = 4;  // of the loop, while each of them fills the buffer
constexpr auto linger_max = 5s;  // a peer that was told to go does so

nghttp2_nv header(std::string_view name, std::string_view value) {
  return {reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
          reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

// grpc-message is percent-encoded (gRPC over HTTP/2, "Responses").
std::string percent_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c >= ' ' && c <= '~' && c != '%') {
      out.push_back(c);
    } else {
      out += fmt::format("%{:02X}", static_cast<uint8_t>(c));
    }
  }
  return out;
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    uint8_t value = 0;
    const char* const digits = text.data() + i + 1;
    if (text[i] == '%' && i + 2 < text.size() && std::from_chars(digits, digits + 2, value, 16).ptr == digits + 2) {
      out.push_back(static_cast<char>(value));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

}  // namespace

// nghttp2 is C: each of these finds its call and lets it act.
struct Http2Call::Callbacks {
  static Http2Call& of(void* user) { return *static_cast<Http2Call*>(user); }

  static int on_data(nghttp2_session*, uint8_t, int32_t, const uint8_t* data, size_t length, void* user) {
    if (!of(user).is_refused_) of(user).on_data({reinterpret_cast<const std::byte*>(data), length});
    return 0;
  }
  static int on_begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    Http2Call& call = of(user);
    if (call.is_server_ && frame->headers.cat == NGHTTP2_HCAT_REQUEST && call.stream_ == 0)
      call.stream_ = frame->hd.stream_id;
    return frame->hd.stream_id == call.stream_ ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;  // one call, no more
  }
  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_length,
                       const uint8_t* value, size_t value_length, uint8_t, void* user) {
    if (frame->hd.stream_id != of(user).stream_) return 0;
    of(user).on_header({reinterpret_cast<const char*>(name), name_length},
                       {reinterpret_cast<const char*>(value), value_length});
    return 0;
  }
  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    Http2Call& call = of(user);
    if (call.is_server_ && frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST &&
        frame->hd.stream_id == call.stream_)
      call.on_request();
    // A follower that has said everything is one that leaves.
    if (frame->hd.stream_id == call.stream_ && call.stream_ != 0 && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
      call.stream_is_over_ = true;
    return 0;
  }
  static int on_stream_close(nghttp2_session*, int32_t stream, uint32_t, void* user) {
    if (stream == of(user).stream_) of(user).stream_is_over_ = true;
    return 0;
  }
  static ssize_t read_length(nghttp2_session*, uint8_t, int32_t, int32_t session_window, int32_t stream_window,
                             uint32_t frame_bytes_max, void* user) {
    const size_t allowed = std::min({static_cast<size_t>(session_window), static_cast<size_t>(stream_window),
                                     static_cast<size_t>(frame_bytes_max), frame_bytes_sent});
    return static_cast<ssize_t>(std::clamp<size_t>(of(user).outgoing_left_, 1, allowed));
  }
  static ssize_t offer(nghttp2_session*, int32_t, uint8_t*, size_t length, uint32_t* flags, nghttp2_data_source*,
                       void* user) {
    return static_cast<ssize_t>(of(user).offer(length, flags));
  }
  static int send_data(nghttp2_session*, nghttp2_frame*, const uint8_t* frame_head, size_t length, nghttp2_data_source*,
                       void* user) {
    constexpr size_t frame_head_bytes = 9;
    of(user).take_out({reinterpret_cast<const std::byte*>(frame_head), frame_head_bytes}, length);
    return 0;
  }
  static nghttp2_data_provider provider() {
    nghttp2_data_provider p{};
    p.read_callback = offer;
    return p;
  }
};

void Http2Call::SessionDeleter::operator()(nghttp2_session* session) const {
  nghttp2_session_del(session);
}

Http2Call::Http2Call(common::Shard& shard, common::net::Socket socket, Events& events, bool is_server, Options options)
    : shard_(shard), socket_(std::move(socket)), events_(&events), is_server_(is_server), options_(std::move(options)) {
  nghttp2_session_callbacks* callbacks = nullptr;
  NARU_CHECK(nghttp2_session_callbacks_new(&callbacks) == 0, "out of memory");
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Callbacks::on_data);
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, Callbacks::on_begin_headers);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, Callbacks::on_header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, Callbacks::on_frame);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, Callbacks::on_stream_close);
  nghttp2_session_callbacks_set_data_source_read_length_callback(callbacks, Callbacks::read_length);
  nghttp2_session_callbacks_set_send_data_callback(callbacks, Callbacks::send_data);
  nghttp2_session* session = nullptr;
  const int made = is_server ? nghttp2_session_server_new(&session, callbacks, this)
                             : nghttp2_session_client_new(&session, callbacks, this);
  nghttp2_session_callbacks_del(callbacks);
  NARU_CHECK(made == 0, "out of memory");
  session_.reset(session);
}

Http2Call::~Http2Call() = default;

std::shared_ptr<Http2Call> Http2Call::client(common::Shard& shard, common::net::Socket socket, Events& events,
                                             const std::string& authority, uint32_t wanted_shard, Options options) {
  std::shared_ptr<Http2Call> call(new Http2Call(shard, std::move(socket), events, false, std::move(options)));
  call->start(authority, wanted_shard);
  return call;
}

std::shared_ptr<Http2Call> Http2Call::server(common::Shard& shard, common::net::Socket socket, Events& events,
                                             Options options) {
  std::shared_ptr<Http2Call> call(new Http2Call(shard, std::move(socket), events, true, std::move(options)));
  call->start("", 0);
  return call;
}

void Http2Call::start(const std::string& authority, uint32_t wanted_shard) {
  std::vector<nghttp2_settings_entry> settings;
  if (!is_server_) settings.push_back({shard_setting, wanted_shard});  // the first one
  settings.push_back({NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window_bytes});
  settings.push_back({NGHTTP2_SETTINGS_MAX_FRAME_SIZE, frame_bytes_accepted});
  settings.push_back({NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1});
  settings.push_back({NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, 8 << 10});
  nghttp2_submit_settings(session_.get(), NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  nghttp2_session_set_local_window_size(session_.get(), NGHTTP2_FLAG_NONE, 0, window_bytes);
  if (!is_server_) {
    const std::array headers{header(":method", "POST"),
                             header(":scheme", "http"),
                             header(":path", options_.path),
                             header(":authority", authority),
                             header("te", "trailers"),
                             header("content-type", "application/grpc"),
                             header("user-agent", "naru")};
    const nghttp2_data_provider body = Callbacks::provider();
    stream_ = nghttp2_submit_request(session_.get(), nullptr, headers.data(), headers.size(), &body, nullptr);
    NARU_CHECK(stream_ > 0, "nghttp2: {}", nghttp2_strerror(stream_));
  }
  shard_.spawn("fetch stream reader", read(shared_from_this()));
}

bool Http2Call::is_drained() {
  if (outgoing_left_ == 0 && wire_.empty()) return true;
  is_wanted_ = true;
  return false;
}

void Http2Call::send(BufferChain message) {
  if (is_closed_) return;
  NARU_CHECK(outgoing_left_ == 0, "a second message on a fetch stream");
  outgoing_left_ = message.size();
  outgoing_part_ = 0;
  outgoing_inside_ = 0;
  outgoing_ = std::move(message);
  if (is_server_) respond();
  nghttp2_session_resume_data(session_.get(), stream_);
  if (!is_reading_) flush();  // else what this turn has to say goes out together
}

void Http2Call::finish(CallStatus status, const std::string& why) {
  events_ = nullptr;
  if (is_closed_) return;
  last_word_.emplace(status, percent_encoded(why));
  respond();
  nghttp2_session_resume_data(session_.get(), stream_);
  lingering_ = shard_.call_at(shard_.now() + linger_max, [self = weak_from_this()] {
    if (const auto call = self.lock()) call->close();
  });
  if (!is_reading_) flush();
}

void Http2Call::close() {
  events_ = nullptr;
  is_closed_ = true;
  lingering_.cancel();
  socket_.close();
}

// The server's headers, before its first message.
void Http2Call::respond() {
  if (std::exchange(has_responded_, true)) return;
  const std::array headers{header(":status", "200"), header("content-type", "application/grpc")};
  const nghttp2_data_provider body = Callbacks::provider();
  nghttp2_submit_response(session_.get(), stream_, headers.data(), headers.size(), &body);
}

Awaitable<void> Http2Call::read(std::shared_ptr<Http2Call> self) {
  self->flush();
  // Uninitialised on purpose: a stream that says little touches a page of it.
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(read_bytes);
  int reads_left = 0;
  while (!self->is_closed_) {
    common::model::Result<size_t> n = 0;
    if (reads_left > 0) n = self->socket_.try_read({buffer.get(), read_bytes});
    if (n && *n == 0) {
      n = co_await self->socket_.read_some({buffer.get(), read_bytes});
      reads_left = reads_per_turn;
    }
    if (self->is_closed_) co_return;
    if (!n) {
      self->end({.status = self->status_, .why = n.error().message});
      co_return;
    }
    reads_left = *n == read_bytes ? reads_left - 1 : 0;
    self->on_bytes(BytesView(buffer.get(), *n));
  }
}

void Http2Call::on_bytes(BytesView bytes) {
  is_reading_ = true;
  const ssize_t used =
      nghttp2_session_mem_recv(session_.get(), reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  if (used < 0 && problem_.empty()) problem_ = nghttp2_strerror(static_cast<int>(used));
  deliver();
  is_reading_ = false;
  if (is_closed_) return;
  flush();
  if (!problem_.empty()) return end({.status = {}, .why = problem_});
  if (stream_is_over_ || status_) {
    if (events_ != nullptr || outgoing_left_ == 0) {
      return end({.status = status_, .why = status_ ? status_message_ : "closed by the other side"});
    }
  }
  // nghttp2 has told the peer what it did wrong, and would go on swallowing what it says.
  if (nghttp2_session_want_read(session_.get()) == 0)
    return end({.status = {}, .why = "the other side broke the rules of HTTP/2"});
  tell_if_drained();
}

void Http2Call::deliver() {
  std::vector<Buffer> messages = std::exchange(arrived_, {});
  for (Buffer& message : messages) {
    if (events_ == nullptr) return;
    events_->on_message(std::move(message));
  }
}

// Moves what nghttp2 has to say into wire_; false if that is nothing.
bool Http2Call::gather() {
  for (;;) {
    const uint8_t* data = nullptr;
    const ssize_t n = nghttp2_session_mem_send(session_.get(), &data);
    if (n < 0) {
      problem_ = nghttp2_strerror(static_cast<int>(n));
      return false;
    }
    if (n == 0) return !wire_.empty();
    wire_.push_back(Buffer::copy_of(BytesView(reinterpret_cast<const std::byte*>(data), static_cast<size_t>(n))));
  }
}

void Http2Call::flush() {
  std::vector<BytesView> slices;
  while (!is_closed_ && !is_blocked_ && gather()) {
    slices.assign(wire_.size(), {});
    std::transform(wire_.begin(), wire_.end(), slices.begin(), [](const Buffer& b) { return b.view(); });
    const auto written = socket_.try_write(slices);
    if (!written) return;  // the reader hears of it too, and says so
    size_t left = *written;
    size_t whole = 0;
    while (whole < wire_.size() && wire_[whole].size() <= left) left -= wire_[whole++].size();
    wire_.erase(wire_.begin(), wire_.begin() + static_cast<std::ptrdiff_t>(whole));
    if (left > 0) wire_.front() = wire_.front().slice(left);
    if (*written == 0) {
      is_blocked_ = true;
      shard_.spawn("fetch stream writer", wait_to_write(shared_from_this()));
    }
  }
  if (outgoing_left_ == 0 && wire_.empty()) outgoing_ = {};
}

Awaitable<void> Http2Call::wait_to_write(std::shared_ptr<Http2Call> self) {
  const auto writable = co_await self->socket_.until_writable();
  self->is_blocked_ = false;
  if (!writable || self->is_closed_) co_return;
  self->flush();
  self->tell_if_drained();
}

void Http2Call::tell_if_drained() {
  if (!is_wanted_ || events_ == nullptr || is_closed_ || outgoing_left_ > 0 || !wire_.empty()) return;
  is_wanted_ = false;
  events_->on_drained();
}

void Http2Call::end(const CallEnd& how) {
  Events* const events = events_;
  close();
  if (events != nullptr) events->on_end(how);
}

void Http2Call::on_data(BytesView bytes) {
  while (!bytes.empty() && problem_.empty()) {
    if (!message_) {
      const size_t n = std::min(bytes.size(), sizeof prefix_ - prefix_filled_);
      std::memcpy(prefix_ + prefix_filled_, bytes.data(), n);
      prefix_filled_ += n;
      bytes = bytes.subspan(n);
      if (prefix_filled_ < sizeof prefix_) return;
      message_bytes_ = 0;
      for (int i = 1; i <= 4; ++i) message_bytes_ = message_bytes_ << 8 | static_cast<uint8_t>(prefix_[i]);
      if (prefix_[0] != std::byte{0} || message_bytes_ > options_.message_bytes_max) {
        problem_ = fmt::format("a message of {} bytes, or a compressed one, is not acceptable", message_bytes_);
        return;
      }
      // Uninitialised on purpose: pages of a message that never arrives are never touched.
      message_.reset(new std::byte[std::max<size_t>(message_bytes_, 1)]);
      message_filled_ = 0;
    }
    const size_t n = std::min(bytes.size(), message_bytes_ - message_filled_);
    if (n > 0) std::memcpy(message_.get() + message_filled_, bytes.data(), n);
    message_filled_ += n;
    bytes = bytes.subspan(n);
    if (message_filled_ < message_bytes_) return;
    const BytesView whole(message_.get(), message_bytes_);
    arrived_.emplace_back(std::move(message_), whole);
    message_.reset();
    prefix_filled_ = 0;
  }
}

void Http2Call::on_header(std::string_view name, std::string_view value) {
  if (name == ":path") {
    path_ = value;
  } else if (name == "grpc-status") {
    int status = 2;  // UNKNOWN, for what is no number
    std::from_chars(value.data(), value.data() + value.size(), status);
    status_ = status;
  } else if (name == "grpc-message") {
    status_message_ = percent_decoded(value);
  } else if (name == ":status" && value != "200") {
    problem_ = fmt::format("HTTP status {}", value);
  }
}

void Http2Call::on_request() {
  if (path_ == options_.path) return;
  const std::string status = std::to_string(static_cast<int>(CallStatus::unimplemented));
  const std::array headers{header(":status", "200"), header("content-type", "application/grpc"),
                           header("grpc-status", status)};
  nghttp2_submit_response(session_.get(), stream_, headers.data(), headers.size(), nullptr);
  has_responded_ = true;
  is_refused_ = true;
}

// nghttp2 asks what may go into the next DATA frame.
int64_t Http2Call::offer(size_t most, uint32_t* flags) {
  if (outgoing_left_ > 0) {
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    return static_cast<int64_t>(std::min(most, outgoing_left_));
  }
  if (!last_word_) return NGHTTP2_ERR_DEFERRED;
  *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
  const std::string status = std::to_string(static_cast<int>(last_word_->first));
  const std::array trailers{header("grpc-status", status), header("grpc-message", last_word_->second)};
  nghttp2_submit_trailer(session_.get(), stream_, trailers.data(), trailers.size());
  return 0;
}

// The frame that was offered, by reference.
void Http2Call::take_out(BytesView frame_head, size_t count) {
  wire_.push_back(Buffer::copy_of(frame_head));
  outgoing_left_ -= count;
  while (count > 0) {
    const Buffer& part = outgoing_.parts()[outgoing_part_];
    const size_t n = std::min(count, part.size() - outgoing_inside_);
    wire_.push_back(part.slice(outgoing_inside_, n));
    count -= n;
    outgoing_inside_ += n;
    if (outgoing_inside_ == part.size()) {
      ++outgoing_part_;
      outgoing_inside_ = 0;
    }
  }
}

}  // namespace broker::replication
