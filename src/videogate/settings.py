"""The settings, read once by the composition root; everybody else gets values."""

import os
import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

from dotenv import dotenv_values
from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from videogate.task.model import Fit
from videogate.vendorkit.config import VendorConfig

PREFIX = "VIDEOGATE_"
ENV_FILE = ".env"
_POSTGRES = ("postgresql://", "postgres://")
_LENT = ("AWS_", "GOOGLE_", "AZURE_", "OTEL_")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/?#,*]+", re.ASCII)  # as browsers write it, in small letters


class ConfigurationError(Exception):
    """A setting is wrong or missing; the text says which and how to mend it."""


_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def _seconds(value: Any) -> Any:
    if isinstance(value, str) and value[-1:] in _UNITS and value[:-1].replace(".", "", 1).isdigit():
        return float(value[:-1]) * _UNITS[value[-1]]
    return value


Seconds = Annotated[float, BeforeValidator(_seconds)]
"""A length of time: seconds, or a number with its unit, such as `30m`, `12h`, `7d`."""


class DialectSetting(StrEnum):
    """The dialect of requests that do not choose one."""

    AUTO = "auto"
    GATEWAY = "gateway"
    OPENAI = "openai"


class Role(StrEnum):
    """What a process does: answer callers, work for them, or both."""

    ALL = "all"
    API = "api"
    WORKER = "worker"


class Settings(BaseSettings):
    """One field for each `VIDEOGATE_<FIELD>`; vendors' own settings are read by `vendor_config`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file=ENV_FILE, extra="ignore", frozen=True)

    api_keys: SecretStr = Field(default=SecretStr(""), description="keys of callers, comma-separated")
    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=8000, ge=0, le=65535, description="port to listen on; 0 picks a free one")
    data_dir: Path = Field(default=Path("data"), description="the database and the videos")
    database_url: str = Field(default="", description="empty: SQLite in the data directory; else postgresql://…")
    role: Role = Field(default=Role.ALL, description="all, api or worker: what a process on PostgreSQL does")
    public_url: str = Field(default="", description="base of the links we give out; empty: the request's own host")
    default_model: str = Field(default="sora-2", description="the model of requests that name none")
    model_aliases: str = Field(default="", description="comma-separated NAME=MODEL: names that stand for other models")
    dialect: DialectSetting = Field(default=DialectSetting.AUTO, description="auto, gateway or openai")
    fit: Fit = Field(default=Fit.NEAREST, description="nearest or strict: sizes and lengths a model cannot make")
    task_deadline: Seconds = Field(default=86_400, gt=0, description="seconds from a request to giving up on it")
    unknown_window: Seconds = Field(default=1_800, ge=0, description="seconds a submit without an answer is looked for")
    fetch_allow_private: bool = Field(default=False, description="open links to loopback and private addresses")
    callback_urls: bool = Field(default=False, description="requests with the keys of api_keys may name a callback_url")
    cors_origins: str = Field(default="", description="comma-separated origins whose pages may call; *: any page's")
    max_body: int = Field(default=32 * 1024 * 1024, gt=0, description="bytes of a request body, at most")
    link_seconds: int = Field(default=3600, gt=0, description="how long the signed link in `url` works")
    media_url: str = Field(default="", description="empty: files in the data directory; else file:, s3:, gs:, az:")
    content_redirect: bool = Field(default=False, description="answer with the object store's own link")
    retention: Seconds = Field(default=604_800, ge=0, description="how long a finished video is kept; 0: for ever")
    disk_floor: int | None = Field(default=None, ge=0, description="bytes that must be free to take new requests")
    drain_delay: Seconds = Field(default=0, ge=0, description="how long to go on, not ready, when asked to end")
    log_format: str = Field(default="json", pattern="^(json|console)$", description="json or console")
    log_level: str = Field(default="info", description="debug, info, warning or error")

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        if value and not value.startswith(("sqlite:///", *_POSTGRES)):
            raise ValueError("must begin with sqlite:/// or postgresql://")
        return value

    @field_validator("public_url")
    @classmethod
    def _no_slash(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return value.rstrip("/")

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: str) -> str:
        if not all(origin == "*" or _ORIGIN.fullmatch(origin) for origin in _listed(value)):
            raise ValueError("each must be an origin, such as https://app.example.com or http://localhost:3000, or *")
        return value

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins whose pages may call."""
        return _listed(self.cors_origins)

    @property
    def keys(self) -> tuple[str, ...]:
        """The callers' keys."""
        return _listed(self.api_keys.get_secret_value())

    @property
    def aliases(self) -> Mapping[str, str]:
        """Model names that stand for others."""
        pairs = [part.split("=", 1) for part in self.model_aliases.split(",") if part.strip()]
        if any(len(pair) != 2 or not all(side.strip() for side in pair) for pair in pairs):  # noqa: PLR2004 (a pair)
            raise ConfigurationError(f"{PREFIX}MODEL_ALIASES must be NAME=MODEL, separated by commas.")
        return {name.strip(): model.strip() for name, model in pairs}

    @property
    def shared(self) -> bool:
        """Whether the database is one that several processes serve: PostgreSQL."""
        return self.database_url.startswith(_POSTGRES)

    @property
    def database_name(self) -> str:
        """The database as it may be shown."""
        if not self.shared:
            return str(self.database_path)
        parts = urlsplit(self.database_url)
        return f"postgresql://{parts.hostname or ''}:{parts.port or 5432}{parts.path}"

    @property
    def database_secrets(self) -> tuple[str, ...]:
        """What of the database's URL nobody may read in a log."""
        password = urlsplit(self.database_url).password if self.shared else None
        return (password, unquote(password)) if password else ()

    @property
    def database_path(self) -> Path:
        """The SQLite file."""
        return Path(self.database_url.removeprefix("sqlite:///")) if self.database_url else self.data_dir / "gateway.db"


def _listed(value: str) -> tuple[str, ...]:
    return tuple(part for part in (part.strip() for part in value.split(",")) if part)


def read_settings() -> Settings:
    """Read the environment and `.env`. Raises ConfigurationError, naming the variable."""
    try:
        return Settings()
    except ValidationError as error:
        raise ConfigurationError(_in_words(error, PREFIX)) from None


def environment() -> Mapping[str, str]:
    """The variables of ours that are set and not empty; the environment wins over `.env`."""
    merged = {**dotenv_values(ENV_FILE), **os.environ}
    return {name: value for name, value in merged.items() if value and name.startswith(PREFIX)}


def lend_to_libraries() -> None:
    """Give the variables of object stores and traces that stand in `.env` to the process: libraries read them there."""
    for name, value in dotenv_values(ENV_FILE).items():
        if name.startswith(_LENT) and value:
            os.environ.setdefault(name, value)


def vendor_config(name: str, config: type[VendorConfig], variables: Mapping[str, str]) -> VendorConfig | None:
    """A vendor's settings from `VIDEOGATE_<NAME>_<FIELD>`, or None while none of its credentials is set.

    Raises ConfigurationError if only some of them are, or one is wrong.
    """
    prefix = f"{PREFIX}{name.upper()}_"
    values: dict[str, Any] = {
        field: variables[prefix + field.upper()] for field in config.model_fields if prefix + field.upper() in variables
    }
    if not config.credentials() & values.keys():
        return None
    try:
        return config(**values)
    except ValidationError as error:
        raise ConfigurationError(_in_words(error, prefix)) from None


def unknown_variables(variables: Mapping[str, str], vendors: Mapping[str, type[VendorConfig]]) -> list[str]:
    """Names with our prefix that no setting has: most often a slip."""
    known = {PREFIX + field.upper() for field in Settings.model_fields}
    for name, config in vendors.items():
        known |= {f"{PREFIX}{name.upper()}_{field.upper()}" for field in config.model_fields}
    return sorted(variables.keys() - known)


def _in_words(error: ValidationError, prefix: str) -> str:
    # The messages name the variable and the rule, never the value: it may be a key.
    return "; ".join(
        f"{prefix}{'_'.join(str(part) for part in each['loc']).upper()}".rstrip("_") + f": {each['msg']}"
        for each in error.errors()
    )
