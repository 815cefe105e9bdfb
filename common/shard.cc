#include "common/shard.h"

#include <deque>
#include <exception>
#include <thread>

#include <pthread.h>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/impl/src.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "common/logging.h"

namespace common {
namespace {

namespace asio = boost::asio;

// All timers of a shard in one ordered map behind one kernel timer.
class LoopShard : public Shard {
 public:
  LoopShard(int id, const Clock& clock, asio::io_context& io)
      : Shard(id, clock), io_(io), kernel_timer_(io), alive_(std::make_shared<bool>(true)) {}
  ~LoopShard() override { *alive_ = false; }

  bool is_current() const override { return io_.get_executor().running_in_this_thread(); }
  void post(std::function<void()> f) override { asio::post(io_, std::move(f)); }
  asio::io_context& io_context() override { return io_; }

  TimerHandle call_at(Instant when, std::function<void()> f) override {
    const auto at = timers_.emplace(std::pair(when, ++sequence_), std::move(f)).first;
    arm();
    return TimerHandle([this, alive = std::weak_ptr(alive_), key = at->first] {
      if (!alive.expired()) timers_.erase(key);
    });
  }

 protected:
  asio::io_context& io_;

 private:
  void arm() {
    if (timers_.empty()) return;
    const Instant first = timers_.begin()->first.first;
    if (armed_for_ && *armed_for_ <= first && !is_overslept()) return;
    armed_for_ = first;
    const auto delay = first - now();
    kernel_timer_.expires_after(std::chrono::duration_cast<std::chrono::steady_clock::duration>(delay));
    kernel_timer_.async_wait([this, alive = std::weak_ptr(alive_)](const boost::system::error_code& error) {
      if (error || alive.expired()) return;  // re-armed for an earlier time, or the shard is gone
      armed_for_.reset();
      fire();
    });
  }

  // The kernel's timer stands still while the machine sleeps, our clock does not.
  [[nodiscard]] bool is_overslept() const { return now() - *armed_for_ > std::chrono::seconds(1); }

  void fire() {
    const Instant until = now();
    while (!timers_.empty() && timers_.begin()->first.first <= until) {
      auto f = std::move(timers_.begin()->second);
      timers_.erase(timers_.begin());
      f();
    }
    arm();
  }

  asio::steady_timer kernel_timer_;
  std::map<std::pair<Instant, uint64_t>, std::function<void()>> timers_;
  std::optional<Instant> armed_for_;
  uint64_t sequence_ = 0;
  std::shared_ptr<bool> alive_;
};

// How far what is posted leads to further posts in one turn of the loop, before sockets and other threads are looked at
// again. A produce's longest chain has four links.
constexpr int links_per_turn = 8;

struct OwnedLoop {
  struct Loop : asio::io_context {
    Loop() : io_context(1) {}
    // Lets go of what waits in it. Whoever posts once more while it goes finds it there: that goes with the loop.
    void drop_work() { shutdown(); }
  };
  Loop io;
};

class ThreadShard final : private OwnedLoop, public LoopShard {
 public:
  ThreadShard(int id, const Clock& clock, const std::string& name)
      : LoopShard(id, clock, OwnedLoop::io),
        guard_(OwnedLoop::io.get_executor()),
        thread_([this] { OwnedLoop::io.run(); }) {
    pthread_setname_np(thread_.native_handle(), name.substr(0, 15).c_str());
  }
  // What is left may wake somebody, and so post to this shard, as it goes: while the shard is whole.
  ~ThreadShard() override {
    stop();
    OwnedLoop::io.drop_work();
    own_->clear();
  }

  // Asio asks the kernel what else there is (epoll_wait) between a handler and what it posts; a produce goes through
  // four such steps. What this thread posts is therefore done in one go, in its order.
  void post(std::function<void()> f) override {
    if (!is_current()) return LoopShard::post(std::move(f));
    own_->push_back(std::move(f));
    if (!std::exchange(is_own_work_due_, true)) do_own_work_soon();
  }

  void stop() {
    OwnedLoop::io.stop();
    if (thread_.joinable()) thread_.join();
  }

 private:
  using Work = std::deque<std::function<void()>>;

  // Work that is left at the end dies with the loop, as all other does.
  void do_own_work_soon() {
    asio::post(OwnedLoop::io, [this, own = own_] { do_own_work(*own); });
  }

  void do_own_work(Work& own) {
    for (int link = 1; link < links_per_turn && !own.empty(); ++link) do_one_link(own);
    // What the last link posts asks for its turn as it comes: what is given to the loop after that, by hop() as well,
    // stands behind it (R87).
    is_own_work_due_ = false;
    do_one_link(own);
  }

  static void do_one_link(Work& own) {
    for (size_t left = own.size(); left > 0; --left) {
      const std::function<void()> f = std::move(own.front());
      own.pop_front();
      f();
    }
  }

  const std::shared_ptr<Work> own_ = std::make_shared<Work>();
  bool is_own_work_due_ = false;
  asio::executor_work_guard<asio::io_context::executor_type> guard_;
  std::thread thread_;
};

}  // namespace

std::unique_ptr<Shard> make_thread_shard(int id, const Clock& clock, const std::string& thread_name) {
  return std::make_unique<ThreadShard>(id, clock, thread_name);
}

std::unique_ptr<Shard> make_manual_shard(int id, const Clock& clock, boost::asio::io_context& io) {
  return std::make_unique<LoopShard>(id, clock, io);
}

void stop_shard(Shard& shard) {
  if (auto* threaded = dynamic_cast<ThreadShard*>(&shard)) threaded->stop();
}

void Shard::spawn(const char* name, Awaitable<void> work) {
  asio::co_spawn(io_context(), std::move(work), [name](const std::exception_ptr& error) {
    if (!error) return;
    try {
      std::rethrow_exception(error);
    } catch (const std::exception& e) {
      NARU_CHECK(false, "coroutine {} ended by an exception: {}", name, e.what());
    }
  });
}

struct Event::Waiter {
  std::function<void(bool)> resume;  // not any_completion_handler: Asio 1.26's recurses without end when it is assigned
  TimerHandle timer;
};

// Resumes on the event's own shard, also when the waiting coroutine came there by hop().
void Event::finish(const std::shared_ptr<Waiter>& waiter, bool result) {
  waiter->timer.cancel();
  shard_.post([waiter, result] {
    if (auto resume = std::exchange(waiter->resume, nullptr)) resume(result);
  });
}

Event::~Event() {
  wake_all(false);
}

void Event::set() {
  is_set_ = true;
  wake_all(true);
}

void Event::pulse() {
  wake_all(true);
}

void Event::wake_all(bool result) {
  auto woken = std::exchange(waiters_, {});
  for (const auto& waiter : woken) finish(waiter, result);
}

Awaitable<bool> until(Event& event, std::optional<Instant> deadline) {
  if (event.is_set()) co_return true;
  Shard& shard = event.shard();
  if (deadline && *deadline <= shard.now()) co_return false;
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>&, void(bool)>(
      [&event, &shard, deadline](auto handler) {
        auto waiter = std::make_shared<Event::Waiter>();
        auto held = std::make_shared<decltype(handler)>(std::move(handler));
        waiter->resume = [held](bool result) { std::move (*held)(result); };
        if (deadline) {
          waiter->timer = shard.call_at(*deadline, [&event, weak = std::weak_ptr(waiter)] {
            const auto self = weak.lock();
            if (!self) return;
            std::erase(event.waiters_, self);
            event.finish(self, false);
          });
        }
        event.waiters_.push_back(std::move(waiter));
      },
      asio::use_awaitable);
}

Awaitable<void> sleep_until(Shard& shard, Instant when) {
  Event never(shard);
  co_await until(never, when);
}

Awaitable<void> yield_to(Shard& shard) {
  return hop(shard);
}

Awaitable<void> hop(Shard& target) {
  // Binding the completion to the target's executor makes the coroutine resume there.
  co_await asio::post(asio::bind_executor(target.io_context().get_executor(), asio::use_awaitable));
}

}  // namespace common
