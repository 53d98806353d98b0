"""The refiner whose answers are anchored in the one before."""

from __future__ import annotations

import math

import pytest
import torch

from linerefine.config import NetworkConfig
from linerefine.errors import ConfigError
from linerefine.models.segmenter import Segmenter, build_network
from linerefine.refiners.anchored import FAINTEST, Anchored
from linerefine.refiners.asked import (
    BLANK,
    CELL,
    HELD,
    MEANT_WITHIN,
    Asked,
    middles,
)
from linerefine.refiners.base import Prompt
from linerefine.refiners.options import AnchoredOptions
from linerefine.testing import check_refiner

TINY = NetworkConfig(encoder="tu-resnet10t", encoder_depth=3, decoder_channels=(16, 8, 8))
EDGE = 128


def margins(add: float, erase: float, middle: float | None = None) -> dict[str, float]:
    """Return options of strokes, or with a middle of looks."""
    return {"add": add, "erase": erase} | ({} if middle is None else {"middle": middle})


def anchored(**options) -> Anchored:
    """Return a refiner that believes something: one that is untrained believes nothing new."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        settings = {"network": TINY, "width": 8, "margins": margins(1.0, 0.5)}
        settings |= {"look": margins(1.0, 0.5, 1.0)}
        settings |= {"lenient": False, "lift": None, "cut": None}
        settings |= options
        refiner = Anchored(AnchoredOptions(**settings), channels=2).eval()
        torch.nn.init.normal_(refiner.branch.head.weight, std=60)
        image, initial = torch.rand(1, 2, EDGE, EDGE), torch.zeros(1, 1, EDGE, EDGE)
        with torch.no_grad():  # as often one way as the other
            believed = refiner.belief(refiner.encode(image, initial), Prompt(initial, stroke(64)))
            refiner.branch.head.bias -= believed.median()
    return refiner


@pytest.fixture
def image():
    return torch.rand(1, 2, EDGE, EDGE, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def initial():
    return 3 * torch.randn(1, 1, EDGE, EDGE, generator=torch.Generator().manual_seed(2))


def stroke(row: int, sign: int = 1) -> torch.Tensor:
    """Return hints of one stroke three pixels wide, columns 50 to 69."""
    hints = torch.zeros(1, 1, EDGE, EDGE)
    hints[..., row - 1 : row + 2, 50:70] = sign
    return hints


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"look": margins(1.5, -0.5, -0.5), "lenient": True},
        {"hold": False},
        {"feedback": False},
        {"cut": 1.5},
        {"cut": -0.5},
        {"lift": 0.5},
        {"lift": 0.5, "lifted": {"add": 0.0, "middle": 0.0}},
        {"revise": False},
    ],
)
def test_it_keeps_the_contract_whatever_is_left_out(options):
    check_refiner(anchored(**options), channels=2)


def test_strokes_are_held_in_the_logits_themselves(image, initial):
    hints = stroke(30) + stroke(90, -1)
    with torch.no_grad():
        answer = anchored()(image, Prompt(initial, hints, initial))
        loose = anchored(hold=False)(image, Prompt(initial, hints, initial))
    assert (answer[hints == 1] == HELD).all()
    assert (answer[hints == -1] == -HELD).all()
    assert not (loose[hints == 1] == HELD).any()
    assert torch.equal(answer[hints == 0], loose[hints == 0])


def test_all_of_the_crop_may_change(image, initial):
    with torch.no_grad():
        answer = anchored()(image, Prompt(initial, stroke(64), initial))
    changed = answer != initial
    assert changed[..., :8, :].any()
    assert changed[..., -8:, :].any()


def test_without_a_new_stroke_nothing_changes(image, initial):
    refiner = anchored()
    with torch.no_grad():
        first = refiner(image, Prompt(initial, stroke(20), initial))
        again = refiner(image, Prompt(initial, stroke(20), first))
        none = refiner(image, Prompt(initial, torch.zeros_like(initial), initial))
    assert not torch.equal(first, initial)
    assert torch.equal(again, first)
    assert torch.equal(none, initial)


def test_without_feedback_it_starts_from_the_first_prediction(image, initial):
    refiner = anchored(feedback=False)
    with torch.no_grad():
        one = refiner(image, Prompt(initial, stroke(20), initial))
        other = refiner(image, Prompt(initial, stroke(20), -initial))
    assert torch.equal(one, other)


def revised_by(image, initial, **options):
    """Return what a refiner believes without strokes, and what it makes of a first prediction."""
    refiner = anchored(cut=-4.0, **({"look": margins(1.5, 0.5, 1.5)} | options))
    with torch.no_grad():
        features = refiner.encode(image, initial)
        prompt = Prompt(initial, torch.zeros_like(initial), initial)
        return refiner.belief(features, prompt), refiner.revise(features, initial)


def test_a_lenient_one_adds_more_before_the_first_stroke_and_erases_alike(image, initial):
    _, strict = revised_by(image, initial)
    _, lenient = revised_by(image, initial, lenient=True)
    assert torch.equal(lenient[initial > 0], strict[initial > 0])
    assert not ((strict > 0) & (lenient <= 0)).any()
    assert ((lenient > 0) & (strict <= 0)).any()


def test_how_lenient_it_is_depends_on_what_it_expects_of_the_first_prediction(image, initial):
    belief, lenient = revised_by(image, initial, lenient=True)
    likely = belief.sigmoid()
    right, both = (likely * (initial > 0)).sum(), (likely + (initial > 0)).sum()
    expected = (2 * right + BLANK) / (both + BLANK)
    margin = min(max(0.5 * math.log(expected / (1 - expected)), 0), 1.5)
    free = initial <= 0
    assert torch.equal((lenient > 0) & free, (belief > margin) & free)


def test_leniency_ends_with_the_first_stroke(image, initial):
    prompt = Prompt(initial, stroke(64), initial)
    with torch.no_grad():
        whole = anchored(lenient=True)(image, prompt)
        assert torch.equal(whole, anchored()(image, prompt))


@pytest.mark.parametrize("sign", [1, -1])
def test_a_pixel_changes_where_the_network_is_sure_of_the_opposite(image, initial, sign):
    refiner = anchored(margins=margins(0.5, 2.0), cut=-4.0)
    prompt = Prompt(initial, stroke(64, sign), initial)
    with torch.no_grad():
        features = refiner.encode(image, initial)
        belief, answer = refiner.belief(features, prompt), refiner.refine(features, prompt)
    free = prompt.hints == 0
    added, erased = ((answer > 0) & (initial <= 0) & free), ((answer <= 0) & (initial > 0) & free)
    to_add = 0.5 if sign > 0 else math.inf
    assert torch.equal(added, (initial <= 0) & (belief > to_add) & free)
    assert torch.equal(erased, (initial > 0) & (belief < -2.0) & free)
    assert added.any() == (sign > 0)
    assert erased.any()
    kept = free & ~added & ~erased
    assert torch.equal(answer[kept], initial[kept])
    assert ((answer - belief)[added & (belief < HELD - 1)] == 0).all()


def test_below_zero_a_margin_lets_change_what_the_belief_does_not_contradict(image, initial):
    refiner = anchored(margins=margins(9.0, -1.0), cut=-4.0)
    prompt = Prompt(initial, stroke(64), initial)
    with torch.no_grad():
        features = refiner.encode(image, initial)
        belief, answer = refiner.belief(features, prompt), refiner.refine(features, prompt)
    free = prompt.hints == 0
    erased = (answer <= 0) & (initial > 0) & free
    assert torch.equal(erased, (initial > 0) & (belief < 1.0) & free)
    doubted = erased & (belief > -FAINTEST)
    assert doubted.any()
    assert (answer[doubted] == -FAINTEST).all()


@pytest.mark.parametrize("cut", [None, 18.0])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_line_that_no_stroke_means_is_thinned_but_not_cut(image, sign, cut):
    """However sure it is, or as long as it is not surer than that: belief in the lines is -17."""
    initial = torch.full((1, 1, EDGE, EDGE), -3.0)
    initial[..., 20:27, 4:124] = 3.0
    initial[..., 90:97, 4:124] = 3.0
    refiner = anchored(margins=margins(0.0, -4.0), cut=cut)
    torch.nn.init.constant_(refiner.branch.head.bias, -20.0)  # would erase everything
    torch.nn.init.zeros_(refiner.branch.head.weight)
    prompt = Prompt(initial, stroke(23, sign), initial)
    with torch.no_grad():
        answer = refiner(image, prompt)
        for surer in (-4.0, 16.0):
            free = anchored(margins=margins(0.0, -4.0), cut=surer)
            free.load_state_dict(refiner.state_dict())
            assert not (free(image, prompt)[prompt.hints == 0] > 0).any()
    left = (answer > 0)[0, 0]
    # Of seven pixels the rim goes, on either side.
    assert not left[[90, 96], 8:120].any()
    assert left[93, 8:120].all()
    beside = left[20:27, 72 : 69 + MEANT_WITHIN // 2]
    assert beside.any() == (sign > 0)
    assert left[23, 70 + MEANT_WITHIN + CELL : 120].all()  # what lies farther along the line stays


def test_what_it_changes_by_itself_never_passes_for_a_stroke(image, initial):
    refiner = anchored()
    with torch.no_grad():
        torch.nn.init.normal_(refiner.branch.head.weight, std=1000)
        answer = refiner(image, Prompt(initial, stroke(64), initial))
        where = (answer == answer.clamp(-HELD + 1, HELD - 1)) | (answer == initial)
    assert where[stroke(64) == 0].all()


def test_an_untrained_one_believes_in_the_first_prediction(image, initial):
    refiner = anchored()
    torch.nn.init.zeros_(refiner.branch.head.weight)
    torch.nn.init.zeros_(refiner.branch.head.bias)
    with torch.no_grad():
        belief = refiner.belief(
            refiner.encode(image, initial), Prompt(initial, stroke(64), -initial)
        )
    assert torch.equal(belief, initial)


def test_what_it_believes_is_judged_beside_the_answer(image, initial):
    refiner, prompt = anchored(), Prompt(initial, stroke(64), initial)
    with torch.no_grad():
        features = refiner.encode(image, initial)
        judged, answer = refiner.answers(features, prompt)
        assert torch.equal(judged, refiner.belief(features, prompt))
        assert torch.equal(answer, refiner.refine(features, prompt))


def test_the_image_branch_begins_as_the_first_prediction_network():
    segmenter = Segmenter(build_network(TINY, 2))
    begun, random = anchored(), anchored(begin="random")
    before = {name: tensor.clone() for name, tensor in random.network.state_dict().items()}
    for refiner in (begun, random):
        refiner.begin_from(segmenter)
    learnt, own = segmenter.network.state_dict(), begun.network.state_dict()
    last = {name for name in own if "segmentation_head" in name}
    assert 0 < len(last) < len(own)
    assert all(torch.equal(own[name], learnt[name]) for name in own.keys() - last)
    assert all(torch.equal(random.network.state_dict()[name], before[name]) for name in before)


def test_another_network_than_the_segmenter_is_named():
    other = TINY.model_copy(update={"decoder_channels": (24, 8, 8)})
    with pytest.raises(ConfigError, match="begin=random"):
        anchored().begin_from(Segmenter(build_network(other, 2)))


def raised(image, initial, sign=1, **given):
    """Return the beliefs with a stroke and without it, and the answers with and without lift."""
    options = {"margins": margins(5.0, 0.5)}
    refiner, strict = anchored(**options, lift=0.05, **given), anchored(**options)
    prompt = Prompt(initial, stroke(64, sign), initial)
    with torch.no_grad():
        features = refiner.encode(image, initial)
        nothing = Prompt(initial, torch.zeros_like(initial), initial)
        beliefs = refiner.belief(features, prompt), refiner.belief(features, nothing)
        return *beliefs, refiner.refine(features, prompt), strict.refine(features, prompt)


LIFTED = [{"add": add, "middle": middle} for add, middle in ((0.0, 0.0), (3.0, -1.0), (-2.0, 1.0))]


@pytest.mark.filterwarnings("ignore")  # the tracer's, about constants
def test_a_traced_graph_asks_twice_though_it_was_traced_without_an_add_stroke(image, initial):
    options = {"margins": margins(5.0, 0.5), "lifted": LIFTED[0]}
    refiner = anchored(**options, lift=0.05).requires_grad_(False)
    graph = torch.jit.trace(refiner.served(), torch.cat((image, initial, stroke(64, -1)), dim=1))
    hints = stroke(64)
    answer = graph(torch.cat((image, initial, hints), dim=1))
    assert torch.equal(answer, refiner(image, Prompt(initial, hints, initial)))
    without = anchored(**options).requires_grad_(False)(image, Prompt(initial, hints, initial))
    assert not torch.equal(answer, without)


@pytest.mark.parametrize("lifted", LIFTED)
def test_less_is_asked_for_where_an_add_stroke_raises_the_belief(image, initial, lifted):
    belief, without, answer, strict = raised(image, initial, lifted=lifted)
    free = (stroke(64) == 0) & (initial <= 0)
    rises = belief - without > 0.05
    likely = (belief > lifted["add"]) | (belief > lifted["middle"]) & middles(belief)
    assert torch.equal((answer > 0) & free, ((strict > 0) | rises & likely) & free)
    assert ((answer > 0) & (strict <= 0)).any()
    assert (likely & (belief < 5.0) & ~rises & free).any()  # likely, but not by the stroke
    assert torch.equal(answer[initial > 0], strict[initial > 0])


@pytest.mark.parametrize("lifted", LIFTED)
def test_an_erase_stroke_lifts_nothing(image, initial, lifted):
    _, _, answer, strict = raised(image, initial, sign=-1, lifted=lifted)
    assert torch.equal(answer, strict)


def test_before_the_first_stroke_less_is_asked_for_in_the_middle_of_a_line(image, initial):
    belief, strict = revised_by(image, initial)
    _, revised = revised_by(image, initial, look=margins(1.5, 0.5, -0.5))
    added = (revised > 0) & (initial <= 0)
    expected = (belief > 1.5) | middles(belief) & (belief > -0.5)
    assert torch.equal(added, expected & (initial <= 0))
    assert (added & (strict <= 0)).any()
    assert torch.equal(revised[initial > 0], strict[initial > 0])


def test_without_lift_a_stroke_adds_middles_like_everything(image, initial):
    prompt = Prompt(initial, stroke(64), initial)
    with torch.no_grad():
        one, other = (anchored(lifted=each)(image, prompt) for each in LIFTED[:2])
    assert torch.equal(one, other)


def test_strokes_and_looks_have_their_own_margins(image, initial):
    one, other = anchored(), anchored(look=margins(0.0, -1.0, -1.0))
    prompt = Prompt(initial, stroke(64), initial)
    with torch.no_grad():
        features = one.encode(image, initial)
        assert torch.equal(one.refine(features, prompt), other.refine(features, prompt))
        assert not torch.equal(one.revise(features, initial), other.revise(features, initial))


def test_in_training_margins_hold_everywhere(image, initial):
    answers = []
    for lift in (0.2, None):
        refiner = anchored(lift=lift, margins=margins(50.0, 0.5)).train()
        prompt = Prompt(initial, stroke(64), initial)
        with torch.no_grad():
            answers.append(refiner(image, prompt))
    assert torch.equal(*answers)


def test_before_the_first_stroke_it_changes_what_it_is_sure_of(image, initial):
    """By the rules for add strokes: a margin for adding, a smaller one at the rim of lines."""
    refiner = anchored()
    with torch.no_grad():
        features = refiner.encode(image, initial)
        revised = refiner.revise(features, initial)
        belief = refiner.belief(features, Prompt(initial, torch.zeros_like(initial), initial))
        spines = Asked(initial, torch.zeros_like(initial), initial).spines()
    adds, erases = belief > 1.0, (belief < -0.5) & ~spines
    assert torch.equal((revised > 0) & (initial <= 0), adds & (initial <= 0))
    assert torch.equal((revised <= 0) & (initial > 0), erases & (initial > 0))
    assert torch.equal(
        revised[(revised > 0) == (initial > 0)], initial[(revised > 0) == (initial > 0)]
    )
    assert (adds & (initial <= 0)).any()
    assert (erases & (initial > 0)).any()
    assert (revised[revised != initial].abs() < HELD - 0.5).all()  # nobody takes it for a stroke


def test_a_line_that_is_only_revised_is_never_cut(image):
    initial = torch.full((1, 1, EDGE, EDGE), -2.0)
    initial[..., 60:70, 10:110] = 2
    refiner = anchored()
    with torch.no_grad():
        refiner.branch.head.bias -= 1e3  # believes in no line at all
        revised = refiner.revise(refiner.encode(image, initial), initial)
        cut = anchored(cut=-4.0)
        cut.branch.head.bias -= 1e3
        gone = cut.revise(cut.encode(image, initial), initial)
    assert (revised > 0)[0, 0, :, 15:105].any(dim=0).all()
    assert int((revised > 0).sum()) < int((initial > 0).sum())
    assert not (gone > 0).any()


@pytest.mark.parametrize("revise", [True, False])
def test_whether_it_revises_is_an_option(revise):
    assert anchored(revise=revise).revises is revise
    assert AnchoredOptions().revise


def test_the_image_is_looked_at_once_per_place(image, initial, monkeypatch):
    refiner = anchored()
    features = refiner.encode(image, initial)
    monkeypatch.setattr(refiner, "network", None)
    for row in (20, 60):
        refiner.refine(features, Prompt(initial, stroke(row), initial))
