"""Segment Anything through the real code path, with a tiny model of random weights."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from linerefine.errors import ConfigError
from linerefine_etruscan_mirrors import sam
from linerefine_etruscan_mirrors.loader import MirrorLoader
from linerefine_etruscan_mirrors.object_mask import ObjectMasks, sam_mask
from linerefine_etruscan_mirrors.sam import SegmentAnything, find_weights

from .conftest import SHAPE, WriteView

transformers = pytest.importorskip("transformers", reason="needs the extra 'sam'")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    torch_state = torch.get_rng_state()
    torch.manual_seed(0)
    config = transformers.SamConfig(
        vision_config=transformers.SamVisionConfig(
            hidden_size=32,
            output_channels=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=64,
            patch_size=8,
            window_size=4,
            global_attn_indexes=[1],
            mlp_dim=64,
            num_pos_feats=8,
        ).to_dict(),
        prompt_encoder_config=transformers.SamPromptEncoderConfig(
            hidden_size=16, image_size=64, patch_size=8, mask_input_channels=4
        ).to_dict(),
        mask_decoder_config=transformers.SamMaskDecoderConfig(
            hidden_size=16,
            mlp_dim=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            iou_head_hidden_dim=16,
        ).to_dict(),
    )
    folder = tmp_path_factory.mktemp("sam")
    transformers.SamModel(config).save_pretrained(folder)
    torch.set_rng_state(torch_state)
    return folder


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        msg = "the network was asked"
        raise AssertionError(msg)

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.usefixtures("no_network")
class TestSegmentAnything:
    def test_answers_in_the_pictures_shape(self, weights: Path) -> None:
        picture = np.random.default_rng(0).integers(0, 255, (90, 120), dtype=np.uint8)
        mask = SegmentAnything(str(weights))(
            picture, points=np.array([[45.0, 60.0], [40.0, 50.0]]), box=(5, 5, 85, 110)
        )
        assert mask.shape == (90, 120)
        assert mask.dtype == np.bool_

    def test_follows_the_prompt(self, weights: Path) -> None:
        model = SegmentAnything(str(weights))
        picture = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
        near = _logits(model, picture, (10.0, 50.0))
        assert not np.array_equal(near, _logits(model, picture, (50.0, 10.0)))
        np.testing.assert_array_equal(near, _logits(model, picture, (10.0, 50.0)))

    def test_object_is_one_piece(self, weights: Path) -> None:
        from .test_object_mask import scene

        picture, _ = scene(0)
        mask = sam_mask(picture, SegmentAnything(str(weights)))
        assert mask.shape == picture.shape

    def test_a_folder_without_a_model_is_refused(self, tmp_path: Path) -> None:
        model = SegmentAnything(str(tmp_path))
        with pytest.raises(ConfigError, match=r"no Segment Anything model can be loaded from it"):
            model(np.zeros((8, 8), np.uint8), points=np.zeros((1, 2)), box=(0, 0, 8, 8))


def _logits(model: SegmentAnything, picture: np.ndarray, point: tuple[float, float]) -> np.ndarray:
    """What the network answers before it is cut at zero."""
    found = {}
    original = sam._source_mask

    def keep(logits, shape, edge, zoom):
        found["logits"] = logits.numpy().copy()
        return original(logits, shape, edge, zoom)

    sam._source_mask = keep
    try:
        model(picture, points=np.array([point]), box=(0, 0, 64, 64))
    finally:
        sam._source_mask = original
    return found["logits"]


class TestFindWeights:
    @pytest.mark.usefixtures("no_network")
    def test_finds_cached_weights_only(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import huggingface_hub

        known = {"facebook/sam-vit-base"}

        def cached(name: str, file: str) -> str | None:
            return str(tmp_path / file) if name in known else None

        monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", cached)
        assert find_weights(None) == str(tmp_path)
        assert find_weights("facebook/sam-vit-base") == str(tmp_path)
        assert find_weights("facebook/sam-vit-large") == "facebook/sam-vit-large"
        known.clear()
        assert find_weights(None) is None

    def test_a_folder_stays_as_named(self, tmp_path: Path) -> None:
        assert find_weights(str(tmp_path)) == str(tmp_path)
        assert find_weights(str(tmp_path / "none")) == str(tmp_path / "none")

    def test_without_transformers_there_are_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sam, "is_installed", lambda: False)
        assert find_weights(None) is None
        with pytest.raises(ConfigError, match=r"sam_weights is 'x', but transformers is absent"):
            find_weights("x")


@pytest.mark.usefixtures("no_network")
class TestThroughTheLoader:
    def test_the_run_says_that_sam_was_used(
        self,
        weights: Path,
        add_view: WriteView,
        make_loader: Callable[..., MirrorLoader],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        everything = lambda self, picture, points, box: np.ones(picture.shape, dtype=bool)  # noqa: E731
        monkeypatch.setattr(SegmentAnything, "__call__", everything)
        for seed, name in enumerate(("A_R", "B_R", "C_R")):
            add_view(name, seed=seed, has_mask=seed > 0)
        loader = make_loader(sam_weights=str(weights))
        assert loader.notes()["data"] == "real"
        loader.prepare(lambda what, done, total: None)
        assert loader.notes()["object_mask"] == "disk 2, sam 1"
        assert loader.load("A_R").roi.all()

    def test_an_empty_answer_falls_back_and_says_so(
        self,
        weights: Path,
        add_view: WriteView,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        nothing = lambda self, picture, points, box: np.zeros(picture.shape, dtype=bool)  # noqa: E731
        monkeypatch.setattr(SegmentAnything, "__call__", nothing)
        view = add_view("A_R", has_mask=False)
        _, method = ObjectMasks("auto", str(weights)).find(view, SHAPE)
        assert method == "classical"
        assert "A_R: Segment Anything found no object" in caplog.text

    def test_weights_are_part_of_the_cache_key(self, weights: Path, add_view: WriteView) -> None:
        view = add_view("A_R", has_mask=False)
        identities = {
            ObjectMasks("auto", str(weights)).identity(view),
            ObjectMasks("auto", str(weights.parent)).identity(view),
            ObjectMasks("classical", None).identity(view),
        }
        assert len(identities) == 3
