# What the scripts of the stack share; they source it. POSIX sh, so that every image and every Debian can run them.

fail() {
  echo "tokka: $1" >&2
  exit 1
}

# secret NAME: the value of the variable NAME, or what stands in the file that the variable NAME_FILE names.
secret() {
  eval "secret_value=\${$1:-} secret_file=\${$1_FILE:-}"
  if [ -z "$secret_value" ] && [ -n "$secret_file" ]; then
    [ -e "$secret_file" ] || fail "the secret $1 is missing: there is no file $secret_file. infra/stack/prepare.sh makes the secrets."
    [ -r "$secret_file" ] || fail "the secret $1 cannot be read: $secret_file does not belong to the user $(id -u). infra/stack/prepare.sh sets its owner."
    secret_value=$(cat "$secret_file")
  fi
  [ -n "$secret_value" ] || fail "the secret $1 is missing: set $1, or $1_FILE to the path of a file that holds it."
  printf '%s' "$secret_value"
}

# private FILE: make a file that only this user reads, from standard input.
private() {
  (umask 077 && cat >"$1.new") && mv "$1.new" "$1"
}
