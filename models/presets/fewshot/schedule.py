"""How learning rate, penalty weight and conditioning change over a `fewshot` run."""

from flawsmith.models.training.schedule import cosine_decay, linear_ramp

FINAL_SHARE = 0.25  # of the learning rate, at the end of the run
CONDITIONING_START, CONDITIONING_COMPLETE = 0.15, 0.4  # shares of the run


class FewshotSchedule:
    """The numbers of a step, from how far the run is.

    Args:
        learning_rate: at the start of the run.
        gradient_penalty: gamma, which stays the same over the run.
        classes: number of defect types, times that of their kinds. A run of one is never conditioned.

    Attributes:
        reductions: how often the run was made gentler: each halves the learning rate and doubles gamma.
    """

    def __init__(self, learning_rate: float, gradient_penalty: float, classes: int) -> None:
        self._learning_rate, self._gradient_penalty, self._classes = learning_rate, gradient_penalty, classes
        self.reductions = 0

    def learning_rate(self, progress: float) -> float:
        return self._learning_rate * cosine_decay(progress, FINAL_SHARE) * 0.5**self.reductions

    @property
    def gradient_penalty(self) -> float:
        return self._gradient_penalty * 2.0**self.reductions

    def conditioning(self, progress: float) -> float:
        """How much the defect type, and its kind, matter, 0 to 1 (Shahbazi et al. 2022, arXiv:2201.06578)."""
        return linear_ramp(progress, CONDITIONING_START, CONDITIONING_COMPLETE) if self._classes > 1 else 0.0
