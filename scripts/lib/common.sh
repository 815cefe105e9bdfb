# Shared by the scripts: steps with the real command, help from the head comment, the place of things. Source it.
# shellcheck shell=bash
set -euo pipefail

naru_top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# help_from FILE: the comment at the head of a script is its help.
help_from() {
  awk 'NR > 1 && (!/^#/ || /^# shellcheck/) { exit } NR > 1 { sub(/^# ?/, ""); print }' "$1"
}

# say TEXT: one progress line on standard error.
say() {
  printf '[%s] %s\n' "$(date +%H:%M:%S)" "$*" >&2
}

# run COMMAND...: prints the real command, then runs it.
run() {
  printf '+ %s\n' "$*" >&2
  "$@"
}

fail() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# How many compilers fit: one for each CPU, and one for each 1.5 GB of memory.
build_jobs() {
  local cpus memory
  cpus=$(nproc)
  memory=$(awk '/MemAvailable/ {print int($2 / 1500000)}' /proc/meminfo)
  if [ "$memory" -lt 1 ]; then memory=1; fi
  echo $((cpus < memory ? cpus : memory))
}

# quietly NAME COMMAND...: output goes to build/logs/NAME.log; a line every 10 s says that it still runs; on failure the
# end of the log is shown.
quietly() {
  local name=$1 log began status=0 line
  shift
  mkdir -p "$naru_top/build/logs"
  log=$naru_top/build/logs/$name.log
  began=$SECONDS
  printf '+ %s   (output: %s)\n' "$*" "${log#"$naru_top"/}" >&2
  "$@" >"$log" 2>&1 &
  local pid=$!
  trap 'kill "$pid" 2>/dev/null; exit 130' INT TERM
  while ! timeout 10 tail -s 0.1 --pid="$pid" -f /dev/null; do
    line=$(tail -c 500 "$log" | tr '\r' '\n' | awk 'NF { last = $0 } END { print substr(last, 1, 100) }')
    say "$name: $((SECONDS - began)) s, ${line:-working}"
  done
  wait "$pid" || status=$?
  trap - INT TERM
  if [ $status -ne 0 ]; then
    say "$name failed (exit code $status) after $((SECONDS - began)) s; the end of $log:"
    tail -n 60 "$log" >&2
  else
    say "$name done in $((SECONDS - began)) s"
  fi
  return $status
}

# configure PRESET: once. Who lets the scripts build wants everything soon: several files at a time (cmake/unity.cmake).
configure() {
  local preset=$1 extra=(-DNARU_UNITY=ON)
  if [ -f "$naru_top/build/$preset/build.ninja" ]; then return 0; fi
  if [ -d "$naru_top/build/boost/usr/include/boost" ]; then extra+=("-DBOOST_ROOT=$naru_top/build/boost/usr"); fi
  (cd "$naru_top" && quietly "configure-$preset" cmake --preset "$preset" "${extra[@]}")
}

# build PRESET TARGET...
build() {
  local preset=$1
  shift
  configure "$preset" || return
  (cd "$naru_top" && quietly "build-$preset" cmake --build "build/$preset" -j "$(build_jobs)" --target "$@")
}

# What of the sanitizer builds has tests that scripts/test runs; they build nothing else.
# shellcheck disable=SC2034
asan_targets=(unit_tests fuzz_smoke) tsan_targets=(stress_tests naru)
