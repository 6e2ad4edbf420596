"""Verify an exported checkpoint: ``python -m training_jobs.verify spec.json`` (a VerifyJob).

Loads the Hugging Face folder as a user would, offline and from safetensors, and compares its logits on the probe batch
with those of the trainer. ``verification.json`` says what was found; a checkpoint that cannot be read is a finding.

With ``--stay`` instead of a path it reads paths from its input, one a line, and answers each with a line of JSON, so that the
checkpoints of a run share the seconds that the imports take.
"""

import json
import math
import os
import select
import sys
import warnings
from pathlib import Path
from typing import Any

from assets.recipe.jobs import VerifyJob
from training_jobs.job import JobError, read_spec, run, write_json

IDLE_SECONDS = 300
"""A process that stays leaves when it was asked nothing for so long."""


def verify(job: VerifyJob) -> dict[str, Any]:
    """What loading and running the checkpoint gives.

    ``parameters`` counts tied weights once; ``max_abs_difference`` is between the logits [samples, length, vocabulary]
    of the loaded model and of the trainer, ``max_abs_logit`` the trainer's largest. ``error`` says why it did not load.
    """
    found: dict[str, Any] = {
        "loaded": False,
        "parameters": None,
        "logits_finite": None,
        "max_abs_difference": None,
        "max_abs_logit": None,
        "tokenizer_vocab_size": None,
        "model_vocab_size": None,
        "error": None,
    }
    os.environ["HF_HUB_OFFLINE"] = "1"
    warnings.filterwarnings("ignore")
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        # A missing weight would be made up at random: what the folder lacks is asked for and refused.
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            job.checkpoint,
            dtype="auto",
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
        model, loading = loaded
        faults = {kind: sorted(names) for kind, names in loading.items() if names}
        if faults:
            raise ValueError(f"the weights do not fit the configuration: {json.dumps(faults, default=str)[:300]}")
        tokenizer = AutoTokenizer.from_pretrained(job.checkpoint, local_files_only=True, trust_remote_code=False)
        model.eval()
        probe = load_file(job.probe)
        with torch.inference_mode():
            logits = model(probe["input_ids"]).logits.float()
        difference = (logits - probe["logits"]).abs().max().item()
        largest = probe["logits"].abs().max().item()
    except Exception as error:  # whatever a broken folder raises is what this job is here to report
        found["error"] = (
            f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else error!r}"
        )
        return found
    return found | {
        "loaded": True,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "logits_finite": bool(torch.isfinite(logits).all()),
        "max_abs_difference": difference if math.isfinite(difference) else None,
        "max_abs_logit": largest if math.isfinite(largest) else None,
        "tokenizer_vocab_size": len(tokenizer),
        "model_vocab_size": model.config.vocab_size,
    }


def main(arguments: list[str]) -> None:
    """Entry point; ``arguments`` is the path of the specification."""
    job = read_spec(VerifyJob, arguments)
    if not Path(job.checkpoint).is_dir():
        raise JobError(f"There is no checkpoint folder {job.checkpoint}.")
    output = Path(job.output)
    output.mkdir(parents=True, exist_ok=True)
    write_json(output / "verification.json", verify(job))


def stay(arguments: list[str]) -> None:
    """Verify what is asked for until the input ends. An answer is ``{}``, or has the sentence ``error``."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)  # what libraries print is no answer
        while select.select([sys.stdin], [], [], IDLE_SECONDS)[0] and (line := sys.stdin.readline()):
            answer = {}
            try:
                main([line.rstrip("\n")])
            except JobError as error:
                answer["error"] = str(error)
            print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    run(stay if sys.argv[1:] == ["--stay"] else main)
