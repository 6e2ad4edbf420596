"""``tokka study STUDY``: a study's name in the place of a command runs it and writes its report."""

from typing import Any

from typer.core import TyperGroup

WHOLE = "whole"
"""The command that a study's name stands for."""


class StudyCommands(TyperGroup):
    """The commands of ``tokka study``; the name of a study in the place of one is ``WHOLE`` of it."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command of ``args``. Leaves with 2 where the first is neither a command nor a study."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            _check(args[0], [name for name in self.commands if name != WHOLE])
            args = [WHOLE, *args]
        return super().resolve_command(ctx, args)


def _check(name: str, commands: list[str]) -> None:
    from assets.recipe.load import RecipeError, recipe_folders
    from assets.recipe.studies import study_paths
    from orchestration.cli.output import fail

    try:
        studies = study_paths(recipe_folders())
    except RecipeError as error:
        fail(str(error))
    if name not in studies:
        fail(
            f"there is no study {name!r}; the studies are: {', '.join(studies) or 'none'}. Commands are: {', '.join(commands)}."
        )
