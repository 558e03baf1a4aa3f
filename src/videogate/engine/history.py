"""How long each model really takes here: what progress and the first look are estimated from."""

from collections import defaultdict, deque
from collections.abc import Iterable
from statistics import median

KEPT = 50  # jobs of a model
ENOUGH = 3  # jobs; fewer say little, and the model's documented time counts


class History:
    """The middle of a model's last jobs. `past`: vendor, model and seconds of earlier ones, the oldest first."""

    def __init__(self, past: Iterable[tuple[str, str, float]] = ()) -> None:
        self._jobs: dict[tuple[str, str], deque[float]] = defaultdict(lambda: deque(maxlen=KEPT))
        for vendor, model, seconds in past:
            self.add(vendor, model, seconds)

    def add(self, vendor: str, model: str, seconds: float) -> None:
        """A job has ended well, so many seconds after its vendor accepted it."""
        self._jobs[vendor, model].append(seconds)

    def usual(self, vendor: str, model: str) -> float | None:
        """Seconds that a job of this model takes; None while too few have been seen."""
        jobs = self._jobs.get((vendor, model), ())
        return median(jobs) if len(jobs) >= ENOUGH else None
