"""What people see while a run works: the messages of stages and jobs, without Dagster's own events."""

import logging
import sys

import dagster as dg

from orchestration.pools import waited_for


class _StageMessages(logging.Filter):
    """Lets through what stages and jobs say, and what they wait for. Dagster's other events are in its log; what gates find, the
    caller prints.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        meta = getattr(record, "dagster_meta", {}) or {}
        step, event = meta.get("step_key"), meta.get("dagster_event")
        if event is not None:
            return waited_for(event) is not None
        return record.levelno >= logging.INFO and step is not None and not step.endswith("_gate")


class _Lines(logging.Handler):
    """One indented line per message on stderr, with its partition, since several are made at a time; in a terminal,
    informational lines replace each other."""

    def emit(self, record: logging.LogRecord) -> None:
        meta = getattr(record, "dagster_meta", {}) or {}
        partition = (meta.get("job_tags") or {}).get("dagster/partition", "")
        pool = waited_for(meta.get("dagster_event"))
        said = meta.get("orig_message", record.getMessage())
        message = f"{partition}: " + (
            said if pool is None else f"waits for a place in the pool {pool}, which another run has"
        )
        if sys.stderr.isatty() and record.levelno < logging.WARNING:
            sys.stderr.write(f"\r\033[K        {message[:110]}")
        else:
            sys.stderr.write(f"        {message}\n")
        sys.stderr.flush()


def clear_line() -> None:
    """Remove the line that informational messages replace, before another line is printed."""
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K")


@dg.logger(config_schema=None, description="The messages of stages and jobs, one line each, on stderr.")
def progress_logger(init_context: dg.InitLoggerContext) -> logging.Logger:
    """A logger for terminals; ``tokka run`` uses it."""
    # Dagster logs its own events as details.
    logger = logging.Logger("tokka.progress", logging.DEBUG)
    handler = _Lines()
    handler.addFilter(_StageMessages())
    logger.addHandler(handler)
    return logger
