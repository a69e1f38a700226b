"""The trainer of the 2019 article's DCGAN."""

from dataclasses import replace

import pytest
import torch
from benchmarks.article_loop import ArticleLoop
from tests.models.presets.dcgan.runs import CONFIG
from torch import Tensor

from flawsmith.models.pixels import from_bytes, render
from flawsmith.models.presets.dcgan.trainer import DcganConfig, DcganTrainer


def trainer(count: int = 10, config: DcganConfig = CONFIG) -> DcganTrainer:
    images = torch.randint(0, 256, (count, 1, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return DcganTrainer(config, images, torch.arange(count) % 2, 2, torch.device("cpu"))


def test_an_epochs_last_short_batch_trains() -> None:
    run = trainer(count=9)  # batches of 4, 4 and 1
    assert run.steps_per_epoch == 3
    for _ in range(6):
        losses = run.step(0.5)
    assert run.completed_steps == 6
    assert set(losses) == {"discriminator_loss", "generator_loss", "real_score", "fake_score"}


def test_every_image_is_shown_once_an_epoch() -> None:
    run, batches = trainer(count=9), list[Tensor]()
    run.discriminator.register_forward_pre_hook(lambda _, inputs: batches.append(inputs[0].detach().clone()))
    for _ in range(2 * run.steps_per_epoch):
        run.step(0.5)
    shown = torch.cat(batches[::3])  # each step's first pass is of photographs, two others are of samples
    of_photographs = torch.cdist(shown.flatten(1), from_bytes(run.images).flatten(1)).argmin(1).tolist()
    for epoch in (of_photographs[:9], of_photographs[9:]):
        assert sorted(epoch) == list(range(9))


def test_a_resumed_run_continues_bit_by_bit_as_if_it_had_never_stopped() -> None:
    whole, first_half = trainer(), trainer()
    expected = [whole.step(0.5) for _ in range(8)]
    losses = [first_half.step(0.5) for _ in range(4)]
    state = {name: value.contiguous().clone() for name, value in first_half.state_dict().items()}
    second_half = trainer()
    second_half.load_state_dict(state)
    losses += [second_half.step(0.5) for _ in range(4)]
    assert losses == expected
    final, wanted = second_half.state_dict(), whole.state_dict()
    assert final.keys() == wanted.keys()
    assert all(torch.equal(final[name], wanted[name]) for name in wanted)


def test_another_seed_is_another_run() -> None:
    assert trainer().step(0.5) != trainer(config=replace(CONFIG, seed=4)).step(0.5)


def test_the_generators_update_does_not_change_the_discriminators_gradients() -> None:
    run = trainer()
    begun = {name: value.clone() for name, value in run.state_dict().items()}
    left = []
    run.discriminator_optimiser.register_step_post_hook(
        lambda *_: left.extend(each.grad.clone() for each in run.discriminator.parameters())
    )
    run.step(0.5)
    assert len(left) == len(list(run.discriminator.parameters()))
    for each, gradient in zip(run.discriminator.parameters(), left, strict=True):
        assert torch.equal(each.grad, gradient)
        assert each.requires_grad
    assert any(not torch.equal(value, begun[name]) for name, value in run.state_dict().items() if "generator" in name)


def test_the_update_is_the_articles() -> None:
    """Real batch, detached fake batch, one discriminator step, then the generator with the updated discriminator."""
    ours, reference = trainer(), trainer()
    losses = ours.step(0.5)
    chosen = reference.order[: CONFIG.batch_size]
    real, types = reference.images[chosen].float() / 127.5 - 1, reference.type_index[chosen]
    fake = reference.generator(torch.randn(len(chosen), CONFIG.latent_size, generator=reference.random), types)
    cross_entropy = torch.nn.BCELoss()
    ones, zeros = torch.ones(len(chosen)), torch.zeros(len(chosen))
    reference.discriminator.zero_grad()
    on_real = cross_entropy(reference.discriminator(real, types).sigmoid(), ones)
    on_real.backward()
    on_fake = cross_entropy(reference.discriminator(fake.detach(), types).sigmoid(), zeros)
    on_fake.backward()
    reference.discriminator_optimiser.step()
    reference.generator.zero_grad()
    of_generator = cross_entropy(reference.discriminator(fake, types).sigmoid(), ones)
    of_generator.backward()
    reference.generator_optimiser.step()
    assert losses["discriminator_loss"].item() == pytest.approx((on_real + on_fake).item(), rel=1e-5)
    assert losses["generator_loss"].item() == pytest.approx(of_generator.item(), rel=1e-5)
    for mine, theirs in zip(ours.generator.parameters(), reference.generator.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


def test_the_first_twenty_steps_are_those_of_the_articles_loop() -> None:
    images = torch.randint(0, 256, (20, 1, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    config = replace(CONFIG, generator_depth=8, discriminator_depth=8)
    ours = DcganTrainer(config, images, torch.zeros(20, dtype=torch.int64), 1, torch.device("cpu"))
    articles = ArticleLoop(config, images, torch.device("cpu"))
    for _ in range(20):
        losses = {name: each.item() for name, each in ours.step(0.5).items()}
        assert losses == pytest.approx(articles.step(), rel=1e-3)


def test_an_image_does_not_depend_on_its_neighbours() -> None:
    run = trainer()
    run.step(0.5)
    latents, types = torch.randn(16, 8), torch.zeros(16, dtype=torch.int64)
    batch = render(run.generator, latents, types)
    others = render(run.generator, torch.cat([latents[:1], torch.randn(15, 8)]), types)
    assert torch.equal(batch[0], others[0])
    assert batch.dtype == torch.uint8
    assert run.generator.training
