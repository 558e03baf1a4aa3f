"""The settings of a vendor."""

import re
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")


class VendorConfig(BaseModel):
    """A vendor's settings, read from `VIDEOGATE_<NAME>_<FIELD>`.

    The vendor is on when one of its credentials, the fields of type SecretStr, is set; it must then be complete, or a
    validator of the vendor's says what is missing. Fields are declared by the vendor; these are everybody's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    base_url: str
    poll_interval: float = 2.0  # seconds; the schedule's floor
    max_jobs: int | None = Field(default=None, ge=0)  # at once; None is the documented figure, 0 any number
    # Calls a second; None is what the vendor documents for everybody, but contracts differ.
    submits_per_second: float | None = Field(default=None, gt=0)
    polls_per_second: float | None = Field(default=None, gt=0)
    # Comma-separated: where results may be, with all below. Empty is any public host, for no vendor's documents promise
    # theirs, and a list that misses one would lose videos that are paid.
    result_hosts: str = ""

    @field_validator("result_hosts")
    @classmethod
    def _hosts_only(cls, value: str) -> str:
        if not all(_HOST.fullmatch(name) for name in _names(value)):
            raise ValueError("must be names of hosts, separated by commas, such as example.com")
        return value

    @classmethod
    def credentials(cls) -> frozenset[str]:
        """The fields that hold a secret."""
        return frozenset(name for name, info in cls.model_fields.items() if _holds_secret(info.annotation))

    @property
    def hosts(self) -> tuple[str, ...]:
        """Each of `result_hosts`."""
        return _names(self.result_hosts)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret value of this vendor, for redaction."""
        values = (getattr(self, name) for name in type(self).model_fields)
        return tuple(value.get_secret_value() for value in values if isinstance(value, SecretStr))


def _names(listed: str) -> tuple[str, ...]:
    return tuple(name.strip().lower().removeprefix(".") for name in listed.split(",") if name.strip())


def _holds_secret(annotation: Any) -> bool:
    return annotation is SecretStr or SecretStr in get_args(annotation)
