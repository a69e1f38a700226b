"""Commands that speak to a running service about datasets, models and images."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flawsmith.cli.options import Json, Key, TagOption, Url, calling, of_job, ranges
from flawsmith.cli.output import counted, print_json, print_table, progress_bar

if TYPE_CHECKING:
    from flawsmith.client import Job, Version

app = typer.Typer()

Reference = Annotated[str, typer.Argument(help="such as steel@2, steel@production, or steel: what the service serves")]


@app.command()
def ready(
    wait: Annotated[float, typer.Option(min=0, help="seconds to wait for it")] = 0.0,
    url: Url = "",
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Say whether the service is ready; status 1 if it is not."""
    with calling(url, key) as client:
        found = client.ready(wait)
    if as_json:
        print_json(dict(found.raw))
    else:
        print("; ".join([found.status, *found.missing, *found.warnings]))
    raise typer.Exit(0 if found.ready else 1)


@app.command()
def upload(
    source: Annotated[
        list[Path], typer.Argument(help="a folder of folders (their names are the types), an archive, or picture files")
    ],
    name: Annotated[str | None, typer.Option(help="of the dataset; default: that of the folder or archive")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="delete the dataset that has this name")] = False,
    split: Annotated[str | None, typer.Option(help="train, val, test or all")] = None,
    layout: Annotated[str | None, typer.Option(help="how to read the upload")] = None,
    class_from: Annotated[str | None, typer.Option(help="what names the type of a photograph")] = None,
    clean: Annotated[str | None, typer.Option(help="folders of clean photographs, separated by commas")] = None,
    onto: Annotated[
        str | None, typer.Option(help="a dataset: make a new one of its photographs, then those that it lacks")
    ] = None,
    url: Url = "",
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Upload photographs as a dataset; say which files cannot be used, and why."""
    given = source[0] if len(source) == 1 else source
    how = {"split": split, "layout": layout, "class_from": class_from, "clean": clean}
    with calling(url, key) as client, progress_bar("uploading", of_bytes=True) as show:
        if onto is None:
            dataset = client.upload(given, name=name, replace=replace, on_progress=show, **how)
        else:
            dataset = client.add_photographs(onto, given, name=name, replace=replace, on_progress=show, **how)
    if as_json:
        return print_json(dict(dataset.raw))
    types = ", ".join(f"{each} {count}" for each, count in dataset.classes.items())
    print(f"dataset {dataset.name} ({dataset.id}): {counted(dataset.image_count, 'photograph')}: {types}")
    for warning in dataset.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    for each in dataset.rejected:
        print(f"not used: {each['file']}: {each['reason']}", file=sys.stderr)
    return None


@app.command()
def datasets(url: Url = "", key: Key = "", as_json: Json = False) -> None:
    """List the datasets, newest first."""
    with calling(url, key) as client:
        found = list(client.datasets())
    if as_json:
        return print_json([each.raw for each in found])
    rows = [(each.name, each.id, each.image_count, ", ".join(each.classes)) for each in found]
    return print_table(("name", "id", "photographs", "types"), rows)


@app.command()
def models(
    name: Annotated[str | None, typer.Argument(help="list this model's versions")] = None,
    tag: TagOption = None,
    search: Annotated[str | None, typer.Option(help="words in note, tags or names")] = None,
    url: Url = "",
    key: Key = "",
    as_json: Json = False,
) -> None:
    """List the models, or the versions of one with their verdicts."""
    with calling(url, key) as client:
        if name is None:
            found = list(client.models(tags=tag or (), search=search))
            if as_json:
                return print_json([each.raw for each in found])
            listed = [
                (m.name, len(m.versions), m.serves or "-", _aliases(m.aliases), ", ".join(m.tags) or "-") for m in found
            ]
            return print_table(("model", "versions", "serves", "aliases", "tags"), listed)
        model = client.model(name)
        versions = list(client.versions(name, tags=tag or (), search=search))
    if as_json:
        return print_json({**model.raw, "cards": [each.raw for each in versions]})
    rows = [
        (
            each.ref,
            each.verdict.state if each.verdict else "-",
            ", ".join(alias for alias, number in model.aliases.items() if number == each.version) or "-",
            f"{each.resolution} px",
            ", ".join(each.classes),
            ", ".join(each.tags) or "-",
        )
        for each in versions
    ]
    return print_table(("version", "verdict", "aliases", "size", "types", "tags"), rows)


@app.command()
def note(
    of: Annotated[str, typer.Argument(help="a job's id, or a version such as steel@2")],
    text: Annotated[str | None, typer.Argument(help='the note; "" removes it; left out, it stays')] = None,
    tag: TagOption = None,
    untag: Annotated[list[str] | None, typer.Option(help="remove a tag; several times for several")] = None,
    url: Url = "",
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Show the note and the tags of a job or version, or change them."""
    changes: dict[str, Any] = {"note": text, "add_tags": tag or (), "remove_tags": untag or ()}
    with calling(url, key) as client:
        found: Job | Version
        if of_job(of):
            found = client.note_job(of, **changes) if text is not None or tag or untag else client.job(of)
        else:
            found = client.note_version(of, **changes) if text is not None or tag or untag else client.version(of)
    if as_json:
        return print_json({name: found.raw[name] for name in ("note", "tags", "noted_at")})
    print(found.note or "no note")
    return print(f"tags: {', '.join(found.tags) or 'none'}")


@app.command()
def promote(
    version: Reference,
    alias: Annotated[str, typer.Option(help="that shall point at the version")] = "production",
    override: Annotated[str | None, typer.Option(help="why it is right whatever speaks against it")] = None,
    url: Url = "",
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Point an alias at a version; for `production` there is a gate, and it gives its reasons."""
    with calling(url, key) as client:
        model = client.promote(version, alias, override=override)
    if as_json:
        return print_json(dict(model.raw))
    return print(f"{model.name}@{alias} is {model.name}@{model.aliases[alias]} now")


@app.command()
def bundle(
    version: Reference,
    out: Annotated[Path, typer.Option(help="file or folder; default: NAME-VERSION.bundle.zip here")] = Path(),
    url: Url = "",
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Write a version as one file, to import it into a service that this one cannot reach."""
    with calling(url, key) as client, progress_bar("downloading", of_bytes=True) as show:
        path = client.bundle(version, out, on_progress=show)
    if as_json:
        return print_json({"file": str(path)})
    return print(f"the version is in {path}; flawsmith import {path} publishes it at another service")


@app.command("import")
def import_bundle(
    file: Annotated[Path, typer.Argument(help="that flawsmith bundle wrote")],
    url: Url = "",
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Publish the version of a bundle, under its own name and number."""
    with calling(url, key) as client, progress_bar("uploading", of_bytes=True) as show:
        version = client.import_version(file, on_progress=show)
    if as_json:
        return print_json(dict(version.raw))
    return print(f"{version.ref} is here; its addresses give the same images as where it comes from")


@app.command()
def report(
    version: Reference,
    out: Annotated[Path | None, typer.Option(help="file for the page; default: NAME-VERSION-report.html")] = None,
    open_it: Annotated[bool, typer.Option("--open", help="open the page in the browser")] = False,
    url: Url = "",
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Write the page of a version's quality report, and open it if asked to; --json prints the report."""
    import webbrowser

    with calling(url, key) as client:
        if as_json:
            return print_json(client.report(version))
        name, number = client.numbered(version)
        path = out or Path(f"{name}-{number}-report.html")
        path.write_bytes(client.report_page(f"{name}@{number}"))
    print(f"the report is in {path}")
    if open_it and not webbrowser.open(path.resolve().as_uri()):
        print("there is no browser on this machine to open it with", file=sys.stderr)
    return None


@app.command()
def generate(
    model: Reference,
    count: Annotated[int, typer.Option(min=1, help="images")] = 1,
    out: Annotated[Path, typer.Option(help="folder: TYPE/SEED.png and manifest.json")] = Path("images"),
    defect_type: Annotated[str | None, typer.Option("--type", help="default: all types in turn")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="of the first image; default: new images")] = None,
    attribute: Annotated[list[str] | None, typer.Option(help="such as angle=30..60; several times for several")] = None,
    labels: Annotated[str | None, typer.Option(help="mask or box, of a version with labels")] = None,
    max_similarity: Annotated[float | None, typer.Option(help="to a photograph, at most")] = None,
    url: Url = "",
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Make synthetic images and write them into a folder."""

    if labels not in (None, "mask", "box"):
        raise typer.BadParameter("is mask or box", param_hint="--labels")
    bounds = ranges(attribute or [])
    with calling(url, key) as client, progress_bar("generating") as show:
        images = client.generate(
            model,
            count,
            defect_type=defect_type,
            seed=seed,
            attributes=bounds,
            labels="mask" if labels == "mask" else "box" if labels == "box" else None,
            max_similarity=max_similarity,
            on_progress=show,
        )
        files = images.save(out)
    if as_json:
        entries = [{"file": str(file), **each.raw} for file, each in zip(files, images, strict=True)]
        return print_json({"model": images.model, "images": entries})
    return print(f"{counted(len(images), 'image')} of {images.model} in {out}")


def _aliases(aliases: dict[str, int]) -> str:
    return ", ".join(f"{name}: {number}" for name, number in aliases.items()) or "-"
