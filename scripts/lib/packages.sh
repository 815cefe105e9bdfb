# install_packages SET...: installs the packages of scripts/lib/packages that are missing, and only those. Source it
# after common.sh. Needs apt and root or sudo only when something is missing.
# shellcheck shell=bash
: "${naru_top:?source common.sh first}"

is_installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    run env DEBIAN_FRONTEND=noninteractive "$@"
  elif command -v sudo >/dev/null; then
    run sudo env DEBIAN_FRONTEND=noninteractive "$@"
  else
    fail "needs root or sudo for: $*"
  fi
}

apt_updated=no
apt_update_once() {
  if [ $apt_updated = yes ]; then return 0; fi
  say "fetching the package lists"
  as_root apt-get update -qq
  apt_updated=yes
}

# Boost must be 1.81 or newer: with 1.74 (Debian 12's default) there are no coroutines under clang.
boost_is_new_enough() {
  local header
  for header in "$naru_top/build/boost/usr/include/boost/version.hpp" /usr/include/boost/version.hpp \
    /usr/local/include/boost/version.hpp; do
    if [ -f "$header" ] && [ "$(awk '/^#define BOOST_VERSION / {print $3}' "$header")" -ge 108100 ]; then return 0; fi
  done
  return 1
}

install_boost() {
  if boost_is_new_enough; then return 0; fi
  apt_update_once
  local candidate
  candidate=$(apt-cache policy libboost-dev | awk '/Candidate:/ {print $2}')
  if dpkg --compare-versions "${candidate:-0}" ge 1.81; then
    as_root apt-get install -y -qq --no-install-recommends libboost-dev
  elif is_installed libboost1.74-dev; then
    # The two conflict: installing one would remove the other and what depends on it. Keep a private copy of headers.
    say "libboost1.74-dev is installed here and conflicts with 1.81: unpacking Boost 1.81's headers into build/boost instead"
    mkdir -p "$naru_top/build/boost"
    (cd "$naru_top/build/boost" && run apt-get download libboost1.81-dev && run dpkg-deb -x libboost1.81-dev_*.deb .)
  else
    as_root apt-get install -y -qq --no-install-recommends libboost1.81-dev
  fi
  boost_is_new_enough || fail "Boost 1.81 or newer is needed and was not found after installing it"
}

install_packages() {
  local set=$* name wanted=() missing=()
  while read -r kind name _; do
    case "$kind" in '' | '#'*) continue ;; esac
    case " $set " in *" $kind "*) wanted+=("$name") ;; esac
  done <"$naru_top/scripts/lib/packages"
  command -v dpkg-query >/dev/null || fail "no dpkg here; install by your own means: ${wanted[*]} and Boost 1.81 or newer"
  for name in "${wanted[@]}"; do
    if ! is_installed "$name"; then missing+=("$name"); fi
  done
  if [ ${#missing[@]} -gt 0 ]; then
    apt_update_once
    say "installing ${#missing[@]} packages: ${missing[*]}"
    as_root apt-get install -y -qq --no-install-recommends "${missing[@]}"
  fi
  install_boost
}
