// Shows the thread sanitizer how gRPC orders what it hands from one thread to another. The distribution's gRPC and
// Abseil are not compiled with it, so their locks and queues are invisible to it: whatever a shard gives to a stream,
// and gets back on one of gRPC's threads, would look like a race.
//
// Linked into programs of the sanitizer's preset alone. What the libraries export is defined here once more, and the
// dynamic linker finds ours first: it says what the library guarantees, and calls the library. Nothing is said that is
// not so, and nothing is hidden: two threads that share something without gRPC's or our own locks are still reported,
// also inside reactions. Only calls of the callback API are understood; Naru makes no others.
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

#include <absl/base/config.h>
#include <absl/synchronization/mutex.h>
#include <grpc/grpc.h>
#include <grpc/slice.h>
#include <grpcpp/support/server_callback.h>

#include "in_sight.h"

using in_sight::next;
using in_sight::while_given_away;

// --- Abseil's locks, which gRPC uses throughout ---

namespace {

template <class Function>
Function next_in_absl(std::string_view rest) {
  constexpr std::string_view version = ABSL_INTERNAL_INLINE_NAMESPACE_STR;
  return next<Function>("_ZN4absl" + std::to_string(version.size()) + std::string(version) + std::string(rest));
}

}  // namespace

namespace absl {
ABSL_NAMESPACE_BEGIN

void Mutex::Lock() {
  static const auto lock = next_in_absl<void (*)(Mutex*)>("5Mutex4LockEv");
  lock(this);
  __tsan_acquire(this);
}

bool Mutex::TryLock() {
  static const auto try_lock = next_in_absl<bool (*)(Mutex*)>("5Mutex7TryLockEv");
  const bool is_locked = try_lock(this);
  if (is_locked) __tsan_acquire(this);
  return is_locked;
}

void Mutex::Unlock() {
  static const auto unlock = next_in_absl<void (*)(Mutex*)>("5Mutex6UnlockEv");
  __tsan_release(this);
  unlock(this);
}

void CondVar::Wait(Mutex* mutex) {
  static const auto wait = next_in_absl<void (*)(CondVar*, Mutex*)>("7CondVar4WaitEPNS0_5MutexE");
  while_given_away(mutex, [&] { wait(this, mutex); });
}

bool CondVar::WaitWithTimeout(Mutex* mutex, Duration timeout) {
  static const auto wait =
      next_in_absl<bool (*)(CondVar*, Mutex*, Duration)>("7CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE");
  return while_given_away(mutex, [&] { return wait(this, mutex, timeout); });
}

bool CondVar::WaitWithDeadline(Mutex* mutex, Time deadline) {
  static const auto wait =
      next_in_absl<bool (*)(CondVar*, Mutex*, Time)>("7CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE");
  return while_given_away(mutex, [&] { return wait(this, mutex, deadline); });
}

ABSL_NAMESPACE_END
}  // namespace absl

// --- operations: what was done before one is started is seen by the reaction to it ---

namespace {

using Operation = grpc_completion_queue_functor;
using Reaction = void (*)(Operation*, int);

// gRPC's C++ layer has a handful of functions that run at an operation's end; every operation names one of them. It is
// made to name the stand-in of that one.
constexpr size_t reactions_max = 16;
std::array<std::atomic<Reaction>, reactions_max> reactions;

template <size_t which>
void react(Operation* operation, int ok) {
  __tsan_acquire(operation);
  reactions[which].load(std::memory_order_relaxed)(operation, ok);  // may be its end
}

template <size_t... which>
constexpr std::array<Reaction, reactions_max> stand_ins_of(std::index_sequence<which...> /*all*/) {
  return {react<which>...};
}
constexpr std::array<Reaction, reactions_max> stand_ins = stand_ins_of(std::make_index_sequence<reactions_max>());

Reaction stand_in_of(Reaction reaction) {
  for (size_t i = 0; i < reactions_max; ++i) {
    if (reaction == stand_ins[i]) return reaction;  // an operation that is started again
    Reaction known = nullptr;
    if (reactions[i].compare_exchange_strong(known, reaction, std::memory_order_relaxed) || known == reaction) {
      return stand_ins[i];
    }
  }
  std::fprintf(stderr, "tests/tsan: gRPC has more than %zu reactions\n", reactions_max);
  std::abort();
}

void begin(void* tag) {
  auto* const operation = static_cast<Operation*>(tag);
  operation->functor_run = stand_in_of(operation->functor_run);
  __tsan_release(operation);
}

// A call's memory goes back to gRPC; a server is destroyed when all calls have done so.
char all_calls;

}  // namespace

extern "C" {

grpc_call_error grpc_call_start_batch(grpc_call* call, const grpc_op* operations, size_t count, void* tag,
                                      void* reserved) {
  static const auto start = next<decltype(&grpc_call_start_batch)>("grpc_call_start_batch");
  begin(tag);
  return start(call, operations, count, tag, reserved);
}

grpc_call_error grpc_server_request_registered_call(grpc_server* server, void* method, grpc_call** call,
                                                    gpr_timespec* deadline, grpc_metadata_array* metadata,
                                                    grpc_byte_buffer** payload, grpc_completion_queue* bound,
                                                    grpc_completion_queue* notified, void* tag) {
  static const auto request =
      next<decltype(&grpc_server_request_registered_call)>("grpc_server_request_registered_call");
  begin(tag);
  return request(server, method, call, deadline, metadata, payload, bound, notified, tag);
}

void grpc_call_unref(grpc_call* call) {
  static const auto unref = next<decltype(&grpc_call_unref)>("grpc_call_unref");
  __tsan_release(&all_calls);
  unref(call);
}

void grpc_server_destroy(grpc_server* server) {
  static const auto destroy = next<decltype(&grpc_server_destroy)>("grpc_server_destroy");
  __tsan_acquire(&all_calls);
  destroy(server);
}

}  // extern "C"

// --- the end of a call on the server: after all reactions to its operations ---

namespace grpc::internal {

// Each reaction gives up a reference when it has ended, and whoever gives up the last one calls this. Some of that
// counting is compiled into the library.
void ServerCallbackCall::ScheduleOnDone(bool is_inline) {
  static const auto schedule =
      next<void (*)(ServerCallbackCall*, bool)>("_ZN4grpc8internal18ServerCallbackCall14ScheduleOnDoneEb");
  __tsan_acquire(&callbacks_outstanding_);
  schedule(this, is_inline);
}

// OnCancel is the one reaction that the library calls and counts all by itself. It gets a reactor that passes it on.
void ServerCallbackCall::CallOnCancel(ServerReactor* reactor) {
  struct Passing final : ServerReactor {
    Passing(ServerCallbackCall* of, ServerReactor* to) : call(of), real(to) {}
    void OnCancel() override {
      real->OnCancel();
      __tsan_release(&call->callbacks_outstanding_);
      delete this;
    }
    void OnDone() override { std::abort(); }  // of the real one only
    bool InternalInlineable() override { return real->InternalInlineable(); }
    ServerCallbackCall* const call;
    ServerReactor* const real;
  };
  static const auto call_on_cancel = next<void (*)(ServerCallbackCall*, ServerReactor*)>(
      "_ZN4grpc8internal18ServerCallbackCall12CallOnCancelEPNS0_13ServerReactorE");
  call_on_cancel(this, new Passing(this, reactor));
}

}  // namespace grpc::internal

// --- memory of ours that gRPC holds, and gives back on whatever thread needs it last ---

namespace {

struct Lent {
  void (*give_back)(void*);
  void* what;
};

void give_back(void* lent) {
  __tsan_acquire(lent);
  const auto [give_back, what] = *static_cast<Lent*>(lent);
  delete static_cast<Lent*>(lent);
  give_back(what);
}

}  // namespace

extern "C" grpc_slice grpc_slice_new_with_user_data(void* bytes, size_t length, void (*destroy)(void*),
                                                    void* user_data) {
  static const auto lend = next<decltype(&grpc_slice_new_with_user_data)>("grpc_slice_new_with_user_data");
  auto* const lent = new Lent{destroy, user_data};
  __tsan_release(lent);
  return lend(bytes, length, give_back, lent);
}
