#!/bin/sh
# Write requirements.lock from the bounds in pyproject.toml: a new environment, torch first, then everything, then a freeze.
# torch's local suffix (+cpu, +cu130) is dropped, since the file differs from machine to machine.
set -eu
python=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
torch=$("$python" -c 'import tomllib; print(next(d for d in tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"] if d.startswith("torch")))')
"$folder/venv/bin/pip" install --quiet "$torch"
"$folder/venv/bin/pip" install --quiet -e '.[kenlm,fasttext,ray,bench,dev]'
"$folder/venv/bin/pip" check
{
  echo "# Every package of the environment, made by infra/lock.sh. No hashes: torch's file differs from machine to machine."
  # The nvidia packages belong to one build of torch and come with it; nvidia-ml-py does not.
  "$folder/venv/bin/pip" freeze --exclude-editable --all | grep -v -i -E '^(pip|nvidia-([^m]|m[^l])|triton|cuda-)' | sed 's/^\(torch==[^+]*\)+.*/\1/'
} > requirements.lock
"$folder/venv/bin/python" infra/docker/requirements.py
