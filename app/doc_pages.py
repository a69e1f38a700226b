"""The documentation as Markdown, which comes with the package, and its index for language models (llmstxt.org)."""

import re
from functools import cache
from importlib.resources import files

_LINK = re.compile(r"\[([^]]+)\]\([^)]*\)")
_MOST_WORDS = 200  # characters of a page's first paragraph in the index
_HEAD = """# Flawsmith

> A REST service that trains GANs on a few photographs of defects and serves synthetic ones. Every image has an address
> (model version, defect type, seed) whose bytes never change.

Upload photographs (`POST /datasets`), train (`POST /training-jobs`, then `GET /training-jobs/{id}/events`), and ask for
images (`POST /generate` with `{"model": "NAME", "count": 16}`). Every error is `application/problem+json`, whose
`detail` says what was wrong and what would be right. Where keys are set, calls need the header `Authorization: Bearer
KEY`. Mutating calls take an `Idempotency-Key`; 429 and 503 come with `Retry-After`.

- [OpenAPI document](openapi.json): every call, with schemas, scopes, headers and examples

## Documentation

"""


@cache
def doc_pages() -> dict[str, str]:
    """Maps the file name of each page, such as ``training.md``, to its text."""
    folder = files("flawsmith").joinpath("docs")
    return {
        each.name: each.read_text("utf-8")
        for each in sorted(folder.iterdir(), key=lambda each: each.name)
        if each.name.endswith(".md")
    }


@cache
def llms_txt() -> str:
    """An index of the pages, each with its title and the begin of its first paragraph."""
    return _HEAD + "".join(f"- [{_title(text)}](docs/{name}): {_summary(text)}\n" for name, text in doc_pages().items())


def _title(text: str) -> str:
    return text.partition("\n")[0].removeprefix("# ")


def _summary(text: str) -> str:
    """The first sentences of the first paragraph, in plain text."""
    paragraph = next(part for part in text.split("\n\n")[1:] if not part.startswith(("```", "#", "|")))
    plain = " ".join(_LINK.sub(r"\1", paragraph).split())
    if len(plain) <= _MOST_WORDS:
        return plain
    return plain[:_MOST_WORDS].rpartition(" ")[0] + " …"
