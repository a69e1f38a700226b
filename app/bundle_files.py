"""The bundles that are being sent: each is on disk once, however many callers want it, and gone after the last."""

import threading
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from starlette.types import Receive, Scope, Send

from flawsmith.app.conditional import RangedFile
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.bundle_writing import Bundle

ZIP = "application/zip"


@dataclass
class _Held:
    """A written bundle, how many answers read it, and what deletes it."""

    path: Path
    answers: int
    stack: ExitStack


class BundleFiles:
    """Safe to use from threads."""

    def __init__(self, store: ArtifactStore) -> None:
        self.store = store
        self._held: dict[str, _Held] = {}
        self._lock = threading.Lock()

    def answer(self, bundle: Bundle, etag: str, filename: str) -> "BundleResponse":
        """The answer with a bundle. Raises FileNotFoundError where a file of the version was deleted meanwhile."""
        with self._lock:
            if bundle.digest not in self._held:
                with ExitStack() as stack:
                    path = stack.enter_context(self.store.staged()) / "bundle.zip"
                    bundle.write(path)
                    self._held[bundle.digest] = _Held(path, 0, stack.pop_all())
            held = self._held[bundle.digest]
            held.answers += 1
        return BundleResponse(self, bundle.digest, held.path, etag, filename)

    def release(self, digest: str) -> None:
        """An answer is sent, or its caller has gone."""
        with self._lock:
            held = self._held[digest]
            held.answers -= 1
            if held.answers == 0:
                del self._held[digest]
                held.stack.close()


class BundleResponse(RangedFile):
    """A bundle, or the ranges of it that the caller asks for."""

    def __init__(self, files: BundleFiles, digest: str, path: Path, etag: str, filename: str) -> None:
        super().__init__(path, etag=etag, media_type=ZIP, filename=filename)
        self._files, self._digest = files, digest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._files.release(self._digest)
