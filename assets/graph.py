"""The graph: all stages, in the order in which data passes through them."""

from collections.abc import Iterator

from assets.benchmarks.stage import STAGE as BENCHMARK
from assets.checkpoints.stage import STAGE as CHECKPOINT
from assets.cleaning.stage import STAGE as CLEAN_CORPUS
from assets.corpora.stage import STAGE as RAW_CORPUS
from assets.decontamination.stage import STAGE as DECONTAMINATED_CORPUS
from assets.dedup.stage import STAGE as DEDUPLICATED_CORPUS
from assets.dedup.stage import STAGE_DUPLICATES as DUPLICATES
from assets.evaluation.stage import STAGE as EVALUATION
from assets.mixture.stage import STAGE as MIXTURE
from assets.pretraining.stage import STAGE as PRETRAINING_RUN
from assets.recipe.catalog import Catalog
from assets.reports.stage import MODEL_CARD, SCOREBOARD
from assets.shards.stage import STAGE as TOKENIZED_SHARDS
from assets.stage import Input, Stage
from assets.tokenizer.stage import STAGE as TOKENIZER

STAGES: tuple[Stage, ...] = (
    BENCHMARK,
    RAW_CORPUS,
    CLEAN_CORPUS,
    DUPLICATES,
    DEDUPLICATED_CORPUS,
    DECONTAMINATED_CORPUS,
    TOKENIZER,
    TOKENIZED_SHARDS,
    MIXTURE,
    PRETRAINING_RUN,
    CHECKPOINT,
    EVALUATION,
    SCOREBOARD,
    MODEL_CARD,
)
BY_ASSET = {stage.asset: stage for stage in STAGES}
_PLACE = {stage.asset: place for place, stage in enumerate(STAGES)}


def goes_back(stage: Stage, asset: str) -> bool:
    """Whether ``asset``, an input of ``stage``, stands behind it in the graph: the checkpoint that another run starts from."""
    return _PLACE[asset] >= _PLACE[stage.asset]


def upstream(catalog: Catalog, targets: list[Input]) -> Iterator[tuple[Stage, str]]:
    """Everything that ``targets`` are made from, and the targets, in the order of the graph; each once.

    What a checkpoint of another run is made from comes before everything that starts from it.
    """
    rounds: dict[Input, int] = {}

    def visit(asset: str, key: str) -> int:
        """How many times the way to a partition goes back in the graph, at most."""
        if (asset, key) not in rounds:
            stage = BY_ASSET[asset]
            inputs = stage.inputs(catalog, key)
            rounds[asset, key] = max((visit(*i) + goes_back(stage, i[0]) for i in inputs), default=0)
        return rounds[asset, key]

    last = max((visit(*target) for target in targets), default=0)
    for number in range(last + 1):
        for stage in STAGES:
            for key in stage.keys(catalog):
                if rounds.get((stage.asset, key)) == number:
                    yield stage, key


def targets(catalog: Catalog, recipe: str, to: str | None = None) -> list[Input]:
    """The partitions that a recipe aims at: of the asset ``to``, or of the last assets of the graph.

    Of an asset that several recipes share, they are the partitions that this recipe needs.
    """
    ends: list[Input] = [(SCOREBOARD.asset, recipe), (MODEL_CARD.asset, recipe)]
    if to is None:
        return ends
    return [(stage.asset, key) for stage, key in upstream(catalog, ends) if stage.asset == to]
