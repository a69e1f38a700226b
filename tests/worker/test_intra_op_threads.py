"""Threads that compute side by side, each on its own cores."""

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


def test_the_same_bytes_on_one_core_or_several_and_side_by_side() -> None:
    torch.manual_seed(0)
    draw = InferenceSession(Generator(32, 1, 20, 8, 1).eval(), 20, 16, "float32", torch.device("cpu"))
    told = torch.randn(16, 20), torch.zeros(16, dtype=torch.int64)
    expected, pipeline = draw(*told), Barrier(3)

    def drawn(count: int) -> torch.Tensor:
        pipeline.wait(timeout=30)
        return draw(told[0][:count], told[1][:count])

    before = torch.get_num_threads()
    try:
        for cores in (1, 2):
            with ThreadPoolExecutor(3, initializer=set_intra_op_threads, initargs=(cores,)) as threads:
                for count, images in zip((16, 7, 1), threads.map(drawn, (16, 7, 1)), strict=True):
                    assert torch.equal(images, expected[:count])
    finally:
        set_intra_op_threads(before)
