"""`linerefine plugins check`: what is right is called so, what is wrong is said with its remedy."""

from __future__ import annotations

import json
import re

import pytest

from linerefine.discovery import KINDS
from linerefine.errors import ConfigError, UnknownNameError
from linerefine.kit.checking import check_plugin
from linerefine.kit.findings import examine
from linerefine.registry import Registry
from linerefine.testing.demands import demand

# What the fake plugin `careless` gets wrong: subject and name, check, what is said of it.
WRONG = {
    ("plugin careless-person", "is listed without importing what is slow"): (
        r"announcing its components imports matplotlib, .*; import it inside the factory"
    ),
    ("loader scans", "entry and options"): (
        r"its summary is 'scans\\nin a folder', expected one line"
    ),
    ("loader scans", "names and samples of every split"): (
        r"loader\.options\.root is missing\. Pass --options root=DIR\."
    ),
    ("simulator doodler", "strokes"): (
        r"raised ZeroDivisionError: division by zero \(.*_careless/plugin\.py, line 43\)\."
    ),
    ("simulator doodler", "other processes"): (
        r"Doodler cannot be pickled \(.*<lambda>.*\); keep no open files, .* importable by name\."
    ),
    ("refiner monochrome", "answers, 3 channels"): (
        r"refiner 'monochrome' of linerefine-careless 0\.2 is made as str, expected a Refiner\."
    ),
    ("metric bottomless", "entry and options"): (
        r"LooseOptions takes unknown options, so that misspelt ones are lost; leave `extra`"
    ),
    ("metric bottomless", "counts and scores"): r"Bottomless .* counts pixels outside the ROI",
    ("experiment scans", "profile quick"): (
        r"2 mistakes in the configuration:\n  training\.max_epochs is 0, .*\n"
        r"  sead is not a setting .*Did you mean 'seed'\?"
    ),
    ("experiment scans", "protocol strict"): r"seed is -1, expected >= 0 \(set by protocol strict",
    ("study adrift", "is offered once, on what there is"): (
        r"no experiment named 'scnas'\. Did you mean 'scans'\?"
    ),
    ("study sweep", "protocol paper, every profile"): r"with profile 'quick': 2 mistakes",
    ("study sweep", "protocol none, every profile"): (
        r"(?s)with profile 'quick': 3 mistakes.*with profile 'paper': .* no protocol 'none'"
    ),
}
RIGHT = [
    ("plugin careless-person", "loads and offers something"),
    ("simulator doodler", "entry and options"),
    ("refiner monochrome", "entry and options"),
    ("refiner monochrome", "answers, 1 channel"),
    ("metric bottomless", "other processes"),
    ("experiment scans", "settings without a profile"),
    ("experiment scans", "profile paper"),
]


def said(findings) -> dict[tuple[str, str], str]:
    return {(f"{f.subject} {f.name}", f.checked): f.problem for f in findings}


def test_everything_wrong_is_found_and_nothing_else(install):
    install("careless")
    found = said(check_plugin(Registry.discover(), "careless_person"))
    assert {key for key, problem in found.items() if problem} == set(WRONG)
    for key, pattern in WRONG.items():
        assert re.match(pattern, found[key]), f"{key}: {found[key]}"
    assert {key for key, problem in found.items() if not problem} == set(RIGHT)


@pytest.mark.parametrize("name", ["retina_demo", "retina-demo", "linerefine-retina-demo"])
def test_what_the_house_ships_keeps_its_promises(name):
    found = said(check_plugin(Registry.discover(), name))
    assert set(found.values()) == {""}
    assert ("loader retina_demo", "names and samples of every split") in found
    assert ("experiment retina_demo", "profile quick") in found


@pytest.mark.timeout(300)
def test_every_kind_of_the_core_is_checked():
    registry = Registry.discover(["etruscan_mirrors", "retina_demo"])
    told = []
    findings = check_plugin(registry, "linerefine", announce=told.append)
    assert [f for f in findings if f.problem] == []
    assert {f.subject for f in findings} == {"plugin", *KINDS}
    assert told[0] == "loader folder"
    assert len(told) == len(set(told)) == len({(f.subject, f.name) for f in findings}) - 1


def test_a_component_is_checked_by_its_name_in_every_kind_that_has_it():
    found = said(check_plugin(Registry.discover(), "folder"))
    assert {subject for subject, _ in found} == {"loader folder", "experiment folder"}
    assert set(found.values()) == {""}


def test_a_folder_loader_is_checked_on_the_folder_that_is_given(tmp_path):
    (tmp_path / "images").mkdir()
    registry = Registry.discover()
    found = said(check_plugin(registry, "folder", [f"root={tmp_path}"]))
    problem = found["loader folder", "names and samples of every split"]
    assert str(tmp_path) in problem
    assert "drawn" not in problem


def test_an_option_reaches_the_component_and_the_experiment_around_it():
    found = said(check_plugin(Registry.discover(), "retina_demo", ["sample_images=2"]))
    wrong = [key for key, problem in found.items() if problem]
    assert ("loader retina_demo", "names and samples of every split") in wrong
    assert ("experiment retina_demo", "profile quick") in wrong
    assert "sample_images is 2, expected >= 6" in found["experiment retina_demo", "profile quick"]


def test_nested_options_are_given_with_dots():
    option = "network.encoder=no_such_encoder"
    found = said(check_plugin(Registry.discover(), "pan", [option]))
    assert "no_such_encoder" in found["refiner pan", "answers, 1 channel"]


def test_a_plugin_that_cannot_be_imported_says_why(install):
    install("import_error")
    ((key, problem),) = said(check_plugin(Registry.discover(), "lost")).items()
    assert key == ("plugin lost", "loads and offers something")
    assert "cannot be imported: ModuleNotFoundError" in problem


def test_a_plugin_that_offers_nothing_is_told_how_to(install):
    install("barren")
    ((_, problem),) = said(check_plugin(Registry.discover(), "barren")).items()
    assert problem == "its hooks return nothing; yield a linerefine.Entry in one of them."


def test_a_name_with_two_providers_is_a_finding(install):
    install("conflicting")
    ((key, problem),) = said(check_plugin(Registry.discover(), "unet")).items()
    assert key == ("refiner unet", "is offered once")
    assert problem == (
        "refiner 'unet' is provided by linerefine 0.1.0 and linerefine-foo 0.3. "
        "Uninstall one or pass --block linerefine-foo."
    )


def test_an_option_that_must_be_given_is_asked_for(install):
    install("demanding")
    found = said(check_plugin(Registry.discover(), "within"))
    wanted = "metrics.within.options.pixels is missing. Pass --options pixels=VALUE."
    assert found["metric within", "counts and scores"] == wanted
    given = said(check_plugin(Registry.discover(), "within", ["pixels=3"]))
    problem = given["metric within", "counts and scores"]
    assert "is made as NoneType, expected a Metric" in problem


def test_an_unknown_name_gets_a_suggestion():
    with pytest.raises(UnknownNameError, match=r"named 'lonest'\. Did you mean 'longest'\? Instal"):
        check_plugin(Registry.discover(), "lonest")


def test_an_unknown_name_may_be_that_of_something_in_a_broken_plugin(install):
    install("import_error")
    with pytest.raises(UnknownNameError, match=r" Cannot be loaded: lost; linerefine plugins says"):
        check_plugin(Registry.discover(), "map")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("root", "--options is 'root', expected K=V such as root=DIR."),
        (
            "halfwidth=3",
            "--options halfwidth=3: no component that is checked has 'halfwidth'. "
            "Did you mean 'half_width'?",
        ),
        (
            "dpi=600",
            "--options dpi=600: no component that is checked has 'dpi'. "
            "Available: half_width, max_length, tip, tolerance, tolerance_tip.",
        ),
    ],
)
def test_an_option_that_nothing_has_is_refused(option, message):
    with pytest.raises(ConfigError, match=rf"^{re.escape(message)}$"):
        check_plugin(Registry.discover(), "longest", [option])


class TestExamine:
    def test_a_demand_is_said_as_it_is(self):
        found = examine("metric", "m", "x", lambda: demand(False, "Count `roi` only."))
        assert found.problem == "Count `roi` only."

    def test_an_assertion_of_the_plugins_own_is_an_error_like_others(self):
        def check():
            assert not __name__, "mine"

        found = examine("metric", "m", "x", check, __name__.partition(".")[0])
        assert re.fullmatch(
            r"raised AssertionError: mine.* \(.*test_checking\.py, line \d+\)\.",
            " ".join(found.problem.split()),
        )

    def test_a_plugin_that_leaves_does_not_end_the_program(self):
        found = examine("metric", "m", "x", lambda: exit(3))
        assert found.problem.startswith("raised SystemExit: 3 (")

    def test_ctrl_c_ends_it(self):
        def check():
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            examine("metric", "m", "x", check)


class TestCommand:
    def test_a_good_one_is_a_table_and_exit_code_0(self, cli):
        done = cli("plugins", "check", "iou")
        assert done.out == (
            "component   checked            result\n"
            "metric iou  entry and options  ok\n"
            "metric iou  counts and scores  ok\n"
            "metric iou  other processes    ok\n"
        )
        assert (done.code, done.err) == (0, "checking metric iou\nall 3 checks passed\n")

    def test_a_wrong_one_is_explained_and_exit_code_2(self, cli, install):
        install("careless")
        done = cli("plugins", "check", "scans", "--options", "root=.")
        lines = done.out.splitlines()
        assert lines[2].startswith(
            "loader scans      names and samples of every split  Scans.names('train') is empty;"
        )
        assert lines[4:7] == [
            f"experiment scans  profile quick{' ' * 21}2 mistakes in the configuration:",
            f"{' ' * 54}training.max_epochs is 0, expected >= 1 (set by profile quick).",
            f"{' ' * 54}sead is not a setting (set by profile quick). Did you mean 'seed'?",
        ]
        assert done.code == 2
        last = done.err.splitlines()[-1]
        assert last == "PluginError: 4 of 6 checks of 'scans' found something to mend."

    def test_json_says_the_same(self, cli, install):
        install("careless")
        done = cli("plugins", "check", "bottomless", "--json")
        content = json.loads(done.out)
        assert (content["name"], content["ok"], done.code) == ("bottomless", False, 2)
        assert content["findings"][2] == {
            "kind": "metric",
            "name": "bottomless",
            "checked": "other processes",
            "ok": True,
            "problem": None,
        }
        assert [f["ok"] for f in content["findings"]] == [False, False, True]

    def test_a_blocked_plugin_is_not_there(self, cli):
        done = cli("plugins", "check", "retina_demo", "--block", "retina_demo")
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith("UnknownNameError: no plugin or component named 'retina_demo'.")

    def test_help_tells_of_it(self, cli):
        done = cli("plugins", "--help")
        assert "check  Check every promise of a plugin." in done.out
        assert re.findall(r"^  (--[a-z-]+)", cli("plugins", "check", "--help").out, re.M) == [
            "--options",
            "--json",
            "--block",
        ]
