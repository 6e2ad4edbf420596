#!/bin/sh
# nginx with TLS and login in front of Dagster's webserver, which has none. Not root.
#   TOKKA_HTPASSWD_FILE, TOKKA_CERTIFICATE_FILE, TOKKA_KEY_FILE     made by prepare.sh, or your own
#   TOKKA_PROXY_LISTEN          address and port, by default 127.0.0.1:8443
#   TOKKA_WEB                   host and port of the webserver, by default 127.0.0.1:3000
#   TOKKA_PROXY_LOG             where requests are written, by default standard output; systemd's, a socket that nginx cannot open,
#                               wants syslog:server=unix:/dev/log
#   TOKKA_RESOLVER              a name server, where TOKKA_WEB is a name that may change its address
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"
nginx=$(PATH="$PATH:/usr/sbin" command -v nginx) || fail "nginx is not installed (Debian: apt-get install nginx-light)."
for name in TOKKA_HTPASSWD TOKKA_CERTIFICATE TOKKA_KEY; do
  eval "file=\${${name}_FILE:-}"
  [ -n "$file" ] || fail "the secret $name is missing: set ${name}_FILE to the path of its file. infra/stack/prepare.sh makes it."
  [ -r "$file" ] || fail "the secret $name cannot be read by the user $(id -u): $file. infra/stack/prepare.sh makes it."
  [ -s "$file" ] || fail "the secret $name is empty: $file. Remove it, and infra/stack/prepare.sh makes it."
  # Values that would end the line in nginx's file are refused.
  case $file in *[!A-Za-z0-9/._-]*) fail "the path $file of ${name}_FILE has characters other than letters, digits, '/', '.', '_' and '-'." ;; esac
done
listen=${TOKKA_PROXY_LISTEN:-127.0.0.1:8443} web=${TOKKA_WEB:-127.0.0.1:3000} resolver=${TOKKA_RESOLVER:-} log=${TOKKA_PROXY_LOG:-/dev/stdout}
case $listen$web$resolver in *[!][A-Za-z0-9.:-]*) fail "TOKKA_PROXY_LISTEN, TOKKA_WEB and TOKKA_RESOLVER are addresses, not '$listen', '$web', '$resolver'." ;; esac
case $log in *[!A-Za-z0-9:=,./_-]*) fail "TOKKA_PROXY_LOG is a file or nginx's syslog:server=..., not '$log'." ;; esac
run=$(mktemp -d "${TMPDIR:-/tmp}/tokka.XXXXXX")
sed -e "s|@RUN@|$run|g" -e "s|@LISTEN@|$listen|" -e "s|@LOG@|$log|" -e "s|@WEB@|$web|" -e "s|@RESOLVER@|${resolver:+resolver $resolver valid=5s;}|" \
  -e "s|@HTPASSWD@|$TOKKA_HTPASSWD_FILE|" -e "s|@CERTIFICATE@|$TOKKA_CERTIFICATE_FILE|" -e "s|@KEY@|$TOKKA_KEY_FILE|" \
  "$here/nginx.conf" >"$run/nginx.conf"
exec "$nginx" -p "$run" -e stderr -c "$run/nginx.conf"
