#!/bin/bash
# A base image without a registry or a network, in seconds: the files of the Debian packages that are installed on this
# machine, Python and what it needs, as dpkg lists them. For machines that cannot pull python:3.11-slim, and for the tests.
#   debian_base.sh NAME:TAG [PACKAGE...]      more packages that are installed here
set -euo pipefail
name=${1:?name:tag of the image}; shift
wanted="base-files bash coreutils dash grep libc-bin libgomp1 libstdc++6 python3 python3-venv sed $*"
root=$(mktemp -d); trap 'rm -rf "$root"' EXIT
packages=$(apt-cache depends --recurse --installed --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
  --no-enhances $wanted | grep -E '^[a-z0-9]' | sort -u)
# Names that only stand for others are no packages; dpkg-query says so and goes on.
installed=$({ dpkg-query -W -f '${db:Status-Status} ${binary:Package}\n' $packages 2>/dev/null || true; } | sed -n 's/^installed //p')
mkdir -p "$root"/{etc,tmp,var,run,proc,sys,dev,usr/bin,usr/sbin,usr/lib,usr/lib64}
chmod 1777 "$root/tmp"
for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$root/$folder"; done
# Packages name /bin and /usr/bin alike; in the image as on the machine they are one.
dpkg -L $installed | grep -vE '^/usr/share/(doc|man|info|locale|lintian|bug)/' | sed -E 's#^/(bin|sbin|lib|lib64)/#/usr/\1/#' | sort -u |
  while read -r file; do
    [[ $file =~ ^/(bin|sbin|lib|lib64)$ ]] && continue
    if [ -f "$file" ] || [ -L "$file" ]; then echo "${file#/}"; fi
  done |
  tar --create --directory=/ --files-from=- --file=- | tar --extract --directory="$root" --file=-
# Debian compiles modules when it installs them; without that every start of Python in a read-only container does it anew.
/usr/bin/python3 -m compileall -q -s "$root" -p / -x '/(test|tests|idlelib|lib2to3)/' "$root"/usr/lib/python3.*/
echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
echo 'root:x:0:' >"$root/etc/group"
tar --create --directory="$root" --owner=0 --group=0 --numeric-owner . |
  docker import -c 'ENV LANG=C.UTF-8' -c 'CMD ["python3"]' - "$name"
