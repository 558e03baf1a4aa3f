"""A token bucket: how many calls of one kind may begin now."""


class Bucket:
    """Allows `rate` calls a second, with bursts of up to one second's worth (at least one call)."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._most = max(1.0, rate)
        self._tokens = self._most
        self._at: float | None = None

    def available(self, now: float) -> int:
        """Whole calls that may begin at `now` (monotonic seconds)."""
        if self._at is not None:
            self._tokens = min(self._most, self._tokens + max(0.0, now - self._at) * self._rate)
        self._at = now
        return int(self._tokens)

    def take(self, count: int) -> None:
        """Spend calls that were available."""
        self._tokens -= count

    def wait(self) -> float:
        """Seconds until one more call is available."""
        return max(0.0, (1.0 - self._tokens) / self._rate)
