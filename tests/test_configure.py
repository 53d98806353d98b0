"""Layers of settings, their mistakes, and configurations as files."""

from __future__ import annotations

import json
import sys
import tomllib
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import linerefine as lr
from linerefine import builtin
from linerefine.config import TrainingConfig
from linerefine.configure import cuda_is_available, dump_config, load_config, resolve
from linerefine.configure.files import plain
from linerefine.configure.layers import parse_value
from linerefine.registry import Registry

FAKES = Path(__file__).parent / "plugins"


@pytest.fixture(scope="module")
def registry():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FAKES / "good"))
        import linerefine_leaves.plugin as leaves

        yield Registry([builtin, leaves])


def resolved(registry, name="leaves", *, data_root="/scans", has_cuda=False, **given):
    return resolve(registry, name, data_root=data_root, has_cuda=lambda: has_cuda, **given)


def mistakes(registry, **given) -> list[str]:
    with pytest.raises(lr.ConfigError) as raised:
        resolved(registry, **given)
    lines = str(raised.value).splitlines()
    if len(lines) > 1:
        assert lines[0] == f"{len(lines) - 1} mistakes in the configuration:"
    return [line.strip() for line in lines[1:] or lines]


class TestOrder:
    def test_defaults_stand_if_nothing_is_given(self, registry):
        config = resolved(registry, has_cuda=True)
        assert config.training == lr.TrainingConfig()
        assert config.simulator.options == {"nib": 3.0}

    def test_a_profile_writes_over_defaults_and_keeps_the_rest(self, registry):
        config = resolved(registry, profile="quick")
        assert (config.training.max_epochs, config.training.batch_size) == (2, 32)
        assert config.loader.options["dpi"] == 300
        assert config.profile == "quick"

    def test_a_protocol_writes_over_the_profile(self, registry):
        config = resolved(registry, profile="quick", sets=["protocol=paper"])
        assert (config.protocol, config.session.placement) == ("paper", "grid")
        assert config.simulator.options["nib"] == 1.5

    def test_an_experiment_may_bring_protocols(self, registry):
        assert resolved(registry, sets=["protocol=botanist"]).seed == 7

    def test_a_file_writes_over_the_protocol(self, registry, tmp_path):
        file = tmp_path / "mine.toml"
        file.write_text('protocol = "paper"\n[session]\nplacement = "stroke"\n')
        config = resolved(registry, file=file)
        assert (config.protocol, config.session.placement) == ("paper", "stroke")
        assert config.session.overlap == "first"

    def test_named_options_write_over_the_file(self, registry, tmp_path):
        file = tmp_path / "mine.toml"
        file.write_text('seed = 1\ndevice = "cuda"\n[evaluation]\nrepeats = 2\nbudget = 5\n')
        config = resolved(registry, file=file, seed=4, repeats=3, device="cpu")
        assert (config.seed, config.device) == (4, "cpu")
        assert config.evaluation == lr.EvaluationConfig(repeats=3, budget=5)

    def test_set_writes_over_everything(self, registry):
        config = resolved(registry, profile="quick", seed=4, sets=["seed=5", "seed=6"])
        assert config.seed == 6

    def test_lists_replace(self, registry, tmp_path):
        file = tmp_path / "mine.toml"
        file.write_text('[[refiners]]\nname = "manual"\n')
        assert [part.name for part in resolved(registry, file=file).refiners] == ["manual"]


class TestProfile:
    @pytest.mark.parametrize(("has_cuda", "profile"), [(False, "quick"), (True, "")])
    def test_the_device_decides_as_far_as_there_is_such_a_profile(
        self, registry, has_cuda, profile
    ):
        assert resolved(registry, has_cuda=has_cuda).profile == profile

    @pytest.mark.parametrize(("has_cuda", "profile"), [(False, "quick"), (True, "paper")])
    def test_quick_without_cuda_and_paper_with(self, registry, has_cuda, profile):
        assert resolved(registry, "folder", has_cuda=has_cuda).profile == profile

    def test_the_cpu_asked_for_means_quick(self, registry):
        def has_cuda():
            raise AssertionError

        assert resolve(registry, "folder", device="cpu", has_cuda=has_cuda).profile == "quick"
        assert (
            resolve(registry, "folder", sets=["device=cpu"], has_cuda=has_cuda).profile == "quick"
        )

    def test_an_option_wins_over_the_file_and_set_over_both(self, registry, tmp_path):
        file = tmp_path / "mine.toml"
        file.write_text('profile = "quick"\n')
        assert resolved(registry, "folder", file=file, has_cuda=True).profile == "quick"
        paper = resolved(registry, "folder", file=file, profile="paper")
        assert (paper.profile, paper.training.batch_size) == ("paper", 32)
        again = resolved(registry, "folder", profile="paper", sets=["profile=quick"])
        assert (again.profile, again.training.batch_size) == ("quick", 8)

    def test_an_experiment_may_have_none(self):
        bare = lr.Experiment(
            "bare", "", lr.ExperimentConfig(profile="mine", loader=lr.Component(name="folder"))
        )
        plugin = SimpleNamespace(linerefine_experiments=lr.hookimpl(lambda: [bare]))
        assert resolve(Registry([builtin, plugin]), "bare").profile == "mine"

    def test_none_can_be_asked_for(self, registry):
        config = resolved(registry, sets=["profile=''"])
        assert (config.profile, config.training.max_epochs) == ("", 1000)

    def test_an_unknown_one_is_refused_with_a_suggestion(self, registry):
        expected = (
            r"^experiment leaves has no profile 'quik'\. Did you mean 'quick'\? "
            r"Available: quick, wrong\.$"
        )
        with pytest.raises(lr.UnknownNameError, match=expected):
            resolved(registry, profile="quik")

    def test_an_unknown_protocol_is_refused_with_a_suggestion(self, registry):
        expected = (
            r"^experiment leaves has no protocol 'papr'\. Did you mean 'paper'\? "
            r"Available: botanist, default, independent, paper\.$"
        )
        with pytest.raises(lr.UnknownNameError, match=expected):
            resolved(registry, sets=["protocol=papr"])

    def test_mistakes_of_a_profile_are_laid_at_its_door(self, registry):
        assert mistakes(registry, profile="wrong") == [
            "training.max_epochs is 0, expected >= 1 (set by profile wrong)."
        ]


class TestComponents:
    def test_their_options_are_completed(self, registry):
        config = resolved(registry)
        assert config.loader.options == {
            "root": str(Path("/scans").absolute()),
            "dpi": 300,
            "tags": ["edge", "vein"],
            "least": 0.25,
            "most": 0.75,
        }
        assert config.refiners[0].options["network"]["encoder"] == "efficientnet-b6"

    def test_refiner_names_keep_what_is_configured_for_them(self, registry):
        sets = ["refiners.unet.options.network.encoder=resnet18"]
        config = resolved(registry, "folder", refiners=["manual", "unet"], sets=sets)
        manual, unet = config.refiners
        assert (manual.name, manual.options) == ("manual", {})
        assert unet.options["network"]["encoder"] == "resnet18"
        assert unet.options["network"]["decoder_channels"] == [64, 48, 32, 16, 16]

    def test_another_name_drops_the_options_before_it(self, registry):
        config = resolved(
            registry, sets=["simulator.options.max_length=7", "simulator.name=longest"]
        )
        assert config.simulator.name == "longest"
        assert config.simulator.options["max_length"] == 7
        assert "nib" not in config.simulator.options

    def test_a_file_may_change_a_component_too(self, registry, tmp_path):
        file = tmp_path / "mine.toml"
        file.write_text('[simulator]\noptions = { half_width = 2 }\nname = "longest"\n')
        assert resolved(registry, file=file).simulator.options["half_width"] == 2.0

    def test_entries_are_reached_by_number_and_by_name(self, registry):
        sets = ["metrics.1.name=area", "refiners.0.options.network.encoder=a"]
        config = resolved(registry, sets=sets)
        assert [part.name for part in config.metrics] == ["pfm", "area"]
        assert config.refiners[0].options["network"]["encoder"] == "a"

    def test_an_unknown_one_has_the_registrys_own_wording(self, registry):
        expected = r"^no refiner named 'unett'\. Did you mean 'unet'\? Available: .*, unet\.$"
        with pytest.raises(lr.UnknownNameError, match=expected):
            resolved(registry, refiners=["unett"])

    def test_data_root_is_made_absolute(self, registry, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        config = resolved(registry, data_root="scans")
        assert config.loader.options["root"] == str(tmp_path / "scans")


class TestMistakes:
    def test_all_are_reported_at_once_with_their_origin(self, registry, tmp_path):
        file = tmp_path / "mine.toml"
        file.write_text('[training]\nbatch_size = 1.5\nloss = "mse"\n[tiling]\npatch = 100\n')
        found = mistakes(
            registry,
            file=file,
            seed=-1,
            refiners=["unett", "manual"],
            data_root="x",
            sets=[
                "training.learning_rate=-0.001",
                "training.learning_rat=1",
                "loader.options.dpi=many",
                "session=[1, 2]",
                "refiners.mnual.options.x=1",
                "nonsense",
            ],
        )
        here = str(file)
        *others, last = get_args(TrainingConfig.model_fields["loss"].annotation)
        losses = f"{', '.join(map(repr, others))} or {last!r}"
        assert sorted(found) == sorted(
            [
                f"training.batch_size is 1.5, expected a whole number (set by {here}).",
                f"training.loss is 'mse', expected {losses} (set by {here}).",
                f"tiling.patch is 100, expected a multiple of 32 (set by {here}).",
                "seed is -1, expected >= 0 (set by --seed).",
                "training.learning_rate is -0.001, expected > 0 (set by --set).",
                "training.learning_rat is not a setting (set by --set). "
                "Did you mean 'learning_rate'?",
                "loader.options.dpi is 'many', expected a whole number (set by --set).",
                "session is [1, 2], expected a table (set by --set).",
                "refiners has no entry 'mnual' (set by --set). Did you mean 'manual'? "
                "refiners holds unett, manual.",
                "--set is 'nonsense', expected KEY=VALUE such as training.max_epochs=3.",
                "refiners.0.name: no refiner named 'unett' (set by --refiner). "
                "Did you mean 'unet'? Available: anchored, deeplabv3plus, iternet, manual, pan, "
                "pasted, unet.",
            ]
        )

    @pytest.mark.parametrize(
        ("assignment", "line"),
        [
            ("seed.x=1", "seed is a table, expected a whole number (set by --set)."),
            ("device=gpu", "device is 'gpu', expected 'auto', 'cpu' or 'cuda' (set by --set)."),
            ("tracking.enabled=7", "tracking.enabled is 7, expected true or false (set by --set)."),
            ("refiners=[]", "refiners is empty, expected a list of length >= 1 (set by --set)."),
            ("refiners=unet", "refiners is 'unet', expected a list (set by --set)."),
            ("loader=leaves", "loader is 'leaves', expected a table (set by --set)."),
            ("metrics=[{name=3}]", "metrics.0.name is 3, expected text (set by --set)."),
            ("loader.name=3", "loader.name is 3, expected text (set by --set)."),
            ("simulator.options=3", "simulator.options is 3, expected a table (set by --set)."),
            (
                "refiners.1.name=unet",
                "refiners has no entry '1' (set by --set). refiners holds unet.",
            ),
            (
                "metrics.1.name=pfm",
                "metrics.1.name is 'pfm' again, expected each name once (set by --set).",
            ),
            (
                "metrics.0.name=cldice",
                "metrics.0.name is 'cldice', expected a metric that can steer, which the first "
                "one does: area, dice, f_measure, iou, pfm (set by --set).",
            ),
            (
                "segmenter.network.encoder_depth=9",
                "segmenter.network.encoder_depth is 9, expected <= 5 (set by --set).",
            ),
            (
                "refiners.unet.options.network.encodr=x",
                "refiners.0.options.network.encodr is not a setting (set by --set). "
                "Did you mean 'encoder'?",
            ),
            (
                "loader.options.least=0.9",
                "loader.options: least is above most (set by --data-root, set by --set).",
            ),
            (
                "tiling.zzz=1",
                "tiling.zzz is not a setting (set by --set). Available: blend, overlap, "
                "patch, patches_per_tile, train_cols, train_rows.",
            ),
            ("=3", "--set is '=3', expected KEY=VALUE such as training.max_epochs=3."),
            (
                "seed..x=3",
                "--set is 'seed..x=3', expected KEY=VALUE such as training.max_epochs=3.",
            ),
        ],
    )
    def test_each_says_where_what_came_and_what_was_expected(self, registry, assignment, line):
        assert mistakes(registry, sets=[assignment], has_cuda=True) == [line]

    def test_a_missing_data_root_names_the_remedy(self, registry):
        assert mistakes(registry, data_root=None) == [
            "loader.options.root is missing. Pass --data-root DIR."
        ]

    def test_an_empty_data_root_is_not_the_current_folder(self, registry):
        assert mistakes(registry, data_root="") == [
            "loader.options.root is '', expected a folder (set by --data-root)."
        ]

    def test_a_data_root_where_there_is_none_to_set(self, registry):
        found = mistakes(registry, name="folder", sets=["loader.name=leaves", "loader.options={}"])
        assert found == ["loader.options.root is missing. Pass --data-root DIR."]

    def test_an_unknown_experiment_is_refused(self, registry):
        expected = (
            r"^no experiment named 'leavs'\. Did you mean 'leaves'\? Available: folder, leaves\.$"
        )
        with pytest.raises(lr.UnknownNameError, match=expected):
            resolve(registry, "leavs")

    @pytest.mark.parametrize("weights", ["second", "first", "third"])
    def test_weights_come_from_a_refiner_before(self, registry, weights):
        refiners = [{"name": "unet", "label": label} for label in ("first", "second", "third")]
        refiners[1]["weights"] = weights
        if weights == "first":
            config = resolved(registry, "folder", sets=[f"refiners={json.dumps(refiners)}"])
            assert config.refiners[1].weights == "first"
            return
        expected = (
            rf"refiners\.1\.weights is '{weights}', expected a file, or the label of a refiner "
            r"earlier in the list \(set by --set\)\."
        )
        with pytest.raises(lr.ConfigError, match=expected):
            resolved(registry, "folder", sets=[f"refiners={json.dumps(refiners)}"])

    @pytest.mark.parametrize("label", ["a/b", "../up", "segmenter", " "])
    def test_a_label_names_files_of_its_own(self, registry, label):
        refiners = json.dumps([{"name": "unet", "label": label}])
        with pytest.raises(lr.ConfigError, match=r"refiners\.0\.label is .* letters, digits"):
            resolved(registry, "folder", sets=[f"refiners={refiners}"])

    def test_two_of_one_name_need_labels(self, registry):
        refiners = json.dumps([{"name": "unet"}, {"name": "unet"}])
        with pytest.raises(lr.ConfigError, match=r"is 'unet' again.* Give each a label\."):
            resolved(registry, "folder", sets=[f"refiners={refiners}"])

    def test_a_name_with_two_providers_is_refused(self, registry):
        again = SimpleNamespace(
            linerefine_refiners=lr.hookimpl(lambda: [lr.Entry("unet", "", print)]),
            __name__="again",
        )
        expected = r"^refiner 'unet' is provided by linerefine .* and again\. Uninstall one"
        with pytest.raises(lr.ConfigError, match=expected):
            resolve(Registry([builtin, again]), "folder", device="cpu")

    def test_a_long_value_is_cut(self, registry):
        (line,) = mistakes(registry, sets=[f"device={'x' * 100}"])
        assert len(line) < 130
        assert " ..." in line

    def test_a_missing_file_and_one_that_is_not_toml(self, registry, tmp_path):
        with pytest.raises(
            lr.ConfigError, match=r"cannot read the configuration .*no\.toml: No such"
        ):
            resolved(registry, file=tmp_path / "no.toml")
        bad = tmp_path / "bad.toml"
        bad.write_text("seed = = 3\n")
        with pytest.raises(lr.ConfigError, match=r"bad\.toml is not a TOML file: Invalid value"):
            resolved(registry, file=bad)
        bad.write_bytes(b"\xff\xfe")
        with pytest.raises(lr.ConfigError, match=r"bad\.toml is not a TOML file: 'utf-8' codec"):
            resolved(registry, file=bad)


class TestValues:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("3", 3),
            ("3e-4", 3e-4),
            ("true", True),
            ("True", True),
            ("None", None),
            ("null", None),
            ("[1, 2]", [1, 2]),
            ("{a = 1}", {"a": 1}),
            ('[{"name": "pfm"}]', [{"name": "pfm"}]),
            ("[1, 2", "[1, 2"),
            ("'quoted = text'", "quoted = text"),
            ("resnet18", "resnet18"),
            ("/a/path with spaces", "/a/path with spaces"),
            ("C:\\scans", "C:\\scans"),
            ("", ""),
            ("none", "none"),
            ("2024-01-31", "2024-01-31"),
            ("1\nother = 2", "1\nother = 2"),
        ],
    )
    def test_values_are_toml_else_text(self, text, value):
        assert parse_value(text) == value
        assert type(parse_value(text)) is type(value)

    def test_none_switches_off(self, registry):
        config = resolved(registry, profile="quick", sets=["training.steps_per_epoch=None"])
        assert config.training.steps_per_epoch is None


def plain_values() -> st.SearchStrategy[object]:
    text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    leaves = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False)
        | text
        | st.sampled_from(["None", "\\None", "\\\\None", "none", "null"])
    )
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
        max_leaves=8,
    )


def options() -> st.SearchStrategy[dict[str, object]]:
    return st.dictionaries(st.text("abc._- ", min_size=1, max_size=4), plain_values(), max_size=3)


def components() -> st.SearchStrategy[lr.Component]:
    return st.builds(lr.Component, name=st.text("abc_", min_size=1), options=options())


def refiners() -> st.SearchStrategy[lr.RefinerConfig]:
    names = st.text("abc_", min_size=1)
    return st.builds(
        lr.RefinerConfig,
        name=names,
        options=options(),
        label=st.none() | names,
        weights=st.none() | names,
        simulator=st.none() | components(),
        training=options(),
    )


class TestFiles:
    @settings(deadline=None, max_examples=60)
    @given(
        loader=components(),
        refiners=st.lists(refiners(), min_size=1, max_size=3),
        steps=st.none() | st.integers(1, 10**9),
        checkpoint=st.none() | st.sampled_from(["None", "a path\nwith a break", "ü"]),
        widths=st.none() | st.lists(st.integers(1, 99), max_size=5),
    )
    def test_a_configuration_reads_back_as_it_was_written(
        self, tmp_path_factory, loader, refiners, steps, checkpoint, widths
    ):
        config = lr.ExperimentConfig(
            loader=loader,
            refiners=tuple(refiners),
            training=lr.TrainingConfig(steps_per_epoch=steps),
            segmenter=lr.SegmenterConfig(
                checkpoint=checkpoint,
                network=lr.NetworkConfig(
                    decoder_channels=None if widths is None else tuple(widths)
                ),
            ),
        )
        file = tmp_path_factory.mktemp("configs") / "config.toml"
        file.write_text(dump_config(config), encoding="utf-8", newline="")
        assert load_config(file) == config

    @pytest.mark.parametrize("profile", ["quick", "paper"])
    def test_a_resolved_one_is_accepted_back_unchanged(self, registry, tmp_path, profile):
        sets = ["training.steps_per_epoch=None", "refiners.unet.options.network.encoder=resnet18"]
        config = resolved(registry, "folder", profile=profile, sets=sets, repeats=3)
        file = tmp_path / "config.toml"
        file.write_text(dump_config(config), encoding="utf-8")
        # Neither the device nor defaults decide anything once a file names every setting.
        assert resolve(registry, "folder", file=file, has_cuda=lambda: True) == config
        assert resolve(registry, "folder", file=file, has_cuda=lambda: False) == config
        more = resolve(registry, "folder", file=file, seed=9)
        assert more == config.model_copy(update={"seed": 9})

    def test_a_complete_file_and_another_profile_contradict_each_other(self, registry, tmp_path):
        file = tmp_path / "config.toml"
        file.write_text(dump_config(resolved(registry, "folder", profile="quick")))
        found = mistakes(
            registry, name="folder", file=file, profile="paper", sets=["protocol=paper"]
        )
        assert found == [
            f"profile is 'paper' (set by --profile), but {file} names every setting and was made "
            "with 'quick'. Drop one of the two.",
            f"protocol is 'paper' (set by --set), but {file} names every setting and was made "
            "with 'default'. Drop one of the two.",
        ]
        assert resolved(registry, "folder", file=file, profile="quick").profile == "quick"

    def test_every_setting_is_written_none_too(self, registry):
        config = resolved(registry, profile="quick", sets=["loader.options.least=None"])
        written = tomllib.loads(dump_config(config))
        assert set(written) == set(lr.ExperimentConfig.model_fields)
        assert written["training"]["validation_patches"] == "None"
        assert written["loader"]["options"]["least"] == "None"

    def test_loading_reports_all_mistakes_and_the_file(self, tmp_path):
        file = tmp_path / "config.toml"
        file.write_text('sed = 1\n[loader]\nname = "folder"\n[training]\nbatch_size = 0\n')
        with pytest.raises(lr.ConfigError) as raised:
            load_config(file)
        assert str(raised.value).splitlines() == [
            "2 mistakes in the configuration:",
            f"  training.batch_size is 0, expected >= 1 (set by {file}).",
            f"  sed is not a setting (set by {file}). Did you mean 'seed'?",
        ]


class TestPlain:
    @pytest.mark.parametrize(
        ("value", "kept"),
        [
            (Path("a") / "b", str(Path("a") / "b")),
            (lr.Operation.ADD, 1),
            ({3: (1, 2)}, {"3": [1, 2]}),
            ({"b", "a"}, ["a", "b"]),
            (lr.Options(), {}),
            (date(2026, 1, 31), "2026-01-31"),
        ],
    )
    def test_whatever_an_option_holds_becomes_toml(self, value, kept):
        assert plain(value) == kept
        config = lr.ExperimentConfig(loader=lr.Component(name="a", options={"x": value}))
        assert tomllib.loads(dump_config(config))["loader"]["options"]["x"] == kept


class TestCuda:
    def test_a_machine_without_a_gpu_needs_no_torch(self, monkeypatch):
        monkeypatch.setattr("sys.platform", "darwin")
        assert cuda_is_available() is False

    def test_torch_is_asked_where_there_may_be_one(self, monkeypatch):
        torch = SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: True))
        monkeypatch.setitem(sys.modules, "torch", torch)
        monkeypatch.setattr("sys.platform", "win32")
        assert cuda_is_available() is True
