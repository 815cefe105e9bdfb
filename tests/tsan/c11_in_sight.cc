// C11's threads and locks, which librdkafka uses: the thread sanitizer knows POSIX's only, and a thread that it has not
// seen begin crashes in its first allocation.
#include <cstdint>

#include <pthread.h>
#include <threads.h>

#include "in_sight.h"

using in_sight::next;
using in_sight::while_given_away;

namespace {

struct Start {
  thrd_start_t function;
  void* argument;
};

void* run(void* given) {
  const auto [function, argument] = *static_cast<Start*>(given);
  delete static_cast<Start*>(given);
  return reinterpret_cast<void*>(static_cast<intptr_t>(function(argument)));
}

}  // namespace

extern "C" {

int thrd_create(thrd_t* thread, thrd_start_t function, void* argument) {
  auto* const start = new Start{function, argument};
  if (pthread_create(thread, nullptr, run, start) == 0) return thrd_success;
  delete start;
  return thrd_error;
}

int thrd_join(thrd_t thread, int* result) {
  void* returned = nullptr;
  if (pthread_join(thread, &returned) != 0) return thrd_error;
  if (result != nullptr) *result = static_cast<int>(reinterpret_cast<intptr_t>(returned));
  return thrd_success;
}

int thrd_detach(thrd_t thread) {
  return pthread_detach(thread) == 0 ? thrd_success : thrd_error;
}

int mtx_lock(mtx_t* mutex) {
  static const auto lock = next<decltype(&mtx_lock)>("mtx_lock");
  const int done = lock(mutex);
  if (done == thrd_success) __tsan_acquire(mutex);
  return done;
}

int mtx_trylock(mtx_t* mutex) {
  static const auto try_lock = next<decltype(&mtx_trylock)>("mtx_trylock");
  const int done = try_lock(mutex);
  if (done == thrd_success) __tsan_acquire(mutex);
  return done;
}

int mtx_unlock(mtx_t* mutex) {
  static const auto unlock = next<decltype(&mtx_unlock)>("mtx_unlock");
  __tsan_release(mutex);
  return unlock(mutex);
}

int cnd_wait(cnd_t* condition, mtx_t* mutex) {
  static const auto wait = next<decltype(&cnd_wait)>("cnd_wait");
  return while_given_away(mutex, [&] { return wait(condition, mutex); });
}

int cnd_timedwait(cnd_t* condition, mtx_t* mutex, const timespec* until) {
  static const auto wait = next<decltype(&cnd_timedwait)>("cnd_timedwait");
  return while_given_away(mutex, [&] { return wait(condition, mutex, until); });
}

}  // extern "C"
