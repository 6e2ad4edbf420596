#!/bin/sh
# Builds the images: tokka-orchestrator, tokka-trainer, tokka-evaluator, and tokka, which is all of them in one.
#   build.sh [IMAGE...]         by default all four
#   BASE_IMAGE                  of orchestrator, evaluator and tokka, by default python:3.11-slim
#   TRAINER_BASE_IMAGE          of the trainer, by default BASE_IMAGE. torch's packages bring CUDA's libraries, so that the driver
#                               of the host is all that is needed; an image of NVIDIA's has to have Python 3.11 or 3.12
#   TAG                         by default the project's version; PREFIX, such as registry.example.org/team/
#   PIP_EXTRA_INDEX_URL, PIP_FIND_LINKS     where torch's build for the accelerator is; CA_FILE, a bundle for pip alone
set -eu
cd "$(dirname "$0")/../.."
tag=${TAG:-$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)}
[ $# -gt 0 ] || set -- orchestrator trainer evaluator tokka
for image in "$@"; do
  [ -f "infra/docker/$image.txt" ] || { echo "build.sh: there is no image $image; there are orchestrator, trainer, evaluator and tokka." >&2; exit 2; }
  base=${BASE_IMAGE:-python:3.11-slim}
  [ "$image" != trainer ] || base=${TRAINER_BASE_IMAGE:-$base}
  name=${PREFIX:-}tokka-$image:$tag
  [ "$image" != tokka ] || name=${PREFIX:-}tokka:$tag
  DOCKER_BUILDKIT=1 docker build --file infra/docker/Dockerfile --tag "$name" --build-arg "BASE_IMAGE=$base" --build-arg "IMAGE=$image" \
    --build-arg "PIP_EXTRA_INDEX_URL=${PIP_EXTRA_INDEX_URL:-}" --build-arg "PIP_FIND_LINKS=${PIP_FIND_LINKS:-}" \
    ${CA_FILE:+--secret "id=ca,src=$CA_FILE"} ${BUILD_NETWORK:+--network "$BUILD_NETWORK"} .
  echo "$name"
done
