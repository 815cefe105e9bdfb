# install_packages SET...: installs the packages of scripts/lib/packages that are missing, and only those. Source it
# after common.sh. Needs apt and root or sudo only when something is missing.
# shellcheck shell=bash
: "${naru_top:?source common.sh first}"

is_installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# as_root NAME COMMAND...: as root or through sudo; the output goes to build/logs/NAME.log.
as_root() {
  local name=$1 how=(env DEBIAN_FRONTEND=noninteractive)
  shift
  if [ "$(id -u)" -ne 0 ]; then how=(sudo "${how[@]}"); fi
  quietly "$name" "${how[@]}" "$@"
}

# install_as_root PACKAGE...: with fresh package lists.
apt_updated=no
install_as_root() {
  say "installing $# packages: $*"
  if [ "$(id -u)" -ne 0 ]; then
    # Here, where a password can be typed and one sees what it is for.
    { command -v sudo >/dev/null && { sudo -n true 2>/dev/null || sudo -v; }; } ||
      fail "needs root or sudo. Have this done as root, then try again: apt-get update && apt-get install --no-install-recommends $*"
  fi
  if [ $apt_updated = no ]; then as_root apt-update apt-get update; fi
  apt_updated=yes
  as_root apt-install apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@"
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
  local candidate
  candidate=$(apt-cache policy libboost-dev | awk '/Candidate:/ {print $2}')
  if dpkg --compare-versions "${candidate:-0}" ge 1.81; then
    install_as_root libboost-dev
  elif is_installed libboost1.74-dev; then
    # The two conflict: installing one would remove the other and what depends on it. Keep a private copy of headers.
    say "libboost1.74-dev is installed here and conflicts with 1.81: unpacking Boost 1.81's headers into build/boost instead"
    mkdir -p "$naru_top/build/boost"
    (cd "$naru_top/build/boost" && run apt-get download libboost1.81-dev && run dpkg-deb -x libboost1.81-dev_*.deb .)
  else
    install_as_root libboost1.81-dev
  fi
  boost_is_new_enough || fail "Boost 1.81 or newer is needed and was not found after installing it"
}

install_packages() {
  local set=$* kind name program wanted=() missing=()
  while read -r kind name program; do
    case "$kind" in '' | '#'*) continue ;; esac
    if [ -n "$program" ] && command -v "$program" >/dev/null; then continue; fi
    case " $set " in *" $kind "*) wanted+=("$name") ;; esac
  done <"$naru_top/scripts/lib/packages"
  command -v dpkg-query >/dev/null || fail "no dpkg here; install by your own means: ${wanted[*]} and Boost 1.81 or newer"
  for name in "${wanted[@]}"; do
    if ! is_installed "$name"; then missing+=("$name"); fi
  done
  if [ ${#missing[@]} -gt 0 ]; then
    install_as_root "${missing[@]}"
  fi
  install_boost
}
