"""Compares Flawsmith with LitServe, BentoML, plain FastAPI, a bare endpoint, and the limits of the machine.

    python -m benchmarks.serving.compare [--quick] [--only one,pool,drained,zip,cold,limits] [--out docs/benchmarks.md]

Everything runs on this machine, the load generator included: a service with the article's generator, and the peers with
the same weights, measured one at a time in rotation. The peers need an environment of their own, made from
benchmarks/serving/peers/requirements.txt; `--peers-python` is its interpreter.
"""

import argparse
import shlex
import signal
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from benchmarks.serving.article_generator import article_config, publish, save_weights
from benchmarks.serving.comparison import PARTS, QUICK, Comparison, Plan
from benchmarks.serving.figures import Figures
from benchmarks.serving.flawsmith_service import MODEL, flawsmith
from benchmarks.serving.peer_servers import BARE, BENTOML, LITSERVE, PLAIN, peer_server
from benchmarks.serving.report import report, requirements_met

ROOT = Path(__file__).parents[2]


def main() -> None:
    given = _options().parse_args()
    parts = frozenset(given.only.split(","))
    if unknown := parts - set(PARTS):
        sys.exit(f"--only: there is no part {', '.join(sorted(unknown))}; parts: {', '.join(PARTS)}")
    chosen = {name: getattr(given, name) for name in ("rounds", "one_requests", "pool_requests")}
    plan = replace(
        QUICK if given.quick else Plan(),
        parts=parts,
        **{name: value for name, value in chosen.items() if value is not None},
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that all servers are stopped
    figures = _measure(plan, [each for each in given.peers.split(",") if each], given.peers_python)
    command = shlex.join(["python", "-m", "benchmarks.serving.compare", *sys.argv[1:]])
    given.out.write_text(report(figures, command, plan.rounds))
    print(given.out.read_text())
    sys.exit(not requirements_met(figures))


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="one short round, to check that everything runs")
    options.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas: %(default)s")
    every = ",".join((LITSERVE, BENTOML, PLAIN, BARE))
    options.add_argument("--peers", default=every, help="separated by commas, or '' for none: %(default)s")
    options.add_argument("--peers-python", type=Path, default=ROOT / ".venv-peers" / "bin" / "python")
    options.add_argument("--rounds", type=int)
    options.add_argument("--one-requests", type=int, help="of 1 client, from the pool")
    options.add_argument("--pool-requests", type=int, help="of 32 clients, from the pool")
    options.add_argument("--out", type=Path, default=ROOT / "docs" / "benchmarks.md")
    return options


def _measure(plan: Plan, peers: list[str], peers_python: Path) -> Figures:
    with tempfile.TemporaryDirectory() as name, ExitStack() as running:
        folder = Path(name)
        config = article_config()
        weights = save_weights(folder, config)
        service = running.enter_context(flawsmith(folder / "flawsmith"))
        version = publish(service.data_dir, MODEL, weights, config)
        comparison = Comparison(plan, service, weights, config)
        published = service.data_dir / "artifacts" / "models" / MODEL / "versions" / str(version.version)
        for each in peers:
            log = folder / f"{each.replace(' ', '-')}.log"
            print(f"starting {each}", flush=True)
            comparison.add(running.enter_context(peer_server(each, published, service.data_dir, log, peers_python)))
        comparison.run()
    return comparison.figures


if __name__ == "__main__":
    main()
