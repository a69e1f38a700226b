"""Random states are saved and restored."""

import json
import random

import numpy as np
import torch

from flawsmith.worker.determinism import random_states, restore_random_states, seed_process

CPU = torch.device("cpu")


def draws() -> tuple[float, float, float, float]:
    return random.gauss(0, 1), float(np.random.normal()), float(torch.randn(())), random.random()


def test_all_of_them_continue_after_a_round_trip_through_json() -> None:
    seed_process(7)
    draws()
    states, tensors = random_states(CPU)
    written = json.dumps(states)
    wanted = [draws() for _ in range(5)]
    seed_process(8)
    restore_random_states(json.loads(written), tensors, CPU)
    assert [draws() for _ in range(5)] == wanted
