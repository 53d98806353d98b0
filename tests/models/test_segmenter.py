from urllib.error import URLError

import pytest
import segmentation_models_pytorch as smp
import torch
from safetensors.torch import save_file

from linerefine.config import NetworkConfig
from linerefine.errors import ConfigError, DataError, RunError, ShapeError, UnknownNameError
from linerefine.models.segmenter import (
    Network,
    Segmenter,
    build_network,
    load_segmenter,
    load_weights,
    save_segmenter,
    save_weights,
)
from linerefine.models.weights import halved, write_weights

TINY = NetworkConfig(encoder="tu-resnet10t", encoder_depth=3, decoder_channels=(16, 8, 8))


@pytest.fixture(scope="module")
def segmenter():
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return Segmenter(build_network(TINY, 2)).eval()


@pytest.mark.parametrize(
    "config",
    [
        TINY,
        TINY.model_copy(update={"architecture": "UnetPlusPlus"}),
        NetworkConfig(architecture="fpn", encoder="tu-resnet10t"),
        NetworkConfig(architecture="deeplabv3plus", encoder="mobilenet_v2"),
        NetworkConfig(encoder="timm-tf_efficientnet_lite0", decoder_channels=(16, 8, 8, 8, 8)),
    ],
    ids=lambda config: f"{config.architecture}-{config.encoder}",
)
def test_any_architecture_and_encoder_gives_one_logit_per_pixel(config):
    network = build_network(config, 3).eval()
    with torch.inference_mode():
        assert network(torch.zeros(2, 3, 64, 96)).shape == (2, 1, 64, 96)
    assert (network.config, network.channels) == (config, 3)


FREE_DEPTH = ("deeplabv3", "deeplabv3plus", "fpn", "linknet", "pan", "pspnet", "segformer")


@pytest.mark.parametrize("depth", [3, 4, 5])
@pytest.mark.parametrize("architecture", FREE_DEPTH)
def test_every_multiple_of_32_and_every_depth_gives_an_answer_as_large(architecture, depth):
    config = NetworkConfig(architecture=architecture, encoder="tu-resnet10t", encoder_depth=depth)
    network = build_network(config, 1).eval()
    for height, width in ((32, 64), (96, 64), (160, 192)):
        with torch.no_grad():
            assert network(torch.zeros(1, 1, height, width)).shape == (1, 1, height, width)


def test_a_pan_answers_to_small_images_as_to_the_same_with_empty_margins():
    config = NetworkConfig(architecture="pan", encoder="tu-resnet10t")
    network = build_network(config, 1).eval()
    image = torch.randn(2, 1, 64, 160, generator=torch.Generator().manual_seed(0))
    framed = torch.zeros(2, 1, 128, 160)
    framed[..., :64, :] = image
    with torch.no_grad():
        assert torch.equal(network(image), network(framed)[..., :64, :])
        network.fast = lambda image: image + 1
        assert torch.equal(network(image), image + 1)


def test_an_unknown_architecture_is_refused_with_a_suggestion():
    message = (
        r"no architecture named 'unett'\. Did you mean 'unet'\? Available: .*manet, .*upernet\."
    )
    with pytest.raises(UnknownNameError, match=message):
        build_network(TINY.model_copy(update={"architecture": "unett"}), 1)


@pytest.mark.parametrize(
    ("encoder", "guess"),
    [
        ("resnet81", "resnet18"),
        ("tu-mobilenetv4_conv_smal", "tu-mobilenetv4_conv_small"),
        ("mobilenetv4_conv_small", "tu-mobilenetv4_conv_small"),
    ],
)
def test_an_unknown_encoder_is_refused_with_a_suggestion_and_a_short_list(encoder, guess):
    message = rf"no encoder named '{encoder}'\. Did you mean '{guess}'\? Available: .* more\."
    with pytest.raises(UnknownNameError, match=message) as caught:
        build_network(TINY.model_copy(update={"encoder": encoder}), 1)
    assert len(str(caught.value)) < 300


def test_decoder_widths_are_refused_where_an_architecture_has_none_per_stage():
    message = r"architecture 'fpn' has no decoder width per stage\. .* manet, unet, unetplusplus"
    with pytest.raises(ConfigError, match=message):
        build_network(TINY.model_copy(update={"architecture": "fpn"}), 1)


def test_decoder_widths_must_be_as_many_as_encoder_stages():
    message = "decoder_channels has 3 widths, expected one per encoder stage: encoder_depth is 4"
    with pytest.raises(ConfigError, match=message):
        build_network(TINY.model_copy(update={"encoder_depth": 4}), 1)


def test_settings_that_do_not_fit_each_other_are_one_clear_error():
    config = NetworkConfig(architecture="unetplusplus", encoder="mit_b0")
    with pytest.raises(
        ConfigError, match="'unetplusplus' with encoder 'mit_b0' .* cannot be built"
    ):
        build_network(config, 1)


def test_unknown_pretrained_weights_are_refused():
    config = NetworkConfig(encoder="resnet18", encoder_weights="imagnet")
    message = (
        r"no pretrained weights of encoder 'resnet18' named 'imagnet'\. Did you mean 'imagenet'"
    )
    with pytest.raises(UnknownNameError, match=message):
        build_network(config, 1)


def test_weights_that_cannot_be_downloaded_name_the_remedy(monkeypatch):
    reason = "no route"

    def offline(*args, **kwargs):
        raise URLError(reason)

    monkeypatch.setattr(smp, "create_model", offline)
    config = NetworkConfig(encoder="resnet18", encoder_weights="imagenet")
    message = (
        r"'imagenet' of encoder 'resnet18' cannot be downloaded \(URLError.*no route.*\)\. Set "
    )
    with pytest.raises(DataError, match=message):
        build_network(config, 1)


def test_a_segmenter_file_alone_suffices(segmenter, tmp_path):
    path = tmp_path / "deep" / "segmenter.safetensors"
    save_segmenter(segmenter, path)
    loaded = load_segmenter(path)
    image = torch.rand(1, 2, 64, 64)
    assert not loaded.training
    assert (loaded.network.config, loaded.network.channels) == (TINY, 2)
    with torch.inference_mode():
        assert torch.equal(loaded(image), segmenter(image))


def test_an_image_with_other_channels_is_refused(segmenter):
    message = "image has 3 channels, the segmenter was built for 2. Choose the channels"
    with pytest.raises(ShapeError, match=message):
        segmenter(torch.zeros(1, 3, 64, 64))


def test_a_loaded_segmenter_downloads_nothing(segmenter, tmp_path, monkeypatch):
    pretrained = TINY.model_copy(update={"encoder_weights": "imagenet"})
    network = Network(pretrained, 2, pretrained=False)
    save_segmenter(Segmenter(network), tmp_path / "s.safetensors")
    create, asked = smp.create_model, []
    monkeypatch.setattr(
        smp, "create_model", lambda *a, **k: asked.append(k["encoder_weights"]) or create(*a, **k)
    )
    loaded = load_segmenter(tmp_path / "s.safetensors")
    assert asked == [None]
    assert loaded.network.config == pretrained


def test_channels_last_weights_are_kept_too(segmenter, tmp_path):
    other = Segmenter(build_network(TINY, 2)).to(memory_format=torch.channels_last)
    save_segmenter(other, tmp_path / "s.safetensors")
    tensors, _ = load_weights(tmp_path / "s.safetensors")
    assert all(torch.equal(tensors[name], value) for name, value in other.state_dict().items())


def test_a_network_of_unknown_make_cannot_be_saved(tmp_path):
    with pytest.raises(
        RunError, match="segmenter around Identity cannot be written to .*s.safeten"
    ):
        save_segmenter(Segmenter(torch.nn.Identity()), tmp_path / "s.safetensors")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RunError, match=r"none.safetensors does not exist; expected a .safetensors"):
        load_segmenter(tmp_path / "none.safetensors")


@pytest.mark.parametrize("keep", [0, 5, 1000, -1])
def test_a_truncated_file_is_named(segmenter, tmp_path, keep):
    path = tmp_path / "s.safetensors"
    save_segmenter(segmenter, path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(RunError, match=r"s.safetensors cannot be read .* expected a whole"):
        load_segmenter(path)


def test_a_file_of_somebody_else_is_refused(tmp_path):
    path = tmp_path / "s.safetensors"
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(RunError, match="says nothing about its network"):
        load_segmenter(path)


def test_a_file_of_another_kind_is_refused(segmenter, tmp_path):
    path = tmp_path / "unet.safetensors"
    save_weights(segmenter, path, {"kind": "weights", "name": "unet"})
    with pytest.raises(RunError, match="unet.safetensors holds a 'weights', expected a segmenter"):
        load_segmenter(path)


@pytest.mark.parametrize(
    "change", [{"channels": 5}, {"network": {"encodr": "x"}}, {"channels": "many"}]
)
def test_a_description_that_does_not_fit_its_weights_is_refused(segmenter, tmp_path, change):
    path = tmp_path / "s.safetensors"
    description = {"kind": "segmenter", "network": TINY.model_dump(mode="json"), "channels": 2}
    save_weights(segmenter, path, description | change)
    with pytest.raises(RunError, match="does not describe its network"):
        load_segmenter(path)


def test_halved_weights_take_half_the_space_and_come_back_as_float32(segmenter, tmp_path):
    save_segmenter(segmenter, tmp_path / "whole.safetensors")
    tensors, description = load_weights(tmp_path / "whole.safetensors")
    write_weights(halved(tensors), tmp_path / "half.safetensors", description)
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("whole", "half")]
    assert sizes[1] < 0.52 * sizes[0]
    again, _ = load_weights(tmp_path / "half.safetensors")
    assert {value.dtype for value in again.values()} <= {torch.float32, torch.int64}
    for name, value in tensors.items():
        if value.dim() > 1:
            torch.testing.assert_close(again[name], value, rtol=2**-10, atol=1e-7)
        else:
            assert torch.equal(again[name], value), name
    image = torch.rand(1, 2, 64, 64)
    with torch.inference_mode():
        change = load_segmenter(tmp_path / "half.safetensors")(image) - segmenter(image)
    assert 0 < change.abs().max() < 1e-2


def test_weights_too_large_for_half_precision_are_refused():
    with pytest.raises(RunError, match=r"weights w do not fit into float16: the largest is 70000"):
        halved({"w": torch.full((2, 2), 7e4)})


def test_a_shift_moves_all_logits_and_is_none_of_the_weights(segmenter):
    image = torch.rand(1, 2, 64, 64)
    before = segmenter.state_dict().keys()
    with torch.inference_mode():
        plain = segmenter(image)
        segmenter.shift = 1.5
        moved = segmenter(image)
    segmenter.shift = 0.0
    assert torch.equal(moved, plain + 1.5)
    assert segmenter.state_dict().keys() == before
