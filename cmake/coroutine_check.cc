// Run at configure time: returns 0 when the compiler destroys temporaries inside co_await expressions exactly once.
// GCC 12 does not (measured); see cmake/compiler.cmake.
#include <coroutine>
#include <utility>
static int live = 0;
struct Member {
  Member() { ++live; }
  Member(const Member&) { ++live; }
  ~Member() { --live; }
};
struct Aggregate {
  Member m;
};
struct Pair {
  Member first;
  int second = 0;
};
struct Task {
  struct promise_type {
    Task get_return_object() { return Task{std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() noexcept { return {}; }
    auto final_suspend() noexcept {
      struct Back {
        bool await_ready() noexcept { return false; }
        std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> h) noexcept {
          return h.promise().next ? h.promise().next : std::noop_coroutine();
        }
        void await_resume() noexcept {}
      };
      return Back{};
    }
    void return_void() {}
    void unhandled_exception() {}
    std::coroutine_handle<> next;
  };
  explicit Task(std::coroutine_handle<promise_type> handle) : h(handle) {}
  Task(Task&& o) noexcept : h(std::exchange(o.h, {})) {}
  ~Task() {
    if (h) h.destroy();
  }
  bool await_ready() { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> c) {
    h.promise().next = c;
    return h;
  }
  void await_resume() {}
  std::coroutine_handle<promise_type> h;
};
struct Ready {
  bool await_ready() { return true; }
  void await_suspend(std::coroutine_handle<>) {}
  Pair await_resume() { return {}; }
};
Task take(Aggregate) { co_return; }
template <class F>
Task call(F f) {
  f();
  co_return;
}
Task held() {
  for (;;) {
    auto [a, b] = co_await Ready{};
    (void)a;
    (void)b;
    co_await std::suspend_always{};
  }
}
Task run() {
  Member m;
  co_await take(Aggregate{m});
  co_await call([m] { (void)m; });
}
int main() {
  {
    Task t = run();
    t.h.resume();
  }
  {
    Task t = held();
    t.h.resume();
    t.h.resume();
  }
  return live == 0 ? 0 : 1;
}
