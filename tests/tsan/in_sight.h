// What the stand-ins of library functions here share (grpc_in_sight.cc says what they are for).
#pragma once
#include <cstdio>
#include <cstdlib>
#include <string>

#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>

namespace in_sight {

// The library's function, as it would be called if the stand-in were not there.
template <class Function>
Function next(const std::string& symbol) {
  void* const found = dlsym(RTLD_NEXT, symbol.c_str());
  if (found == nullptr) {
    std::fprintf(stderr, "tests/tsan: no library has %s; was one exchanged?\n", symbol.c_str());
    std::abort();
  }
  return reinterpret_cast<Function>(found);
}

// Waits on a condition give the lock away, and have it again when they return.
template <class Mutex, class Wait>
auto while_given_away(Mutex* mutex, Wait wait) {
  struct Taken {
    Mutex* mutex;
    ~Taken() { __tsan_acquire(mutex); }
  };
  __tsan_release(mutex);
  const Taken taken{mutex};
  return wait();
}

}  // namespace in_sight
