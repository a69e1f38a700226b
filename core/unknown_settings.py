"""Variables of the environment that look like settings and are none: a misspelt one would be ignored in silence."""

import logging
import os
from collections.abc import Collection, Iterable
from difflib import get_close_matches

from flawsmith.core.settings import Settings

log = logging.getLogger(__name__)

PREFIX = "FLAWSMITH_"
OF_CLIENTS = ("FLAWSMITH_URL", "FLAWSMITH_API_KEY")  # of `flawsmith.client` and the commands that use it
LEAST_ALIKE = 0.7  # of 1, the similarity of a name that was probably meant


def unknown_settings(variables: Iterable[str], fields: Collection[str]) -> list[str]:
    """What to say of each variable that nothing reads, without its value.

    Args:
        variables: names in the environment.
        fields: of `Settings`.
    """
    read = {f"{PREFIX}{each.upper()}" for each in fields} | set(OF_CLIENTS)
    found = []
    for name in sorted(variables):
        if name.upper().startswith(PREFIX) and name.upper() not in read:
            similar = get_close_matches(name[len(PREFIX) :].lower(), fields, n=1, cutoff=LEAST_ALIKE)
            meant = f"did you mean {PREFIX}{similar[0].upper()}?" if similar else "docs/settings.md lists them"
            found.append(f"the environment has {name}, which is no setting; {meant}")
    return found


def warn_of_unknown_settings() -> None:
    """Logs a warning of each."""
    for each in unknown_settings(os.environ, Settings.model_fields):
        log.warning(each)
