"""Chooses among the photographs of an upload: those of the split that is trained on, clean ones, and the rest."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from flawsmith.core.store.archives import printable
from flawsmith.core.store.datasets.folder_words import SPLITS
from flawsmith.core.store.datasets.recognition import Role

ALL_SPLITS = "all"


class UnknownSplit(Exception):
    """The upload has no such split; the message says which it has."""


@dataclass(frozen=True)
class Selection:
    """What is trained on, what is kept beside it, what is rejected (reasons by path), and sentences about that."""

    photographs: list[Role]
    clean: list[Role]
    rejected: dict[str, str]
    splits: dict[str, int]
    notes: list[str]


def select(roles: Sequence[Role], asked: str | None, known_types: Collection[str] | None = None) -> Selection:
    """Selects photographs of defects of the split ``train``, unless another one is asked for.

    Where there is no photograph of a defect in ``train``, those of another split are used, ``test`` first. Where there
    is none at all, the clean photographs are trained on, unless they are added to a dataset that trains on others.

    Args:
        roles: all photographs.
        asked: a split, `ALL_SPLITS`, or None.
        known_types: of the dataset that they are added to; None: they are a dataset of their own.

    Raises:
        UnknownSplit: no photograph is of the split that was asked for.
    """
    splits = Counter(each.split for each in roles if each.split)
    chosen, notes = _chosen(roles, splits, asked)
    used = [each for each in roles if each.split in chosen or each.split is None]
    photographs = [each for each in used if not each.clean]
    clean = [each for each in roles if each.clean and each.split in {*chosen, None, "train"}]
    if not photographs and (known_types is None or any(each.defect_type in known_types for each in used)):
        photographs, clean = [replace(each, clean=False) for each in used], []
        notes.append("no photograph of a defect was found: the clean ones are trained on")
    kept = {each.picture.path for each in (*photographs, *clean)}
    rejected: dict[str, str] = {}
    for each in roles:
        if each.picture.path not in kept:
            reason = f"of the split '{each.split}', which is not trained on; the form field 'split' can choose it"
            rejected |= dict.fromkeys([each.picture.path, *(mask.path for mask in each.masks)], reason)
    return Selection(photographs, clean, rejected, dict(sorted(splits.items())), notes)


def _chosen(roles: Sequence[Role], splits: Counter[str], asked: str | None) -> tuple[set[str], list[str]]:
    """The splits whose photographs are used, and sentences about it."""
    if asked == ALL_SPLITS or (asked is None and not splits):
        return set(splits), []
    if asked is not None:
        split = SPLITS.get(asked.lower(), asked)
        if split not in splits:
            raise UnknownSplit(
                f"there is no split '{printable(asked)}' in the upload; splits: {', '.join(splits) or 'none'}, all"
            )
        return {split}, []
    if "train" not in splits:
        return set(splits), [f"there is no split 'train': all photographs are used ({', '.join(sorted(splits))})"]
    with_defects = {each.split for each in roles if not each.clean and each.split}
    if "train" in with_defects or not with_defects:
        others = ", ".join(sorted(splits.keys() - {"train"}))
        return {"train"}, [f"only the split 'train' is trained on, not {others}"] if others else []
    split = "test" if "test" in with_defects else min(with_defects)
    return {split}, [f"the split 'train' holds clean photographs only: the defects of '{split}' are trained on"]
