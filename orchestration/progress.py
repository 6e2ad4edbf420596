"""What people see while a run works: the messages of stages and jobs, without Dagster's own events."""

import logging
import sys

import dagster as dg


class _StageMessages(logging.Filter):
    """Lets through what stages and jobs say. Dagster's own events are in its log; what gates find, the caller prints."""

    def filter(self, record: logging.LogRecord) -> bool:
        meta = getattr(record, "dagster_meta", {}) or {}
        step = meta.get("step_key")
        return meta.get("dagster_event") is None and step is not None and not step.endswith("_gate")


class _Lines(logging.Handler):
    """One indented line per message on stderr, with its partition, since several are made at a time; in a terminal,
    informational lines replace each other."""

    def emit(self, record: logging.LogRecord) -> None:
        meta = getattr(record, "dagster_meta", {}) or {}
        partition = (meta.get("job_tags") or {}).get("dagster/partition", "")
        message = f"{partition}: {meta.get('orig_message', record.getMessage())}"
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
    logger = logging.Logger("tokka.progress", logging.INFO)
    handler = _Lines()
    handler.addFilter(_StageMessages())
    logger.addHandler(handler)
    return logger
