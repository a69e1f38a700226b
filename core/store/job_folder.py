"""A job's folder in the artifact store: its record, claims, checkpoints, history and sample grids."""

from flawsmith.core.store.interface import Place, Store


class JobFolder:
    """Where the files of one job are. A checkpoint is a folder named by its step, with a ``checkpoint.json``."""

    def __init__(self, store: Store, job_id: str) -> None:
        self.path = store.path("jobs", job_id)
        self.record = self.path / "record.json"
        self.claims = self.path / "claims"
        self.checkpoints = self.path / "checkpoints"
        self.history = self.path / "history.json"  # once its checkpoints, which hold it until then, are gone
        self.damaged = self.path / "damaged"  # checkpoints that could not be read
        self.samples = self.path / "samples"

    def checkpoint(self, step: int) -> Place:
        """The folder of a step's checkpoint."""
        return self.checkpoints / f"{step:09d}"

    def checkpoint_cards(self) -> list[Place]:
        """The ``checkpoint.json`` of every checkpoint, newest first."""
        return sorted(self.checkpoints.glob("*/checkpoint.json"), reverse=True)

    def checkpoint_step(self) -> int:
        """The step of the newest checkpoint; 0 without one."""
        return max((int(card.parent.name) for card in self.checkpoint_cards()), default=0)

    def sample(self, step: int) -> Place:
        """Where the sample grid of a step is, if there is one."""
        return self.samples / f"{step:09d}.png"

    def sample_steps(self) -> list[int]:
        """The steps that have a sample grid, the first one first."""
        return sorted(int(path.stem) for path in self.samples.glob("[0-9]*.png"))

    def latest_sample(self) -> Place | None:
        """The newest sample grid."""
        return max(self.samples.glob("[0-9]*.png"), default=None)
