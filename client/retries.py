"""When a failed call is repeated: after what the service asks for, else with exponential backoff and jitter.

Repeating is safe: a call that changes something carries an Idempotency-Key, the same each time.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from flawsmith.client.commands import RETRIED, Answer, Flow, Request, send, sleep
from flawsmith.client.errors import DeadlinePassed, FlawsmithError, InFlight, NoAnswer, Problem

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 20.0  # seconds, before jitter
FIRST_CONTACT_SECONDS = 2.0  # for a service that has never answered: most likely the URL is wrong

OnRetry = Callable[[FlawsmithError, float], None]


@dataclass
class RetryPolicy:
    """How long a client repeats failing calls.

    Attributes:
        deadline: seconds after a call's first failure, after which it is not repeated any more.
        on_retry: is told each error and the seconds until the next try.
        contacted: whether the service has answered this client.
    """

    deadline: float
    on_retry: OnRetry | None = None
    contacted: bool = False


class Retries:
    """The repetitions of one call."""

    def __init__(self, policy: RetryPolicy) -> None:
        self.policy, self._failures = policy, 0
        self._since: float | None = None

    def pause(self, error: FlawsmithError) -> float:
        """Seconds until the next try. Raises the error where no further try would help, or none is left in time."""
        if not is_temporary(error):
            raise error
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        asked = error.retry_after if isinstance(error, Problem) else None
        seconds = self._backoff() if asked is None else asked + random.uniform(0, min(1.0, asked / 10))
        bound = self.policy.deadline
        if isinstance(error, NoAnswer) and not self.policy.contacted:
            bound = min(bound, FIRST_CONTACT_SECONDS)
        if now + seconds > self._since + bound:
            raise error
        self._failures += 1
        if self.policy.on_retry:
            self.policy.on_retry(error, seconds)
        return seconds

    def answered(self) -> None:
        """The service is there: the next failure is a first one."""
        self._since = None
        self.policy.contacted = True

    def got_on(self) -> None:
        """The call has got further: the next pause is a short one."""
        self.answered()
        self._failures = 0

    def _backoff(self) -> float:
        return random.uniform(0.5, 1.0) * min(LONGEST_PAUSE, FIRST_PAUSE * 2.0**self._failures)


def is_temporary(error: FlawsmithError) -> bool:
    """Whether the same call may succeed later. Not after a deadline that the caller has set."""
    if isinstance(error, Problem):
        return isinstance(error, InFlight) or (error.status in RETRIED and not isinstance(error, DeadlinePassed))
    return isinstance(error, NoAnswer)


def repeated(policy: RetryPolicy, request: Request) -> Flow[Answer]:
    """The answer to a request that may be repeated. Raises Problem, NoAnswer, UnexpectedAnswer."""
    retries = Retries(policy)
    while True:
        try:
            answer = yield from send(request)
            policy.contacted = True
            return answer.check()
        except FlawsmithError as error:
            yield from sleep(retries.pause(error))
