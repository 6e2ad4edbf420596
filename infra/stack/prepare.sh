#!/bin/sh
# Prepares the folder of a stack: its data folders and its secrets. What is there stays. As root, everything goes to the user
# that the services run as (10001:10001, or USER); otherwise to whoever runs this.
#   prepare.sh FOLDER [LOGIN] [USER]      LOGIN is the name for the UI, by default admin; USER is uid:gid
# A certificate for the name under which people open the UI replaces the self-signed FOLDER/secrets/tls.crt and tls.key.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"
folder=${1:?"the folder for the stack's data and secrets, such as /srv/tokka"} login=${2:-admin}
command -v openssl >/dev/null || fail "openssl is not installed; it makes the passwords and the certificate."
case $login in *[!A-Za-z0-9._-]*) fail "the login $login has characters other than letters, digits, '.', '_' and '-'." ;; esac
if [ "$(id -u)" = 0 ]; then user=${3:-10001:10001}; else user=$(id -u):$(id -g); fi
case $user in 0:* | *[!0-9:]* | :* | *:) fail "the services do not run as root: USER is uid:gid, not $user." ;; esac

umask 077
mkdir -p "$folder/secrets" "$folder/postgres" "$folder/s3" "$folder/home"
secrets=$folder/secrets
for name in postgres_password s3_access_key s3_secret_key; do
  [ -s "$secrets/$name" ] || openssl rand -hex 24 | private "$secrets/$name"
done
for name in alert_webhook smtp_user smtp_password; do # empty: no alerts are sent
  [ -e "$secrets/$name" ] || : >"$secrets/$name"
done
if [ ! -s "$secrets/htpasswd" ]; then
  password=$(openssl rand -base64 18 | tr '+/' '-_')
  printf '%s\n' "$password" | openssl passwd -6 -stdin | sed "s/^/$login:/" | private "$secrets/htpasswd"
  echo "The login of the UI is $login with the password $password (kept nowhere else)."
fi
if [ ! -s "$secrets/tls.crt" ] || [ ! -s "$secrets/tls.key" ]; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 825 -subj "/CN=${TOKKA_NAME:-localhost}" \
    -addext "subjectAltName=DNS:${TOKKA_NAME:-localhost},DNS:localhost,IP:127.0.0.1" -addext basicConstraints=critical,CA:FALSE \
    -keyout "$secrets/tls.key" -out "$secrets/tls.crt" 2>/dev/null
  echo "The certificate is self-signed, for ${TOKKA_NAME:-localhost} (TOKKA_NAME)."
fi
# PostgreSQL asks for the name of the user that it runs as, which its image need not know.
printf 'root:x:0:0:root:/root:/bin/sh\ntokka:x:%s::/tmp:/bin/sh\n' "$user" >"$folder/passwd"
chmod 0644 "$folder/passwd"
[ "$(id -u)" != 0 ] || chown -R "$user" "$folder"
echo "TOKKA_FOLDER=$(cd "$folder" && pwd)"
echo "TOKKA_USER=$user"
