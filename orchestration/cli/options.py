"""Options and arguments that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
RecipeName = Annotated[str, typer.Argument(help="A recipe's name, or the path of its YAML file.")]
ProfileName = Annotated[
    str | None, typer.Option("--profile", help="A profile of infra/profiles, or the path of one (TOKKA_PROFILE).")
]
LakeUri = Annotated[
    str | None, typer.Option("--lake", help="The lake's URI: a folder or s3://bucket/prefix (TOKKA_LAKE).")
]
StudyName = Annotated[str, typer.Argument(help="A study's name.")]
StudyBase = Annotated[str | None, typer.Option(help="Only the recipes made of this base. [all]")]
StudyReport = Annotated[Path | None, typer.Option("--to", help="Write it to this folder, as HTML, Markdown and JSON.")]
