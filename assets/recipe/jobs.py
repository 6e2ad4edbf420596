"""Specifications of the jobs that run in a process of their own, on this machine or on a GPU node.

The asset writes the specification as JSON; the job reads it and writes its files into ``output``, a local folder.
"""

from pathlib import Path
from typing import Literal, Protocol

from pydantic import Field

from assets.lake.manifest import InputRef
from assets.recipe.base import Config
from assets.recipe.evaluation import ScoredTask
from assets.recipe.tokens import PairTemplate
from assets.recipe.training import Model, Training


class IndexJob(Config):
    """Build Megatron-Core's sample index of a mixture. ``datasets`` are prefixes relative to ``root``, with weights."""

    root: str
    datasets: list[tuple[str, float]]
    sequence_length: int
    samples: int
    seed: int
    vocab_size: int
    end_of_document: int
    output: str


class PretrainingJob(Config):
    """Pretrain ``model`` on the samples of ``mixture``. ``work`` keeps training states for resuming until the run is done."""

    lake: str
    recipe: str
    mixture: InputRef
    tokenizer: InputRef
    vocab_size: int
    model: Model
    training: Training
    accepted_risks: dict[str, str]
    work: str
    output: str


class VerifyJob(Config):
    """Load a Hugging Face checkpoint and compare its logits with the trainer's on the probe batch."""

    checkpoint: str
    probe: str
    output: str


class EvaluationTask(Config):
    """One task with the benchmark version that holds its items; ``contaminated`` are the ids of those trained on."""

    config: ScoredTask
    benchmark: InputRef
    contaminated: list[str] = Field(default_factory=list)


class EvaluationJob(Config):
    """Score the Hugging Face checkpoint ``checkpoint`` on ``tasks``. ``mixture`` holds the unigram counts of the baseline."""

    lake: str
    checkpoint: InputRef
    mixture: InputRef
    template: PairTemplate
    tasks: dict[str, EvaluationTask]
    max_length: int
    seed: int
    accepted_risks: dict[str, str]
    output: str


class JobRequest(Config):
    """What a launcher starts: ``python -m module spec`` on ``ranks`` ranks (with torchrun where ``distributed``)."""

    name: str
    module: str
    spec: Path
    ranks: int = 1
    distributed: bool = False
    environment: dict[str, str] = Field(default_factory=dict)
    log: Path


class JobStatus(Config):
    """State of a job; ``exit_code`` once it has ended."""

    state: Literal["running", "succeeded", "failed"]
    exit_code: int | None = None


class Launcher(Protocol):
    """Where jobs run. A job is named by the id that ``submit`` returns."""

    name: str

    def submit(self, request: JobRequest) -> str:
        """Start a job and return its id."""
        ...

    def poll(self, job: str) -> JobStatus:
        """State of a job, without waiting. Raises LookupError for an id that it does not know."""
        ...

    def logs(self, job: str, lines: int = 40) -> str:
        """The last lines that the job printed."""
        ...

    def cancel(self, job: str) -> None:
        """End a job with everything it started: SIGTERM first, SIGKILL after a grace period."""
        ...
