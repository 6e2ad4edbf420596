"""Configuration of how a place is run: which sensors work, what counts as stale, whom to tell. It belongs to the profile.

Secrets never stand here: the address of the webhook and the login of the mail server come from the environment (SECRETS).
"""

from typing import Literal

from pydantic import Field, model_validator

from assets.recipe.base import Config, Positive

WEBHOOK, SMTP_USER, SMTP_PASSWORD = "TOKKA_ALERT_WEBHOOK", "TOKKA_SMTP_USER", "TOKKA_SMTP_PASSWORD"
SECRETS = (WEBHOOK, SMTP_USER, SMTP_PASSWORD)
"""Variables of the environment with the webhook's URL and the login of the mail server."""

SensorName = Literal["new_files", "follow_data", "follow_checkpoints", "promote_by_policy", "alerts"]


class Freshness(Config):
    """How old the last materialization of an asset may be, in days: the UI warns and then fails it, and ``alerts`` tells."""

    warn_days: float = Field(gt=0, allow_inf_nan=False, description="age from which the UI warns")
    fail_days: float = Field(gt=0, allow_inf_nan=False, description="age from which the UI fails it")

    @model_validator(mode="after")
    def _in_order(self) -> "Freshness":
        if self.warn_days >= self.fail_days:
            raise ValueError(f"warn_days ({self.warn_days:g}) must be below fail_days ({self.fail_days:g})")
        return self


class Email(Config):
    """A mail server and the people to tell."""

    host: str = Field(description="the mail server")
    port: int = Field(587, ge=1, le=65535, description="its port")
    security: Literal["starttls", "tls", "none"] = Field("starttls", description="how the connection is protected")
    sender: str = Field(description="address that mails come from")
    to: tuple[str, ...] = Field(min_length=1, description="addresses of the people to tell")


class Alerts(Config):
    """Whom to tell of failed gates and jobs, stale data and spent budgets."""

    webhook: bool = Field(False, description=f"POST JSON to the URL that {WEBHOOK} holds")
    email: Email | None = Field(None, description="a mail server and the people to tell")
    ui: str | None = Field(None, description="address of the UI, for links in messages")
    budget_share: float = Field(0.8, gt=0, le=1, description="tell when so much of a recipe's budget is spent")


class Operations(Config):
    """How a place is run. Sensors that are not named can be turned on in the UI."""

    running: tuple[SensorName, ...] = Field((), description="sensors that work from the start")
    every_seconds: Positive = Field(60, description="time between two ticks of a sensor")
    freshness: dict[str, Freshness] = Field(default_factory=dict, description="by asset")
    alerts: Alerts = Field(Alerts(), description="whom to tell of what goes wrong")
    retries: int = Field(3, ge=0, description="tries after a fault of the infrastructure; nothing else is tried again")
    retry_seconds: float = Field(
        30, ge=0, allow_inf_nan=False, description="time before the first of them, then doubled"
    )
