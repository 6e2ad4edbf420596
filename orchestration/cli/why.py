"""``tokka why``."""

from dataclasses import asdict

from orchestration.cli.context import open_profile
from orchestration.cli.output import fail, out, print_json


def why_command(document: str, lake: str | None, as_json: bool) -> None:
    """Print what every stage did with a document."""
    from assets.lake import LakeError
    from assets.reports.document import DocumentError, document_passages

    profile = open_profile(lake)
    try:
        passages = document_passages(profile.lake, document)
    except (DocumentError, LakeError, ValueError) as error:
        fail(str(error))
    if as_json:
        print_json([asdict(passage) for passage in passages])
        return
    out.print(document, markup=False, style="bold")
    for passage in passages:
        where = f"{passage.asset}/{passage.partition}/{passage.version}"
        out.print(f"{passage.decision:<10} {passage.what}", markup=False)
        out.print(f"           {where}", style="dim", markup=False)
        for detail in passage.details:
            out.print(f"           {detail}", markup=False)
