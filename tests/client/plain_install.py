"""What `pip install flawsmith` gives without extras, from the packages that are installed here."""

import zipfile
from email import message_from_bytes
from importlib.metadata import Distribution, PackageNotFoundError, distribution, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def plain_requirements(wheel: Path) -> set[str]:
    """The distributions that the wheel without extras needs, and those that they need."""
    with zipfile.ZipFile(wheel) as archive:
        [name] = [each for each in archive.namelist() if each.endswith(".dist-info/METADATA")]
        metadata = message_from_bytes(archive.read(name))
    found, open_ = set[str](), list(metadata.get_all("Requires-Dist", []))
    while open_:
        requirement = Requirement(open_.pop())
        name = canonicalize_name(requirement.name)
        if (requirement.marker is None or requirement.marker.evaluate({"extra": ""})) and name not in found:
            found.add(name)
            open_ += _requires(name)
    return found


def linked(names: set[str], folder: Path) -> None:
    """Fills a folder with links to the modules and metadata of these distributions, as a site-packages folder."""
    folder.mkdir(parents=True)
    for name in names:
        for top in _top_levels(distribution(name)):
            link = folder / top.name
            if not link.exists():
                link.symlink_to(top)


def _requires(name: str) -> list[str]:
    try:
        return requires(name) or []
    except PackageNotFoundError:  # of another platform
        return []


def _top_levels(found: Distribution) -> set[Path]:
    tops = {Path(str(found.locate_file(""))) / file.parts[0] for file in found.files or () if file.parts[0] != ".."}
    return {top for top in tops if top.exists() and top.name != "__pycache__"}
