"""Specifications of the jobs that run in a process of their own, on this machine or on a GPU node.

The asset writes the specification as JSON; the job reads it and writes its files into ``output``, a local folder.
"""

from pathlib import Path
from typing import Literal, Protocol

from pydantic import Field

from assets.lake.manifest import InputRef
from assets.recipe.base import Config
from assets.recipe.cost import CostAssumptions
from assets.recipe.evaluation import ScoredTask
from assets.recipe.tokens import PairTemplate
from assets.recipe.training import Model, Training


class IndexedFile(Config):
    """One file of a source in a blend; ``prefix`` is relative to the lake's root.

    Its first ``training_documents`` are trained on with ``weight`` (0 where there are none), the ``validation_documents``
    that follow are validated on.
    """

    source: str
    prefix: str
    weight: float = Field(ge=0)
    training_documents: int = Field(ge=0)
    validation_documents: int = Field(0, ge=0)


class IndexJob(Config):
    """Build Megatron-Core's sample index of a mixture over ``files`` below ``root``, with ``threads``.

    ``validation_samples``: of each source whose files hold validation documents, at most so many.
    """

    root: str
    files: list[IndexedFile]
    sequence_length: int
    samples: int
    seed: int
    vocab_size: int
    end_of_document: int
    validation_samples: int = 0
    threads: int = 1
    output: str


class PretrainingJob(Config):
    """Pretrain ``model`` on the samples of ``mixture``.

    ``work`` keeps training states for resuming until the run is done, or the fsspec URI ``states`` does, where the folder of
    ``work`` may be another one at the next start.
    """

    lake: str
    recipe: str
    mixture: InputRef
    tokenizer: InputRef
    vocab_size: int
    model: Model
    training: Training
    checkpoint: InputRef | None = Field(None, description="of the lake, where model.start_from names one")
    cost: CostAssumptions = CostAssumptions()
    accepted_risks: dict[str, str]
    work: str
    states: str = ""
    output: str


class VerifyJob(Config):
    """Load a Hugging Face checkpoint and compare its logits with the trainer's on the probe batch."""

    checkpoint: str
    probe: str
    output: str


KEPT_RESULTS = ".results"
"""Folder of the lake in which evaluations keep the results of single tasks."""


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
    """What a launcher starts: ``python -m module spec`` on ``ranks`` ranks (with torchrun where ``distributed``).

    The folder of ``log`` holds everything of the job and is shared with the machine it runs on; ``reads`` and ``writes``
    are folders beyond it, for launchers that shut a job off from the rest of the machine. ``restarts`` says after which exit
    codes the job is started again, and how often each.

    A job of several ``parts`` finds what earlier processes have done of it: a launcher may run it first in n processes with
    ``TOKKA_PART=i/n``, each of which does every n-th part from i (counted from 0), and then once without.
    """

    name: str
    module: str
    spec: Path
    ranks: int = 1
    distributed: bool = False
    parts: int = 1
    environment: dict[str, str] = Field(default_factory=dict)
    log: Path
    reads: tuple[Path, ...] = ()
    writes: tuple[Path, ...] = ()
    restarts: dict[int, int] = Field(default_factory=dict)


class JobStatus(Config):
    """State of a job; ``exit_code`` once it has ended. ``reason`` is what the launcher knows beyond that, for people."""

    state: Literal["queued", "running", "succeeded", "failed"]
    exit_code: int | None = None
    reason: str = ""

    @property
    def ended(self) -> bool:
        return self.state in ("succeeded", "failed")


class JobCost(Config):
    """What a job has taken so far: wall clock over all attempts, waiting excluded, and the ranks and GPUs it held."""

    seconds: float
    ranks: int
    gpus: int
    attempts: int
    source: str = Field(description="who counted: Slurm's accounting, or the job's own record")

    @property
    def rank_hours(self) -> float:
        return self.seconds * self.ranks / 3600

    @property
    def gpu_hours(self) -> float:
        return self.seconds * self.gpus / 3600


class Launcher(Protocol):
    """Where jobs run. A job is named by the id that ``submit`` returns, in any process that sees the job's folder."""

    name: str

    @property
    def poll_seconds(self) -> float:
        """How often it is reasonable to ask for a job's state."""
        ...

    def submit(self, request: JobRequest) -> str:
        """Start a job and return its id."""
        ...

    def reattach(self, request: JobRequest) -> str | None:
        """The id of a job that was submitted for this request before, by any process, and waits, runs or has succeeded."""
        ...

    def poll(self, job: str) -> JobStatus:
        """State of a job, without waiting. Raises LookupError for an id that it does not know."""
        ...

    def logs(self, job: str, lines: int = 40) -> str:
        """The last lines that the job printed."""
        ...

    def cancel(self, job: str) -> None:
        """End a job with everything it started: SIGTERM first, SIGKILL after a grace period. Returns when it has ended."""
        ...

    def cost(self, job: str) -> JobCost:
        """What a job has taken so far, or took."""
        ...
