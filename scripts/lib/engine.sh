# A container engine for the tests of deployments, where a program is named that brings one: `PROGRAM up` prints the environment
# that names it, `PROGRAM down` ends it. Only while they run: an engine has rules for packets and addresses of its own, which
# other tests' networks need not meet. Source it after common.sh.
# shellcheck shell=bash
: "${naru_top:?source common.sh first}"

engine_log=$naru_top/build/logs/engine.log
engine_program=

# start_engine PROGRAM REPORT: does nothing where `docker` reaches an engine, or no PROGRAM is named. One that brings none is
# said, and is a line of REPORT: its tests are skipped, not passed.
start_engine() {
  local program=$1 report=$2 environment ended=0
  mkdir -p "$(dirname "$engine_log")"
  : >"$engine_log"
  if [ -z "$program" ] || docker version >>"$engine_log" 2>&1; then return; fi
  say "starting a container engine: $program up (its words: build/logs/engine.log)"
  engine_program=$program  # half of one is to be ended, too
  environment=$(timeout --kill-after=10 600 "$program" up 2>>"$engine_log") || ended=$?
  if [ $ended -eq 0 ]; then
    eval "$environment"
    return
  fi
  tail -n 5 "$engine_log" >&2
  say "no container engine: $program up ended with $ended"
  echo "skip deploy tests in containers: $program up ended with $ended, see build/logs/engine.log" >"$report"
}

# stop_engine: ends the one that start_engine began to start, and no other.
stop_engine() {
  local program=$engine_program
  engine_program=
  if [ -z "$program" ]; then return; fi
  timeout --kill-after=10 120 "$program" down >>"$engine_log" 2>&1 || say "$program down failed; see build/logs/engine.log"
}
