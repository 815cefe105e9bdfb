// A shard is one thread with one event loop; a partition, a coordinator and a connection each live on one shard and are
// touched by it alone, so they need no locks. Everything in broker/ that waits does it through this header: the
// simulator replaces the loop and the timers and nothing else (docs/architecture.md, "The simulator's seam").
//
// Shard::post, id, clock: any thread. Everything else: the shard's own thread, asserted.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "common/clock.h"
#include "common/model/check.h"
#include "common/model/types.h"

namespace boost::asio {
class io_context;
}

namespace common {

template <class T>
using Awaitable = boost::asio::awaitable<T>;

using model::Duration;
using model::Instant;

// Cancels on destruction. Lives on the shard that made it.
class TimerHandle {
 public:
  TimerHandle() = default;
  explicit TimerHandle(std::function<void()> cancel) : cancel_(std::move(cancel)) {}
  TimerHandle(TimerHandle&& o) noexcept : cancel_(std::exchange(o.cancel_, nullptr)) {}
  TimerHandle& operator=(TimerHandle&& o) noexcept {
    cancel();
    cancel_ = std::exchange(o.cancel_, nullptr);
    return *this;
  }
  ~TimerHandle() { cancel(); }
  void cancel() {
    if (auto f = std::exchange(cancel_, nullptr)) f();
  }

 private:
  std::function<void()> cancel_;
};

class Shard {
 public:
  virtual ~Shard() = default;

  [[nodiscard]] int id() const { return id_; }
  [[nodiscard]] const Clock& clock() const { return clock_; }
  [[nodiscard]] Instant now() const { return clock_.now(); }
  [[nodiscard]] virtual bool is_current() const = 0;

  // Runs `f` on this shard soon, never inside this call. Any thread. Dropped once the shard has stopped.
  virtual void post(std::function<void()> f) = 0;
  // Runs `f` on this shard at `when` unless the handle dies first. Own thread. One kernel timer serves all of them.
  [[nodiscard]] virtual TimerHandle call_at(Instant when, std::function<void()> f) = 0;
  // Starts a coroutine on this shard; any thread. An exception that leaves it is a bug: logged with `name`, then abort.
  // `name` is a literal.
  void spawn(const char* name, Awaitable<void> work);
  [[nodiscard]] virtual boost::asio::io_context& io_context() = 0;

 protected:
  Shard(int id, const Clock& clock) : id_(id), clock_(clock) {}

 private:
  int id_;
  const Clock& clock_;
};

// The production form: a thread running one io_context. Stops and joins on destruction.
std::unique_ptr<Shard> make_thread_shard(int id, const Clock& clock, const std::string& thread_name);
// The same without a thread: whoever owns the io_context runs it (tests, simulator).
std::unique_ptr<Shard> make_manual_shard(int id, const Clock& clock, boost::asio::io_context& io);
// Stops the loop of a thread shard and joins it; work that is queued is dropped. Idempotent.
void stop_shard(Shard& shard);

// Something that waiting coroutines are told about: "the high watermark moved", "the answer is here".
// set() wakes everyone now waiting and everyone who waits later, until reset(). pulse() wakes those now waiting only.
// Lives on one shard. Destroying an Event that somebody waits on wakes them with `false`.
class Event {
 public:
  explicit Event(Shard& shard) : shard_(shard) {}
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void set();
  void reset() { is_set_ = false; }
  void pulse();
  [[nodiscard]] bool is_set() const { return is_set_; }
  [[nodiscard]] Shard& shard() const { return shard_; }

 private:
  friend Awaitable<bool> until(Event& event, std::optional<Instant> deadline);
  struct Waiter;
  void wake_all(bool result);
  void finish(const std::shared_ptr<Waiter>& waiter, bool result);

  Shard& shard_;
  bool is_set_ = false;
  std::vector<std::shared_ptr<Waiter>> waiters_;
};

// Waits until `event` is set or pulsed (true), or until `deadline` passes or the event dies (false).
Awaitable<bool> until(Event& event, std::optional<Instant> deadline = std::nullopt);
Awaitable<void> sleep_until(Shard& shard, Instant when);
// Lets other work of this shard run.
Awaitable<void> yield_to(Shard& shard);
// Continues the calling coroutine on `target`'s thread.
Awaitable<void> hop(Shard& target);

// Runs `f` (a callable returning Awaitable<R>) on `home` and returns its result on the caller's shard `here`.
// `f` and what it refers to stay alive: the caller waits in its own frame.
template <class F, class R = typename std::invoke_result_t<F>::value_type>
Awaitable<R> on(Shard& here, Shard& home, F f) {
  if (&here == &home) {
    if constexpr (std::is_void_v<R>) {
      co_await f();
      co_return;
    } else {
      co_return co_await f();
    }
  }
  co_await hop(home);
  if constexpr (std::is_void_v<R>) {
    co_await f();
    co_await hop(here);
  } else {
    R result = co_await f();
    co_await hop(here);
    co_return result;
  }
}

}  // namespace common
