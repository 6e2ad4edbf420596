"""What every command says where the lake is damaged, or what Tokka writes to or asks is full or away: one sentence."""

import errno
from typing import Any

import typer
from typer.core import TyperGroup

from orchestration.cli.output import Exit, fail

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_DATABASE = ("OperationalError", "DagsterPostgresException", "DatabaseAwayError")
_AGAIN = "What is finished stays: mend that, and give the same command again."


class Commands(TyperGroup):
    """The commands; an error that is nobody's fault but the machine's ends in a sentence, and any other in a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Carry out a command."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise  # a command that has said why it ends
        except Exception as error:
            said = trouble(error)
            if said is None:
                raise
            fail(said, Exit.JOB_FAILED)


def trouble(error: BaseException | None) -> str | None:
    """What a person is told of an error, or of what it came from; None where it may be a fault of Tokka."""
    from assets.lake import LakeError
    from assets.lake.files import is_transient

    while error is not None:
        if isinstance(error, LakeError):
            return str(error)
        if isinstance(error, OSError) and error.errno in _FULL:
            where = f" for {error.filename}" if error.filename else ""
            return f"there is no room{where}: {error.strerror}. {_AGAIN}"
        if type(error).__name__ in _DATABASE:
            said = str(getattr(error, "orig", None) or error.__cause__ or error).strip().splitlines()[0]
            return f"the database of Dagster's instance failed: {said}. Is its disk full, or its server away? {_AGAIN}"
        if isinstance(error, Exception) and is_transient(error):
            return f"a server that is needed does not answer: {error}. {_AGAIN}"
        error = error.__cause__ or error.__context__
    return None
