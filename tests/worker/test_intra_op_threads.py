"""Threads that compute in parallel, each on its own number of cores."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import torch

from flawsmith.models.inference.session import InferenceSession
from flawsmith.models.presets.dcgan.networks import Generator
from flawsmith.worker.intra_op_threads import set_intra_op_threads


def cores_of(threads: list[ThreadPoolExecutor]) -> list[int]:
    return [each.submit(torch.get_num_threads).result() for each in threads]


def test_each_thread_keeps_its_cores() -> None:
    before = torch.get_num_threads()
    threads = [ThreadPoolExecutor(1, initializer=set_intra_op_threads, initargs=(cores,)) for cores in (1, 3, 2)]
    try:
        assert cores_of(threads) == [1, 3, 2]
        assert cores_of(threads) == [1, 3, 2]  # after all of them have been set
    finally:
        for each in threads:
            each.shutdown()
        set_intra_op_threads(before)


def test_the_same_bytes_on_one_core_or_several_and_in_parallel() -> None:
    torch.manual_seed(0)
    session = InferenceSession(Generator(32, 1, 20, 8, 1).eval(), 20, 16, "float32", torch.device("cpu"))
    latents, types = torch.randn(16, 20), torch.zeros(16, dtype=torch.int64)
    expected, start = session.sample(latents, types), Barrier(3)

    def sampled(count: int) -> torch.Tensor:
        start.wait(timeout=30)
        return session.sample(latents[:count], types[:count])

    before = torch.get_num_threads()
    try:
        for cores in (1, 2):
            with ThreadPoolExecutor(3, initializer=set_intra_op_threads, initargs=(cores,)) as threads:
                for count, images in zip((16, 7, 1), threads.map(sampled, (16, 7, 1)), strict=True):
                    assert torch.equal(images, expected[:count])
    finally:
        set_intra_op_threads(before)
