"""datatrove over a benchmark corpus: ``python -m infra.bench.datatrove_stages FOLDER clean|dedup WORKERS LANGUAGE``.

Its heuristic filters (Gopher repetition and quality, C4, FineWeb) at their defaults, and its four MinHash stages with
Tokka's parameters, on its local executor with as many tasks as workers. Reads ``FOLDER/corpus``, writes below
``FOLDER/datatrove``. Stop words are switched off, since its list is English.
"""

import sys
from pathlib import Path

LANGUAGES = {"fi": "fin", "en": "eng"}


def clean(folder: Path, workers: int, language: str) -> None:
    """The heuristic filters."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.filters import (
        C4QualityFilter,
        FineWebQualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
    )
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter

    name = LANGUAGES[language]
    out = folder / "datatrove"
    pipeline = [
        JsonlReader(str(folder / "corpus")),
        GopherRepetitionFilter(language=name),
        GopherQualityFilter(language=name, min_stop_words=0, stop_words=[]),
        C4QualityFilter(language=name, filter_no_terminal_punct=False),
        FineWebQualityFilter(language=name),
        JsonlWriter(str(out / "clean")),
    ]
    LocalPipelineExecutor(pipeline, tasks=workers, workers=workers, logging_dir=str(out / "logs-clean")).run()


def dedup(folder: Path, workers: int, language: str) -> None:
    """Signatures, buckets, clusters, and the filter that writes what stays."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import (
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.dedup.minhash import MinhashConfig
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter

    from assets.recipe.data import Dedup

    ours = Dedup()
    config = MinhashConfig(n_grams=ours.shingle, num_buckets=ours.bands, hashes_per_bucket=ours.rows)
    out = folder / "datatrove"
    corpus, signatures, buckets, removed = (str(path) for path in (folder / "corpus", *(out / n for n in "sbr")))
    stages: list[tuple[list[object], int]] = [
        (
            [JsonlReader(corpus), MinhashDedupSignature(signatures, config=config, language=LANGUAGES[language])],
            workers,
        ),
        ([MinhashDedupBuckets(signatures, buckets, config=config)], ours.bands),
        ([MinhashDedupCluster(buckets, removed, config=config)], 1),
        ([JsonlReader(corpus), MinhashDedupFilter(removed), JsonlWriter(str(out / "deduplicated"))], workers),
    ]
    for number, (pipeline, tasks) in enumerate(stages):
        LocalPipelineExecutor(
            pipeline, tasks=tasks, workers=min(workers, tasks), logging_dir=str(out / f"logs-{number}")
        ).run()


if __name__ == "__main__":
    {"clean": clean, "dedup": dedup}[sys.argv[2]](Path(sys.argv[1]), int(sys.argv[3]), sys.argv[4])
