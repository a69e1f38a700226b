"""Makes a version of a bundle: under the same name and number, so that its addresses give the same bytes here."""

import hashlib
from typing import Any, cast

from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.domain.version_bundle import NumberTaken
from flawsmith.core.store.bundle_checks import WITHDRAWN
from flawsmith.core.store.bundle_reading import UnpackedBundle
from flawsmith.core.store.interface import Place
from flawsmith.core.store.reference_photographs import FILE as REFERENCES
from flawsmith.core.store.registry import Registry, UnknownModel

_KEPT = ("card.json", REFERENCES)  # the card is compared by what it says; photographs may have been deleted here


def is_here(registry: Registry, bundle: UnpackedBundle) -> bool:
    """Whether the bundle's version is published here, as it is in the bundle.

    Raises:
        NumberTaken: another version has its number.
    """
    try:
        found = registry.version(bundle.card.model, str(bundle.card.version))
    except UnknownModel:
        return False
    if found == bundle.card and _stored(registry.folder(found)) == _bundled(bundle):
        return True
    raise NumberTaken(
        f"there is another {found.ref} here already, published at {found.created_at.isoformat()} by "
        f"{found.published_by}. An import keeps name and number, so that addresses stay the same: train or label the "
        "model under another name at the other site, or import into a service without this one"
    )


def check_family(registry: Registry, card: ModelVersion) -> None:
    """Raises NumberTaken where another version has the number of the one that this one labels, or was labelled as."""
    relatives = [each for each in registry.versions(card.model) if each.parent == card.ref or each.ref == card.parent]
    for each in relatives:
        if each.weights_sha256 != card.weights_sha256:
            raise NumberTaken(
                f"{card.ref} and {each.ref} must have the same weights, since one labels the other, and the {each.ref} "
                "here has others: import into a service without it"
            )


def withdrawn_since(registry: Registry, bundle: UnpackedBundle) -> list[tuple[Address, str]]:
    """What was withdrawn of the version at the other site and not here, with the reasons."""
    path = bundle.results / "withdrawn.json"
    entries = WITHDRAWN.validate_json(path.read_bytes()) if path.exists() else []
    here = registry.withdrawn(bundle.card)
    found = [(Address(each.defect_type, each.seed), each.reason) for each in entries]
    return [(address, reason) for address, reason in found if address not in here]


def _stored(folder: Place) -> dict[str, str]:
    """Digests of a version's files here, by name."""
    found = {}
    for each in folder.iterdir():
        if each.name not in _KEPT:
            with each.open("rb") as file:
                found[each.name] = hashlib.file_digest(
                    cast(Any, file), "sha256"
                ).hexdigest()  # BinaryIO has no readinto
    return found


def _bundled(bundle: UnpackedBundle) -> dict[str, str]:
    files = {
        name.removeprefix("version/"): each
        for name, each in bundle.manifest.files.items()
        if name.startswith("version/")
    }
    return {name: each.sha256 for name, each in files.items() if name not in _KEPT}
