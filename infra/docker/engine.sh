#!/bin/bash
# A real Docker engine on this machine with all of its state in one folder, on a socket in it and without a bridge: nothing
# listens on the network. Needs root and, on Debian, `apt-get install --no-install-recommends docker.io`.
#   engine.sh up STATE     start; prints the line that makes Docker's clients find it
#   engine.sh down STATE   remove the containers and end the engine
set -euo pipefail
command=${1:?up or down} state=$(realpath -m "${2:?folder for the state}")
export DOCKER_HOST=unix://$state/docker.sock

answers() { curl -sf --unix-socket "$state/docker.sock" http://localhost/_ping >/dev/null 2>&1; }

case $command in
  up)
    mkdir -p "$state"
    setsid nohup dockerd --storage-driver=overlay2 --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false \
      --bridge=none --data-root="$state/data" --exec-root="$state/exec" --pidfile="$state/docker.pid" --host="$DOCKER_HOST" \
      >"$state/dockerd.log" 2>&1 </dev/null &
    for _ in $(seq 300); do answers && break; sleep 0.1; done
    answers || { echo "the Docker engine did not start:" >&2; tail -n 20 "$state/dockerd.log" >&2; exit 1; }
    echo "export DOCKER_HOST=$DOCKER_HOST"
    ;;
  down)
    [ -f "$state/docker.pid" ] || exit 0
    pid=$(cat "$state/docker.pid")
    if answers; then
      for id in $(curl -sf --unix-socket "$state/docker.sock" 'http://localhost/containers/json?all=1' |
        python3 -c 'import json, sys; print(*(c["Id"] for c in json.load(sys.stdin)))'); do
        curl -sf -X DELETE --unix-socket "$state/docker.sock" "http://localhost/containers/$id?force=1" || true
      done
    fi
    kill "$pid" 2>/dev/null || exit 0
    for _ in $(seq 200); do kill -0 "$pid" 2>/dev/null || exit 0; sleep 0.1; done
    kill -KILL "$pid"
    ;;
  *) echo "engine.sh: there is no command '$command'" >&2; exit 2 ;;
esac
