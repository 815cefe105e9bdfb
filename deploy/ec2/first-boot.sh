# shellcheck shell=bash disable=SC2154
# Below: the same for every broker and every cluster. Safe to run again by hand:
#   sudo cloud-init single --name scripts-user --frequency always
set -euo pipefail
say() { echo "naru first boot: $*"; }
trap 'say "failed at line $LINENO: $BASH_COMMAND"' ERR
data=/data

# wait_for WHAT COMMAND... - for as long as it takes: cloud-init runs this once for a host, and what it waits for may come
# with the next `up`.
wait_for() {
  local what=$1 began=$SECONDS said=$((SECONDS - 50)) why=/run/naru-first-boot.why
  shift
  until "$@" 2>"$why"; do
    if [ $((SECONDS - said)) -ge 60 ]; then
      said=$SECONDS
      say "for $((SECONDS - began)) s waiting for $what $(tail -n 1 "$why")"
    fi
    sleep 1
  done
}

# 1. The host's name, kept over restarts.
echo "preserve_hostname: true" >/etc/cloud/cloud.cfg.d/99_naru.cfg
hostnamectl set-hostname "$host" || hostname "$host"

# 2. The data volume: by its id where the machine shows one (NVMe), else as /dev/xvdf, else the one NVMe disk without a
# partition or a mount. It is attached while the machine boots, so it may come late. Only an empty disk is formatted.
sys=/sys dev=/dev
is_disk() { [ -b "$1" ]; }
find_disk() {
  local path idle=()
  disk=
  for path in "$sys"/block/nvme*; do
    if [ -n "$volume" ] && [ -r "$path/device/serial" ] && [ "$(tr -d ' ' <"$path/device/serial")" = "${volume//-/}" ]; then
      disk=$dev/${path##*/}
      return
    fi
  done
  for path in "$dev/xvdf" "$dev/sdf"; do
    if is_disk "$path"; then disk=$(readlink -f "$path"); return; fi
  done
  if [ -n "$volume" ]; then return 1; fi
  for path in "$dev"/nvme*n1; do
    if is_disk "$path" && [ "$(lsblk -nro NAME "$path" | wc -l)" = 1 ] && [ -z "$(lsblk -nro MOUNTPOINT "$path")" ]; then
      idle+=("$path")
    fi
  done
  [ ${#idle[@]} -eq 1 ] && disk=${idle[0]}
}
# blkid says 2 of a disk with nothing on it. Any other answer, such as 8 for signatures of two kinds, is no empty disk.
make_file_system() {
  local answer=0
  blkid -p "$disk" >/dev/null || answer=$?
  case $answer in
    0) say "$disk has a file system: its data is kept" ;;
    2)
      # And the same of one that it cannot read.
      if ! dd if="$disk" of=/dev/null bs=1M count=1 status=none; then
        say "$disk cannot be read: it is not formatted"
        return 1
      fi
      mkfs.ext4 -q -m 1 -L naru-data "$disk"
      ;;
    *) say "blkid says $answer of $disk, which may hold data: it is not formatted" && return 1 ;;
  esac
}
mkdir -p "$data"
if ! mountpoint -q "$data"; then
  wait_for "the data volume $volume" find_disk
  say "data volume: $disk"
  make_file_system
  # By its own id, because a disk's name may change from boot to boot.
  uuid=$(blkid -p -o value -s UUID "$disk")
  what=$disk
  if [ -e "/dev/disk/by-uuid/$uuid" ] || { command -v udevadm >/dev/null && udevadm settle --exit-if-exists="/dev/disk/by-uuid/$uuid"; }; then
    if [ -e "/dev/disk/by-uuid/$uuid" ]; then what=UUID=$uuid; fi
  fi
  sed -i "\\# $data ext4 #d" /etc/fstab
  echo "$what $data ext4 defaults,noatime,nofail,x-systemd.device-timeout=60s 0 2" >>/etc/fstab
  systemctl daemon-reload
  mount "$data"
fi

# 3. The package, checked before it is believed.
package=/var/cache/naru/${package_sha256}.deb
fetch() {
  python3 - "$package_url" "$package.part" <<'PYTHON'
import shutil, sys, urllib.request
with urllib.request.urlopen(sys.argv[1], timeout=60) as source, open(sys.argv[2], "wb") as target:
    shutil.copyfileobj(source, target)
PYTHON
}
install -d -m 0755 /var/cache/naru
if [ ! -f "$package" ] || ! echo "$package_sha256  $package" | sha256sum --check --status; then
  wait_for "the package" fetch
  echo "$package_sha256  $package.part" | sha256sum --check --status || { say "the package is not the one that was announced (SHA-256)"; exit 1; }
  mv "$package.part" "$package"
fi
export DEBIAN_FRONTEND=noninteractive
# Without a look at the network first: a statically linked package needs no other one.
apt_install() {
  apt-get -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold install -y --no-install-recommends "$package"
}
apt_install || { apt-get update; apt_install; }

# 4. The broker: its number, its rack, its peers.
cat >/etc/naru/server.properties <<PROPERTIES
# Written at the first boot of this host (/var/lib/cloud/instance/user-data.txt).
node.id=$node_id
broker.rack=$rack
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
advertised.listeners=PLAINTEXT://$host:9092
controller.listener.names=CONTROLLER
controller.quorum.voters=$voters
log.dirs=$data/kafka-logs
$settings
PROPERTIES
naru config check /etc/naru/server.properties

# 5. The unit: it may write there, and never starts on the root disk because the data volume is not mounted.
mkdir -p /etc/systemd/system/naru.service.d
cat >/etc/systemd/system/naru.service.d/data.conf <<UNIT
[Unit]
RequiresMountsFor=$data
AssertPathIsMountPoint=$data

[Service]
ReadWritePaths=$data/kafka-logs
UNIT
install -d -o naru -g naru -m 0750 "$data/kafka-logs"
# A volume from an older host, on which the user may have had another number.
find "$data/kafka-logs" \( ! -user naru -o ! -group naru \) -exec chown -h naru:naru {} +
systemctl daemon-reload
systemctl enable naru.service
systemctl start --no-block naru.service
# It is active once it serves clients, which takes a majority of the brokers.
settled() { systemctl is-active --quiet naru.service || systemctl is-failed --quiet naru.service; }
wait_for "the cluster" settled
systemctl is-active --quiet naru.service
say "broker $node_id of cluster $cluster serves clients at $host:9092"
