"""Discovery, conflicts and lookup, on fake installed distributions."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

import linerefine as lr
from linerefine import builtin, discovery, hooks
from linerefine.discovery import KINDS, installed_plugins
from linerefine.registry import Registry

FAKES = Path(__file__).parent / "plugins"


@pytest.fixture
def install(monkeypatch):
    """Install fake distributions for one test."""
    before = set(sys.modules)

    def put_on_path(*names: str) -> None:
        for name in names:
            monkeypatch.syspath_prepend(str(FAKES / name))

    yield put_on_path
    for name in set(sys.modules) - before:
        if name.startswith(
            ("linerefine_leaves", "linerefine_foo", "linerefine_angry", "linerefine_dreamy")
        ):
            del sys.modules[name]


def plugin(**hooks_: object) -> SimpleNamespace:
    """Return an object whose attributes are hook implementations."""
    return SimpleNamespace(
        **{name: lr.hookimpl(function) for name, function in hooks_.items()}, __name__="fake"
    )


def metric_entry(name: str = "area") -> lr.Entry:
    return lr.Entry(name, "a metric", lambda _: None)


class TestDiscovery:
    def test_the_core_is_its_own_first_plugin(self):
        first = Registry.discover().describe()[0]
        assert (first.name, first.distribution, first.problem) == ("linerefine", "linerefine", None)
        assert first.version == lr.__version__
        assert first.provides == {
            "loaders": ("folder",),
            "simulators": ("clicks", "longest", "scribbles"),
            "refiners": ("anchored", "deeplabv3plus", "iternet", "manual", "pan", "unet"),
            "metrics": (
                "betti0",
                "betti1",
                "centreline_distance",
                "centreline_distance_95",
                "centreline_f",
                "cldice",
                "dice",
                "f_measure",
                "iou",
                "length_bias",
                "path_similarity",
                "pfm",
            ),
            "experiments": ("folder",),
            "studies": ("comparison", "ingredients"),
        }

    def test_an_installed_plugin_is_found(self, install):
        install("good")
        registry = Registry.discover()
        info = {info.name: info for info in registry.describe()}["leaves"]
        assert (info.distribution, info.version, info.problem) == ("linerefine-leaves", "1.2", None)
        assert info.provides["loaders"] == ("leaves",)
        assert registry.loader("leaves").summary == "Scanned leaf veins, 600 dpi"
        assert registry.experiments()["leaves"].summary == "veins of leaves"

    def test_two_registries_share_nothing(self):
        one, other = Registry([builtin]), Registry([])
        assert {"pfm", "iou", "f_measure", "dice", "cldice"} <= one.metrics().keys()
        assert other.metrics() == {}

    @pytest.mark.parametrize("blocked", ["linerefine-leaves", "linerefine_leaves", "leaves"])
    def test_a_plugin_is_blocked_by_either_name(self, install, blocked):
        install("good")
        registry = Registry.discover(blocked=[blocked])
        assert "leaves" not in registry.loaders()
        assert "leaves" not in {info.name for info in registry.describe()}

    def test_blocking_what_is_not_installed_is_refused(self, install):
        install("good")
        expected = r"^no plugin named 'leafs'\. Did you mean 'leaves'\? Available: .*leaves"
        with pytest.raises(lr.UnknownNameError, match=expected):
            Registry.discover(blocked=["leafs"])

    def test_plugins_come_in_order_of_their_names(self, install):
        install("raising", "good")
        names = [plugin.name for plugin in installed_plugins()]
        assert names[0] == "linerefine"
        assert names[1:] == sorted(names[1:])


class TestBrokenPlugins:
    @pytest.mark.parametrize(
        ("name", "problem"),
        [
            (
                "import_error",
                r"^plugin lost \(linerefine-lost 0\.1\) cannot be imported: ModuleNotFoundError: "
                r"No module named 'a_package_that_nobody_has' \(.*plugin\.py, line 3\)\.$",
            ),
            (
                "misspelt",
                r"^plugin typo \(linerefine-typo 0\.1\) implements linerefine_loader; "
                r"did you mean linerefine_loaders\?$",
            ),
            (
                "raising",
                r"^plugin angry \(linerefine-angry 0\.1\) raises in linerefine_metrics: "
                r"RuntimeError: not today \(.*plugin\.py, line 10\)\.$",
            ),
            (
                "unknown_name",
                r"^plugin dreamy \(linerefine-dreamy 0\.1\) raises in linerefine_metrics: Attribute"
                r"Error: module 'linerefine' has no attribute 'Entri' \(.*plugin\.py, line 8\)\.$",
            ),
        ],
    )
    def test_it_is_reported_and_the_rest_is_usable(self, install, name, problem):
        install(name, "good")
        registry = Registry.discover()
        assert [p for p in registry.problems if re.search(problem, p)]
        assert {"pfm", "area"} <= registry.metrics().keys()
        assert "mood" not in registry.metrics()
        registry.check()

    def test_a_syntax_error_is_reported(self, tmp_path, monkeypatch):
        (tmp_path / "linerefine_bad.py").write_text("def broken(:\n")
        info = tmp_path / "linerefine_bad-0.1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: linerefine-bad\nVersion: 0.1\n"
        )
        (info / "entry_points.txt").write_text("[linerefine]\nbad = linerefine_bad\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        registry = Registry.discover()
        (problem,) = (p for p in registry.problems if "bad" in p)
        assert "SyntaxError: invalid syntax" in problem
        assert problem.endswith("linerefine_bad.py, line 1).")

    def test_leaving_the_program_at_import_is_reported(self):
        def leave():
            raise SystemExit(3)

        broken = plugin(linerefine_metrics=leave)
        assert (
            Registry([broken])
            .problems[0]
            .startswith("plugin fake raises in linerefine_metrics: SystemExit: 3")
        )

    @pytest.mark.parametrize(
        ("returned", "problem"),
        [
            (
                [{"name": "x"}],
                r"linerefine_metrics returns {'name': 'x'}, expected linerefine\.Entry",
            ),
            (metric_entry(), "^$"),
            ([metric_entry("My Metric")], r"returns the name 'My Metric', expected snake_case"),
            (
                [
                    metric_entry(""),
                ],
                r"returns the name '', expected snake_case such as 'my_metric'",
            ),
            ([lr.Entry("a", "s", "no factory")], r"gives 'a' a factory that cannot be called"),
            (
                [lr.Entry("a", "s", print, dict)],
                r"options that are no subclass of linerefine\.Options",
            ),
            ([lr.Entry("a", None, print)], r"gives 'a' a summary that is no text"),
            ([metric_entry(), metric_entry()], r"offers metric 'area' twice"),
        ],
    )
    def test_what_hooks_return_is_checked(self, returned, problem):
        registry = Registry([plugin(linerefine_metrics=lambda: returned)])
        assert re.search(problem, registry.problems[0] if registry.problems else "")

    def test_an_experiment_needs_a_configuration(self):
        wrong = plugin(linerefine_experiments=lambda: [lr.Experiment("a", "s", {"loader": "x"})])
        assert "gives 'a' defaults that are no ExperimentConfig" in Registry([wrong]).problems[0]

    def test_a_study_shows_what_there_is_to_show(self):
        strange = lr.Study("a", "s", "nowhere", "folder", ("patches", "beauty"))
        wrong = plugin(linerefine_studies=lambda: [strange])
        assert "gives 'a' unknown views: beauty" in Registry([wrong]).problems[0]
        no_study = plugin(linerefine_studies=lambda: ["table1"])
        assert "expected linerefine.Study objects" in Registry([no_study]).problems[0]

    def test_an_unmarked_hook_is_refused(self):
        unmarked = SimpleNamespace(linerefine_loaders=lambda: (), __name__="fake")
        expected = "plugin fake: linerefine_loaders is not marked with @linerefine.hookimpl."
        assert Registry([unmarked]).problems == (expected,)

    def test_a_plugin_without_hooks_is_refused(self):
        (problem,) = Registry([SimpleNamespace(__name__="fake")]).problems
        assert problem.startswith("plugin fake implements no hook. Mark a function named after")

    def test_a_hook_without_near_spelling_lists_all(self):
        (problem,) = Registry([plugin(qwertz=lambda: ())]).problems
        assert (
            "implements qwertz; the hooks are linerefine_loaders, linerefine_simulators" in problem
        )

    def test_a_hook_with_other_parameters_is_refused(self):
        (problem,) = Registry([plugin(linerefine_loaders=lambda config: [])]).problems
        assert problem.startswith("plugin fake does not fit its hook: ")
        assert "{'config'}" in problem


class TestConflicts:
    def test_both_providers_are_named_with_version_and_remedy(self, install):
        install("conflicting")
        registry = Registry.discover()
        version = lr.__version__.replace(".", r"\.")
        expected = (
            rf"^refiner 'unet' is provided by linerefine {version} and linerefine-foo 0\.3\. "
            r"Uninstall one or pass --block linerefine-foo\.$"
        )
        with pytest.raises(lr.ConflictError, match=expected):
            registry.check()
        with pytest.raises(lr.ConflictError, match=expected):
            registry.refiner("unet")

    def test_they_are_listed_all_the_same(self, install):
        install("conflicting")
        infos = {info.name: info for info in Registry.discover().describe()}
        assert infos["foo"].provides == {"refiners": ("unet",)}
        assert "pass --block linerefine-foo" in infos["foo"].problem
        assert "pass --block linerefine-foo" in infos["linerefine"].problem

    def test_the_remedy_works(self, install):
        install("conflicting")
        registry = Registry.discover(blocked=["linerefine-foo"])
        registry.check()
        assert registry.refiner("unet").summary.startswith("image, first prediction")

    def test_contested_names_are_left_out_of_the_lists(self, install):
        install("conflicting")
        assert "unet" not in Registry.discover().refiners()
        assert "manual" in Registry.discover().refiners()

    def test_two_objects_of_one_distribution_are_told_apart(self):
        one, other = (plugin(linerefine_metrics=lambda: [metric_entry()]) for _ in range(2))
        one.__name__, other.__name__ = "one", "other"
        registry = Registry([one, other])
        assert registry.conflicts == (
            "metric 'area' is provided by one and other. Uninstall one or pass --block other.",
        )

    def test_one_name_for_two_kinds_is_no_conflict(self):
        both = plugin(
            linerefine_metrics=lambda: [metric_entry("folder")],
            linerefine_simulators=lambda: [metric_entry("folder")],
        )
        Registry([both, builtin]).check()


class TestLookup:
    def test_an_unknown_name_gets_a_suggestion_and_the_choices(self):
        expected = r"^no refiner named 'unett'\. Did you mean 'unet'\? Available: anch.*, unet\.$"
        with pytest.raises(lr.UnknownNameError, match=expected):
            Registry([builtin]).refiner("unett")

    def test_without_a_near_name_there_is_no_suggestion(self):
        expected = r"^no loader named 'zebra'\. Available: folder\.$"
        with pytest.raises(lr.UnknownNameError, match=expected):
            Registry([builtin]).loader("zebra")

    def test_an_empty_registry_says_so(self):
        with pytest.raises(lr.UnknownNameError, match=r"named 'a'\. Available: none\.$"):
            Registry([]).experiment("a")

    @pytest.mark.parametrize("kind", KINDS)
    def test_every_kind_has_a_lookup_and_a_list(self, kind, install):
        install("good")
        registry = Registry.discover()
        listed = getattr(registry, discovery.HOOKS[kind].removeprefix("linerefine_"))()
        assert listed
        for name, item in listed.items():
            assert getattr(registry, kind)(name) is item
            assert item.name == name


class TestMaking:
    def test_each_kind_is_made_from_its_component(self, install, tmp_path):
        install("good")
        registry = Registry.discover()
        loader = registry.make_loader(
            lr.Component(name="leaves", options={"root": str(tmp_path), "dpi": 300})
        )
        assert loader.options.dpi == 300
        assert loader.options.root == tmp_path
        simulator = registry.make_simulator(lr.Component(name="pen"))
        assert simulator.options.nib == 2.0
        assert isinstance(registry.make_metric(lr.Component(name="area")), lr.Metric)
        refiner = registry.make_refiner(lr.Component(name="pasted"), channels=1)
        assert isinstance(refiner, lr.Refiner)

    def test_wrong_options_are_all_reported_with_their_path(self, install):
        install("good")
        component = lr.Component(name="leaves", options={"dpi": -1, "rot": "x"})
        with pytest.raises(lr.ConfigError) as raised:
            Registry.discover().make_loader(component)
        assert str(raised.value).splitlines() == [
            "3 mistakes in the configuration:",
            "  loader.options.root is missing.",
            "  loader.options.dpi is -1, expected > 0.",
            "  loader.options.rot is not a setting. Did you mean 'root'?",
        ]

    def test_the_path_of_a_refiner_can_be_given(self, install):
        component = lr.Component(name="manual", options={"colour": 1})
        expected = r"^refiners\.0\.options\.colour is not a setting\. There are no settings here\.$"
        with pytest.raises(lr.ConfigError, match=expected):
            Registry([builtin]).make_refiner(component, 1, where=("refiners", 0))
        with pytest.raises(lr.ConfigError, match=r"^refiners\.manual\.options\.colour is"):
            Registry([builtin]).make_refiner(component, 1)

    def test_a_factory_that_makes_something_else_is_refused(self, install):
        install("conflicting")
        registry = Registry.discover(blocked=["linerefine"])
        expected = (
            r"^refiner 'unet' of linerefine-foo 0\.3 is made as NoneType, expected a Refiner\.$"
        )
        with pytest.raises(lr.PluginError, match=expected):
            registry.make_refiner(lr.Component(name="unet"), 1)

    def test_a_metric_must_be_as_additive_as_its_entry_says(self):
        from linerefine.metrics import ClDice

        offered = plugin(linerefine_metrics=lambda: [lr.Entry("forgotten", "a metric", ClDice)])
        expected = r"has is_additive = False, its Entry True; both must say the same\.$"
        with pytest.raises(lr.PluginError, match=expected):
            Registry([offered]).make_metric(lr.Component(name="forgotten"))


def test_a_module_of_no_distribution_has_no_version():
    module = ModuleType("loose")
    module.linerefine_metrics = lr.hookimpl(lambda: [metric_entry()])
    (info,) = Registry([module]).describe()
    assert (info.name, info.distribution, info.version) == ("loose", "loose", "")


class TestBuiltin:
    @pytest.mark.parametrize("name", ["pfm", "iou", "f_measure", "dice"])
    def test_every_metric_scores_a_perfect_prediction_one(self, name):
        import numpy as np

        lines = np.eye(8, dtype=bool)
        metric = Registry([builtin]).make_metric(lr.Component(name=name))
        assert metric.score(lines, lr.Target(lines, np.ones_like(lines))) == 1.0

    def test_every_component_is_what_its_name_says(self, tmp_path):
        registry = Registry([builtin])
        longest = registry.make_simulator(lr.Component(name="longest"))
        assert type(longest).__name__ == "Longest"
        for name, kind in (("clicks", "Clicks"), ("scribbles", "Scribbles")):
            assert type(registry.make_simulator(lr.Component(name=name))).__name__ == kind
        manual = registry.make_refiner(lr.Component(name="manual"), channels=1)
        assert type(manual).__name__ == "Manual"
        folder = registry.make_loader(lr.Component(name="folder", options={"root": str(tmp_path)}))
        assert type(folder).__name__ == "Folder"

    def test_unet_takes_image_prediction_and_hints(self):
        network = {"encoder": "resnet18", "decoder_channels": [16, 16, 8, 8, 8]}
        component = lr.Component(name="unet", options={"network": network})
        refiner = Registry([builtin]).make_refiner(component, channels=2)
        assert refiner.network.channels == 4


HOOKS = {
    # hook: its parameters. No hook takes any: what it offers must not depend on a run.
    "linerefine_loaders": (),
    "linerefine_simulators": (),
    "linerefine_refiners": (),
    "linerefine_metrics": (),
    "linerefine_experiments": (),
    "linerefine_studies": (),
}


def test_every_hook_has_exactly_this_signature():
    specified = {
        name: tuple(inspect.signature(function).parameters)
        for name, function in vars(hooks).items()
        if hasattr(function, "linerefine_spec")
    }
    assert specified == HOOKS
    assert tuple(specified) == tuple(discovery.HOOKS.values())
    assert tuple(discovery.HOOKS) == KINDS


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_implemented_by_the_core_and_documented(hook):
    assert hasattr(getattr(builtin, hook), "linerefine_impl")
    assert inspect.getdoc(getattr(hooks, hook))
