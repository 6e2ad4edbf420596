#!/bin/sh
# All that is to be known of the GPU path on one machine with a GPU, without a network: the tests that need one (attention, the
# model beside Hugging Face's, a run that is killed and goes on), then the step of two model sizes beside eager BLOOM. Figures go into
# docs/benchmarks/gpu.json; arguments are passed on (see --help). PYTHON names the interpreter of an installed environment. What
# fails does not keep the rest from running, and makes the script end with 1.
#   sh infra/bench/gpu.sh [--size poro-186m] [--largest 32] ...
set -eu
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}
export HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 TOKENIZERS_PARALLELISM=false PYTORCH_ALLOC_CONF=expandable_segments:True
nvidia-smi --query-gpu=name,driver_version,memory.total,power.limit --format=csv || echo "there is no nvidia-smi" >&2
code=0
"$python" -m pytest -m gpu tests/training_jobs || code=1
"$python" -m infra.bench.gpu --output docs/benchmarks/gpu.json "$@" || code=1
exit $code
