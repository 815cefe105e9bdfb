// Preloaded into a broker by the chaos scenarios: makes system calls on chosen files fail, wait or tear, and bends the
// wall clock. Why it exists: kernels do not give EIO, slow syncs or another time of day to one process on request.
//
// Controlled through a file that the harness maps too (NARU_SHIM): `struct control` below, little-endian, written by
// shim.py. Paths are looked up through /proc/self/fd at the call, and only while a rule is armed.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { RULES = 8, PATTERN = 128, KILLED = -1 };
enum { OP_READ = 1, OP_WRITE = 2, OP_SYNC = 4, OP_RENAME = 8, OP_ALLOCATE = 16, OP_OPEN = 32 };

struct rule {
  _Atomic uint32_t operations;  // 0: not armed; written last
  int32_t error;                // errno; 0: only wait; -1: the process is killed there
  uint32_t wait_ms;             // before the call
  uint32_t permille;            // how often it fires
  int32_t torn_bytes;           // of a write that fails, so many bytes are written first; -1: none
  _Atomic uint32_t skip;      // so many calls go by before it strikes
  _Atomic int64_t remaining;  // how often still; negative: without end
  _Atomic uint64_t hits;
  char pattern[PATTERN];  // fnmatch on the whole path
};

struct control {
  _Atomic int64_t clock_offset_ns;  // added to CLOCK_REALTIME
  _Atomic int64_t clock_drift_ppm;  // and so many millionths of the monotonic time since clock_base_ns
  _Atomic int64_t clock_base_ns;
  _Atomic uint64_t clock_reads;
  struct rule rules[RULES];
};

static struct control* control;

static void* real(const char* name) {
  return dlsym(RTLD_NEXT, name);
}

__attribute__((constructor)) static void begin(void) {
  const char* path = getenv("NARU_SHIM");
  if (!path) return;
  int (*real_open)(const char*, int, ...) = (int (*)(const char*, int, ...))real("open");
  const int fd = real_open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) {
    fprintf(stderr, "shim: cannot open %s\n", path);
    _exit(97);  // a run without its faults would be taken for a good one
  }
  void* mapped = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (mapped == MAP_FAILED) _exit(97);
  control = mapped;
}

static uint32_t dice(void) {
  static _Thread_local uint64_t state;
  if (state == 0) state = ((uint64_t)(uintptr_t)&state ^ ((uint64_t)getpid() << 32)) | 1;
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (uint32_t)(state >> 33) % 1000;
}

static int goes_by(struct rule* rule) {
  uint32_t left = atomic_load(&rule->skip);
  while (left > 0) {
    if (atomic_compare_exchange_weak(&rule->skip, &left, left - 1)) return 1;
  }
  return 0;
}

// As kill -9 at this very call.
static void die_if_so_ordered(const struct rule* rule) {
  if (rule->error != KILLED) return;
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

// The rule that fires for this operation on this path, having waited as it says; NULL: do the call.
static const struct rule* struck(uint32_t operation, const char* path) {
  for (int i = 0; i < RULES; ++i) {
    struct rule* rule = &control->rules[i];
    if (!(atomic_load(&rule->operations) & operation)) continue;
    if (fnmatch(rule->pattern, path, 0) != 0) continue;
    if (rule->permille < 1000 && dice() >= rule->permille) continue;
    if (goes_by(rule)) continue;
    if (atomic_load(&rule->remaining) >= 0 && atomic_fetch_sub(&rule->remaining, 1) <= 0) {
      atomic_store(&rule->remaining, 0);
      continue;
    }
    atomic_fetch_add(&rule->hits, 1);
    if (rule->wait_ms) {
      const struct timespec time = {rule->wait_ms / 1000, (long)(rule->wait_ms % 1000) * 1000000};
      nanosleep(&time, NULL);
    }
    if (rule->error) return rule;
  }
  return NULL;
}

static int armed(uint32_t operation) {
  if (!control) return 0;
  for (int i = 0; i < RULES; ++i) {
    if (atomic_load_explicit(&control->rules[i].operations, memory_order_relaxed) & operation) return 1;
  }
  return 0;
}

static const struct rule* struck_fd(uint32_t operation, int fd) {
  if (!armed(operation)) return NULL;
  const int before = errno;
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  errno = before;
  if (length <= 0) return NULL;
  path[length] = 0;
  return struck(operation, path);
}

#define WRAP(result, name, parameters, arguments, operation)                   \
  result name parameters {                                                     \
    static result(*next) parameters;                                           \
    if (!next) next = (result(*) parameters)real(#name);                       \
    const struct rule* rule = struck_fd(operation, fd);                        \
    if (rule) {                                                                \
      die_if_so_ordered(rule);                                                 \
      errno = rule->error;                                                     \
      return -1;                                                               \
    }                                                                          \
    return next arguments;                                                     \
  }

WRAP(ssize_t, pread, (int fd, void* to, size_t n, off_t at), (fd, to, n, at), OP_READ)
WRAP(ssize_t, pread64, (int fd, void* to, size_t n, off64_t at), (fd, to, n, at), OP_READ)
WRAP(ssize_t, preadv2, (int fd, const struct iovec* v, int n, off_t at, int flags), (fd, v, n, at, flags), OP_READ)
WRAP(ssize_t, preadv64v2, (int fd, const struct iovec* v, int n, off64_t at, int flags), (fd, v, n, at, flags), OP_READ)
WRAP(int, fsync, (int fd), (fd), OP_SYNC)
WRAP(int, fdatasync, (int fd), (fd), OP_SYNC)
WRAP(int, syncfs, (int fd), (fd), OP_SYNC)
WRAP(int, fallocate, (int fd, int mode, off_t at, off_t n), (fd, mode, at, n), OP_ALLOCATE)
WRAP(int, fallocate64, (int fd, int mode, off64_t at, off64_t n), (fd, mode, at, n), OP_ALLOCATE)

// A write that is struck may have put the first bytes into the file.
static ssize_t torn(const struct rule* rule, int fd, const struct iovec* parts, int count, off_t at) {
  static ssize_t (*next)(int, const void*, size_t, off_t);
  if (!next) next = (ssize_t(*)(int, const void*, size_t, off_t))real("pwrite");
  off_t left = rule->torn_bytes;
  for (int i = 0; i < count && left > 0; ++i) {
    const size_t n = parts[i].iov_len < (size_t)left ? parts[i].iov_len : (size_t)left;
    if (next(fd, parts[i].iov_base, n, at) < 0) break;
    at += (off_t)n;
    left -= (off_t)n;
  }
  die_if_so_ordered(rule);
  errno = rule->error;
  return -1;
}

ssize_t pwritev(int fd, const struct iovec* parts, int count, off_t at) {
  static ssize_t (*next)(int, const struct iovec*, int, off_t);
  if (!next) next = (ssize_t(*)(int, const struct iovec*, int, off_t))real("pwritev");
  const struct rule* rule = struck_fd(OP_WRITE, fd);
  return rule ? torn(rule, fd, parts, count, at) : next(fd, parts, count, at);
}
ssize_t pwritev64(int fd, const struct iovec* parts, int count, off64_t at) {
  return pwritev(fd, parts, count, at);
}
ssize_t pwrite(int fd, const void* from, size_t n, off_t at) {
  static ssize_t (*next)(int, const void*, size_t, off_t);
  if (!next) next = (ssize_t(*)(int, const void*, size_t, off_t))real("pwrite");
  const struct rule* rule = struck_fd(OP_WRITE, fd);
  const struct iovec part = {(void*)(uintptr_t)from, n};
  return rule ? torn(rule, fd, &part, 1, at) : next(fd, from, n, at);
}
ssize_t pwrite64(int fd, const void* from, size_t n, off64_t at) {
  return pwrite(fd, from, n, at);
}

int rename(const char* from, const char* to) {
  static int (*next)(const char*, const char*);
  if (!next) next = (int (*)(const char*, const char*))real("rename");
  const struct rule* rule = armed(OP_RENAME) ? struck(OP_RENAME, to) : NULL;
  if (!rule) return next(from, to);
  die_if_so_ordered(rule);
  errno = rule->error;
  return -1;
}

// The wall clock; the monotonic one is left alone, as machines leave it alone.
static int64_t bend(void) {
  static int (*next)(clockid_t, struct timespec*);
  if (!next) next = (int (*)(clockid_t, struct timespec*))real("clock_gettime");
  atomic_fetch_add_explicit(&control->clock_reads, 1, memory_order_relaxed);
  int64_t by = atomic_load(&control->clock_offset_ns);
  const int64_t drift = atomic_load(&control->clock_drift_ppm);
  if (drift) {
    struct timespec now;
    next(CLOCK_MONOTONIC, &now);
    by += (now.tv_sec * 1000000000LL + now.tv_nsec - atomic_load(&control->clock_base_ns)) / 1000000 * drift;
  }
  return by;
}

// Waits until a wall clock time are the kernel's, whose clock is not bent: without this they would last for an hour too
// long, or end at once, which no step of a real clock does. abseil makes the system call itself.
long syscall(long number, ...) {
  static long (*next)(long, ...);
  if (!next) next = (long (*)(long, ...))real("syscall");
  va_list list;
  va_start(list, number);
  long a[6];
  for (int i = 0; i < 6; ++i) a[i] = va_arg(list, long);
  va_end(list);
  struct timespec bent;
  if (number == SYS_futex && control && (a[1] & FUTEX_CLOCK_REALTIME) && a[3]) {
    const struct timespec* until = (const struct timespec*)a[3];
    const int64_t ns = until->tv_sec * 1000000000LL + until->tv_nsec - bend();
    bent.tv_sec = ns > 0 ? ns / 1000000000LL : 0;
    bent.tv_nsec = ns > 0 ? ns % 1000000000LL : 0;
    a[3] = (long)&bent;
  }
  return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int clock_gettime(clockid_t clock, struct timespec* out) {
  static int (*next)(clockid_t, struct timespec*);
  if (!next) next = (int (*)(clockid_t, struct timespec*))real("clock_gettime");
  const int done = next(clock, out);
  if (done != 0 || !control || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)) return done;
  const int64_t ns = out->tv_sec * 1000000000LL + out->tv_nsec + bend();
  out->tv_sec = ns / 1000000000LL;
  out->tv_nsec = ns % 1000000000LL;
  return 0;
}

int gettimeofday(struct timeval* restrict out, void* restrict zone) {
  (void)zone;
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  out->tv_sec = now.tv_sec;
  out->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t* out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out) *out = now.tv_sec;
  return now.tv_sec;
}
