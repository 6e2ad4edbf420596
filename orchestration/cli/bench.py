"""``tokka bench``."""

from pathlib import Path

from assets.recipe.load import PROJECT
from orchestration.cli.output import err, fail, out, print_json

CORPORA = {
    "fi": ("libreoffice_help_fi", "manpages_fi", "gnome_help_fi", "aptitude_doc_fi"),
    "en": ("libreoffice_help_en", "gnome_help_en"),
}


def data_command(
    files: list[str], megabytes: int, language: str, peer: bool, output: str | None, work: str | None, as_json: bool
) -> None:
    """Measure the data plane, and datatrove on the same corpus; write JSON."""
    from infra.bench.data import bench, has_peer, write
    from infra.bench.measure import CommandFailedError

    if peer and not has_peer():
        fail("datatrove is not installed: pip install 'tokka[bench]', or leave the peer out with --no-peer.")
    if not files and language not in CORPORA:
        fail(f"there is no corpus of the language {language!r} in the repository; name JSON Lines files with --file.")
    paths = [Path(file) for file in files] or [
        PROJECT / "infra" / "demo" / "corpora" / f"{name}.jsonl.gz" for name in CORPORA[language]
    ]
    for path in paths:
        if not path.is_file():
            fail(f"--file {path}: there is no such file.")
    try:
        result = bench(paths, megabytes, language, peer, err.print, Path(work) if work else None)
    except CommandFailedError as error:
        fail(str(error))
    if output:
        write(result, Path(output))
    if as_json:
        print_json(result)
        return
    out.print(f"peak memory {result['peak_gb']:.2f} GB")
    for name, ratio in result.get("ratios", {}).items():
        out.print(f"{name.replace('_', ' ')}: {ratio} times datatrove's throughput")
