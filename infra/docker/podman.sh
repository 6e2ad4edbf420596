#!/bin/bash
# A real Podman service on this machine with its state in one folder, on a socket in it. Needs root and, on Debian,
# `apt-get install --no-install-recommends podman`. What runs is kept track of in a short folder of its own under /tmp, which `down`
# removes: Podman refuses one whose path has more than 50 characters.
#   podman.sh up STATE     start; prints the line that makes the sandbox find it
#   podman.sh down STATE   remove the containers and end the service
set -euo pipefail
command=${1:?up or down} state=$(realpath -m "${2:?folder for the state}")
socket=$state/podman.sock
unset CONTAINER_HOST # with it podman is a client
case $command in
  up) [ -f "$state/runroot" ] || { mkdir -p "$state" && mktemp -d /tmp/podman.XXXXXX >"$state/runroot"; } ;;
  down) [ -f "$state/runroot" ] || exit 0 ;;
  *) echo "podman.sh: there is no command '$command'" >&2; exit 2 ;;
esac
runroot=$(cat "$state/runroot")
options=(--root "$state/data" --runroot "$runroot" --tmpdir "$state/tmp" --cgroup-manager cgroupfs --events-backend file)
# crun, the usual one, does not start containers where control groups of both versions are in use, as on some virtual machines.
if [ ! -f /sys/fs/cgroup/cgroup.controllers ] && command -v runc >/dev/null; then options+=(--runtime runc); fi

answers() { curl -sf --unix-socket "$socket" http://localhost/_ping >/dev/null 2>&1; }

case $command in
  up)
    setsid nohup podman "${options[@]}" system service --time 0 "unix://$socket" >"$state/podman.log" 2>&1 </dev/null &
    echo $! >"$state/podman.pid"
    for _ in $(seq 300); do answers && break; sleep 0.1; done
    answers || { echo "the Podman service did not start:" >&2; tail -n 20 "$state/podman.log" >&2; exit 1; }
    echo "export CONTAINER_HOST=unix://$socket"
    ;;
  down)
    podman "${options[@]}" rm --all --force --time 0 >/dev/null 2>&1 || true
    pid=$(cat "$state/podman.pid")
    kill "$pid" 2>/dev/null || true
    for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    umount "$state/data/overlay" 2>/dev/null || true
    rm -rf "$runroot" "$state/runroot"
    ;;
esac
