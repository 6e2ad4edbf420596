"""Telling people: a webhook that takes JSON, and e-mail. What is a secret comes from the environment and is never said."""

import base64
import json
import os
import re
import smtplib
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from assets.recipe.operations import SECRETS, SMTP_PASSWORD, SMTP_USER, WEBHOOK, Alerts, Email

SECONDS = 5
"""Time that a server has to answer; a tick of a sensor waits for it."""
_SECRET_NAME = re.compile(r"KEY|SECRET|TOKEN|PASSW|CREDENTIAL|WEBHOOK|SMTP_USER|DSN|DATABASE_URL", re.IGNORECASE)
_IN_URL = re.compile(r"(?<=://)[^/\s@]+(?=@)")


class NotDeliveredError(Exception):
    """A message could not be delivered. The text names the server's host and what went wrong, and no secret."""


@dataclass(frozen=True)
class Alert:
    """What people are told: a title of one line, and lines. ``kind`` is gate, job, stale or budget."""

    kind: str
    title: str
    lines: tuple[str, ...] = ()
    link: str = ""

    @property
    def text(self) -> str:
        """The message as plain text."""
        return "\n".join(part for part in (self.title, *self.lines, self.link) if part)


Channel = Callable[[Alert], None]


def channels(settings: Alerts) -> dict[str, Channel]:
    """The ways to tell people that the profile names. Each raises NotDeliveredError."""
    ways: dict[str, Channel] = {}
    if settings.webhook:
        ways["webhook"] = post
    if settings.email is not None:
        ways["e-mail"] = partial(mail, settings.email)
    return ways


def secret(name: str) -> str:
    """The variable, or what the file holds that ``{name}_FILE`` names; empty where there is neither."""
    value, path = os.environ.get(name, ""), os.environ.get(f"{name}_FILE")
    if value or not path:
        return value
    try:
        return Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise NotDeliveredError(f"the file that {name}_FILE names cannot be read ({type(error).__name__})") from None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirected message would lose its body, or go to somebody else."""

    def redirect_request(self, *arguments: Any) -> None:
        return None


def post(alert: Alert) -> None:
    """POST an alert as JSON (``text`` for chats; ``kind``, ``title``, ``lines``, ``link`` for programs)."""
    url = secret(WEBHOOK)
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        what = "is not the URL of a web server" if url else "is not set"
        raise NotDeliveredError(f"{WEBHOOK} {what}")
    value = {"text": alert.text, "kind": alert.kind, "title": alert.title, "lines": alert.lines, "link": alert.link}
    headers = {"Content-Type": "application/json"}
    if parts.username:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    plain = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    request = urllib.request.Request(plain, json.dumps(value, ensure_ascii=False).encode(), headers, method="POST")
    try:
        with urllib.request.build_opener(_NoRedirects).open(request, timeout=SECONDS):
            pass
    except urllib.error.HTTPError as error:
        error.close()
        raise NotDeliveredError(f"the webhook at {parts.hostname} answers {error.code}") from None
    except (OSError, ValueError) as error:  # what the error says may hold the URL
        reason = getattr(error, "reason", error)
        raise NotDeliveredError(
            f"the webhook at {parts.hostname} cannot be reached ({type(reason).__name__})"
        ) from None


def mail(settings: Email, alert: Alert) -> None:
    """Send an alert by e-mail."""
    message = EmailMessage()
    message["From"], message["To"] = settings.sender, ", ".join(settings.to)
    message["Subject"] = f"[tokka] {alert.title}"
    message.set_content("\n".join(part for part in (*alert.lines, alert.link) if part) or alert.title)
    user, password = secret(SMTP_USER), secret(SMTP_PASSWORD)
    try:
        with _mail_server(settings) as server:
            if user:
                server.login(user, password)
            server.send_message(message)
    except (OSError, smtplib.SMTPException) as error:  # what a server says may repeat what it was told
        code = getattr(error, "smtp_code", None)
        what = f"answers {code}" if code else f"cannot be reached ({type(error).__name__})"
        raise NotDeliveredError(f"the mail server {settings.host} {what}") from None


def _mail_server(settings: Email) -> smtplib.SMTP:
    context = ssl.create_default_context()
    if settings.security == "tls":
        return smtplib.SMTP_SSL(settings.host, settings.port, timeout=SECONDS, context=context)
    server = smtplib.SMTP(settings.host, settings.port, timeout=SECONDS)
    if settings.security == "starttls":
        try:
            server.starttls(context=context)
        except BaseException:
            server.close()
            raise
    return server


def redacted(text: str) -> str:
    """``text`` without the values of variables that are named like secrets, and without logins in URLs."""
    for value in sorted(_secrets(), key=len, reverse=True):
        text = text.replace(value, "***")
    return _IN_URL.sub("***", text)


def _secrets() -> Iterator[str]:
    """Values that are not told; of the webhook's URL each part that may be its key, beside the whole of it."""
    values = [value for name, value in os.environ.items() if _SECRET_NAME.search(name)]
    for name in SECRETS:
        with suppress(NotDeliveredError):
            values.append(secret(name))
    with suppress(NotDeliveredError, ValueError):
        url = urlsplit(secret(WEBHOOK))
        values += [unquote(url.password or ""), url.query, *(part for part in url.path.split("/") if len(part) >= 8)]
    return (value for value in values if len(value) >= 4)
