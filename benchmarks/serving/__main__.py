"""Runs all benchmarks of serving and writes one page: `make bench`.

    python -m benchmarks.serving [--peers-python .venv-peers/bin/python]

The comparison writes docs/benchmarks.md; the output of the other commands is appended. It takes about half an hour.
"""

import argparse
import subprocess
import sys

from benchmarks.serving.compare import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
OTHERS = {
    "Ten times the capacity": "overload",
    "Long lists": "catalogue",
    "Two sampling workers": "workers",
    "Copies kept out": "copy_control",
    "What one image costs each part": "costs",
    "100,000 images and three kills": "soak",
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--peers-python", help="interpreter of the peers' environment")
    given = options.parse_args()
    peers = ["--peers-python", given.peers_python] if given.peers_python else []
    failed = _run("compare", *peers, quiet=False)[0]
    for title, command in OTHERS.items():
        status, printed = _run(command)
        failed |= status
        with PAGE.open("a") as page:
            page.write(f"\n## {title}\n\nOutput of `python -m benchmarks.serving.{command}`:\n\n```\n{printed}```\n")
        print(printed, flush=True)
    sys.exit(failed)


def _run(command: str, *words: str, quiet: bool = True) -> tuple[int, str]:
    """Runs a command; returns its exit status and, if ``quiet``, its output instead of showing it."""
    output = subprocess.PIPE if quiet else None
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.serving.{command}", *words], stdout=output, text=True, cwd=ROOT, check=False
    )
    return done.returncode, done.stdout or ""


if __name__ == "__main__":
    main()
