#!/bin/bash
# A real Slurm with two nodes, n1 and n2, on this machine: loopback only, all of its state in one folder. Needs root and, on
# Debian, `apt-get install --no-install-recommends slurm-wlm munge`.
#   cluster.sh up STATE            start; prints the line that makes sbatch find it
#   cluster.sh kill STATE n2       end a node at once, with everything that runs on it
#   cluster.sh start STATE n2      start a node that was killed
#   cluster.sh down STATE          end all jobs and daemons
# With slurmdbd and mariadb-server installed, `up` also starts the accounting that sacct reads.
set -euo pipefail
command=${1:?up, kill, start or down} state=$(realpath -m "${2:?folder for the state}")
export SLURM_CONF=$state/slurm.conf
here=$(cd "$(dirname "$0")" && pwd)

free_ports() { # COUNT: so many ports in a row that nobody listens on
  python3 - "$1" <<'PY'
import random, socket, sys
count = int(sys.argv[1])
while True:
    first = random.randrange(20_000, 30_000)  # below the ports that the kernel gives away by itself
    try:
        for port in range(first, first + count):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
    except OSError:
        continue
    print(first)
    break
PY
}

wait_for() { # SECONDS COMMAND...: until it succeeds
  local end=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || { echo "slurm: '$*' did not succeed in time; see $state/log" >&2; return 1; }
    sleep 0.1
  done
}

start_munge() {
  install -d -o munge -g munge -m 0755 "$state/run/munge" "$state/log/munge"
  if [ ! -f "$state/munge.key" ]; then
    (umask 077; dd if=/dev/urandom of="$state/munge.key" bs=1024 count=1 status=none)
    chown munge:munge "$state/munge.key"
  fi
  runuser -u munge -- munged --force --key-file="$state/munge.key" --socket="$state/run/munge/munge.socket" \
    --pid-file="$state/run/munge/munged.pid" --log-file="$state/log/munge/munged.log" --seed-file="$state/run/munge/munged.seed"
}

start_accounting() { # PORT
  install -d -o mysql -g mysql "$state/mysql"
  mariadb-install-db --no-defaults --user=mysql --datadir="$state/mysql" --auth-root-authentication-method=socket --skip-test-db >"$state/log/mysql-install.log" 2>&1
  mariadbd --no-defaults --user=mysql --datadir="$state/mysql" --socket="$state/mysql/socket" --skip-networking \
    --pid-file="$state/mysql/pid" --innodb-buffer-pool-size=32M >"$state/log/mysql.log" 2>&1 </dev/null &
  echo $! >"$state/run/mysql.pid"
  wait_for 60 mariadb --no-defaults -S "$state/mysql/socket" -u root -e 'create database if not exists slurm'
  mariadb --no-defaults -S "$state/mysql/socket" -u root -e \
    "create user if not exists slurm@localhost identified by 'local'; grant all on slurm.* to slurm@localhost"
  (umask 077; cat >"$state/slurmdbd.conf" <<EOF
AuthType=auth/munge
AuthInfo=socket=$state/run/munge/munge.socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=$1
CommunicationParameters=NoInAddrAny
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=slurm
StoragePass=local
StorageLoc=slurm
PidFile=$state/run/slurmdbd.pid
LogFile=$state/log/slurmdbd.log
EOF
  )
  MYSQL_UNIX_PORT=$state/mysql/socket SLURM_CONF=$state/slurmdbd.conf slurmdbd
  wait_for 30 sacctmgr -n list cluster
  sacctmgr -i -Q add cluster tokka >/dev/null || true
}

up() {
  if [ -f "$state/run/munge/munged.pid" ] && runs "$(cat "$state/run/munge/munged.pid")"; then
    echo "slurm: $state is up already" >&2; exit 1
  fi
  mkdir -p "$state"/{state,log,run} "$state"/spool/{n1,n2}
  local port accounting=none
  port=$(free_ports 4)
  command -v slurmdbd >/dev/null && command -v mariadbd >/dev/null && accounting=slurmdbd
  sed -e "s|HOST|$(hostname -s)|; s|STATE|$state|g; s|CTLD_PORT|$port|; s|DBD_PORT|$((port + 1))|; s|NODE_PORTS|$((port + 2))-$((port + 3))|" \
    -e "s|ACCOUNTING|$accounting|; s|CORES|$(nproc)|g; s|MEMORY|$(awk '/MemTotal/ {print int($2 / 2048)}' /proc/meminfo)|" \
    "$here/slurm.conf" >"$SLURM_CONF"
  start_munge
  [ $accounting = none ] || start_accounting $((port + 1))
  slurmctld
  slurmd -N n1
  slurmd -N n2
  wait_for 30 sh -c 'test "$(sinfo -h -N -t idle -o %N | wc -l)" = 2'
  echo "export SLURM_CONF=$SLURM_CONF"
}

kill_node() { # NODE: the daemon, and the steps with all their processes, as when the power goes
  kill -KILL "$(cat "$state/run/slurmd-$1.pid")"
  local step child
  for step in $(pgrep -f "^slurmstepd: \[" || true); do
    # A step keeps its node's log open: the one thing that tells whose it is.
    [ -n "$(find "/proc/$step/fd" -lname "$state/log/slurmd-$1.log" 2>/dev/null)" ] || continue
    kill -STOP "$step" # so that it neither reports nor reaps while its processes go
    for child in $(pgrep -P "$step" || true); do kill -KILL -- "-$child" 2>/dev/null || kill -KILL "$child" 2>/dev/null || true; done
    kill -KILL "$step"
  done
}

runs() { # PID: a process that has ended and waits for its parent does not count
  [ -r "/proc/$1/stat" ] && ! grep -q ') Z ' "/proc/$1/stat"
}

down() {
  local name pid pids=()
  if wait_for 2 squeue -h; then
    scancel --full -u root 2>/dev/null || true
    wait_for 15 sh -c 'test -z "$(squeue -h)"' || true
  fi
  for name in slurmd-n1 slurmd-n2 slurmctld slurmdbd munge/munged; do
    [ -f "$state/run/$name.pid" ] || continue
    pid=$(cat "$state/run/$name.pid")
    kill "$pid" 2>/dev/null && pids+=("$pid")
  done
  [ ! -f "$state/run/mysql.pid" ] || kill -KILL "$(cat "$state/run/mysql.pid")" || true # nothing in it is kept
  for pid in "${pids[@]}"; do
    for _ in $(seq 200); do runs "$pid" || continue 2; sleep 0.05; done
    kill -KILL "$pid" || true
  done
}

case $command in
  up) up ;;
  kill) kill_node "${3:?node}" ;;
  start) slurmd -N "${3:?node}" ;;
  down) down ;;
  *) echo "cluster.sh: there is no command '$command'" >&2; exit 2 ;;
esac
