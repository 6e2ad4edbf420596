"""What a run has trained on by a step, exactly: how many samples of each source, and which steps saw a document.

Read from the sample index alone, as vectors; nothing is guessed from shares. Steps that a run left out (``summary.json``) count
as not trained on.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from assets.lake import InputRef, Lake, Manifest
from assets.reports.sample import SampleOrder, ShardFile, load_array

AT_ONCE = 1 << 24
"""Entries of an index that are looked at at a time; 128 MB."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Training:
    """A run as far as what it trained on goes: its mixture, the samples of a step, and the ranges that it left out."""

    run: Manifest
    mixture: InputRef
    global_batch: int
    sequence_length: int
    steps: int
    left_out: tuple[tuple[int, int], ...]

    def trained(self, samples: Ints, step: int | None = None) -> Ints:
        """Those of ``samples`` that the steps up to ``step`` (all where None) have trained on, in order."""
        stop = (self.steps if step is None else step) * self.global_batch
        kept = samples[samples < stop]
        for low, high in self.left_out:
            kept = kept[(kept < low) | (kept >= high)]
        return np.sort(kept)


def training_of(lake: Lake, run: Manifest) -> Training:
    """What a pretraining run's version says of its training."""
    (mixture,) = [ref for ref in run.inputs if ref.asset == "mixture"]
    settings = run.config["training"]
    anomalies = lake.read_json(run, "summary.json")["anomalies"]
    left_out = tuple((int(a["samples"][0]), int(a["samples"][1])) for a in anomalies if a["action"] != "note")
    return Training(
        run, mixture, settings["global_batch"], settings["sequence_length"], settings["steps"], tuple(sorted(left_out))
    )


def samples_by_source(lake: Lake, training: Training, step: int) -> dict[str, int]:
    """How many samples of each source the steps up to ``step`` have trained on."""
    order = SampleOrder(lake, lake.manifest(training.mixture))
    stop = step * training.global_batch
    counts = _count(order, 0, stop)
    for low, high in training.left_out:
        counts -= _count(order, min(low, stop), min(high, stop))
    found: dict[str, int] = {}
    for file, count in zip(order.files, counts.tolist(), strict=True):
        found[file.source] = found.get(file.source, 0) + count
    return found


def _count(order: SampleOrder, low: int, high: int) -> Ints:
    """Samples [low, high) by file."""
    counts = np.zeros(len(order.files), np.int64)
    for start in range(low, high, AT_ONCE):
        part = order.datasets[start : min(start + AT_ONCE, high)]
        counts += np.bincount(part, minlength=len(counts))
    return counts


def samples_with(lake: Lake, mixture: Manifest, documents: Mapping[str, Iterable[int]]) -> Ints:
    """The numbers of the mixture's samples that hold a token of any of ``documents``, in order. The index may go beyond the
    samples that a run asks for; those do not count.

    ``documents`` are their places in a shard, by the shard's prefix in the lake, ``tokenized_shards/.../shards/part-00000``.
    """
    order = SampleOrder(lake, mixture)
    found = [np.zeros(0, np.int64)]
    for number, file in enumerate(order.files):
        places = np.unique(np.fromiter(documents.get(file.prefix, ()), np.int64))
        if len(places):
            wanted = _samples_of_file(order, file, places)
            found += [start + hits for start, hits in _blended(order, number, wanted)]
    every = np.unique(np.concatenate(found))
    asked = lake.read_json(mixture, "mixture.json")["samples"]
    return every[every < asked]


def _samples_of_file(order: SampleOrder, file: ShardFile, documents: Ints) -> Ints:
    """The samples of one file, as the blend numbers them, that hold a token of the documents."""
    positions = _where(load_array(order.folder, file.index, "document_index"), documents)
    if not len(positions):
        return positions
    # Row r of the sample index is where stretch r begins; it ends in the document that stretch r + 1 begins in, of which it
    # has at least the one token that it predicts last.
    firsts = np.asarray(load_array(order.folder, file.index, "sample_index")[:, 0])
    low = np.maximum(np.searchsorted(firsts, positions, "left") - 1, 0)
    high = np.minimum(np.searchsorted(firsts, positions, "right") - 1, len(firsts) - 2)
    lengths = np.maximum(high - low + 1, 0)
    offsets = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    stretches = np.unique(np.repeat(low, lengths) + offsets)
    return _where(load_array(order.folder, file.index, "shuffle_index"), stretches)


def _where(array: npt.NDArray[np.integer], values: Ints) -> Ints:
    """The places of ``array`` that hold one of ``values``, which are sorted."""
    found = []
    for start in range(0, len(array), AT_ONCE):
        part = np.asarray(array[start : start + AT_ONCE])
        found.append(start + np.flatnonzero(np.isin(part, values)))
    return np.concatenate(found) if found else np.zeros(0, np.int64)


def _blended(order: SampleOrder, file: int, wanted: Ints) -> Iterable[tuple[int, Ints]]:
    """Where the blend takes the ``wanted`` samples of a file: the start of a part of it, and places in that part."""
    for start in range(0, len(order.datasets), AT_ONCE):
        datasets = np.asarray(order.datasets[start : start + AT_ONCE])
        samples = np.asarray(order.samples[start : start + AT_ONCE])
        here = np.flatnonzero(datasets == file)
        yield start, here[np.isin(samples[here], wanted)]


def steps_of(samples: Ints, global_batch: int) -> list[int]:
    """The steps, counted from 1, whose batches hold these samples."""
    steps: list[int] = np.unique(samples // global_batch + 1).tolist()
    return steps


def first_step(training: Training, samples: Ints) -> int | None:
    """The first step that trained on one of ``samples``, or None."""
    trained = training.trained(samples)
    return int(trained[0]) // training.global_batch + 1 if len(trained) else None
