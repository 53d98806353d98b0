"""What `linerefine doctor` says of this machine, and of broken ones."""

from __future__ import annotations

import json
import sqlite3
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from linerefine.checkup import hardware, places, software
from linerefine.checkup.findings import Finding, examine
from linerefine.cli import main
from linerefine.machine import install_command
from linerefine.registry import Registry
from linerefine.tracking.store import sqlite_uri

FAKES = Path(__file__).parents[1] / "plugins"
AREAS = ["versions", "devices", "back-ends", "plugins", "store", "caches", "weights"]


@pytest.fixture
def cli(capfd, monkeypatch, tmp_path):
    """Run a command in an empty folder; return exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return SimpleNamespace(code=code, out=out, err=err)

    return run


@pytest.fixture
def install(monkeypatch):
    """Install fake distributions for one test."""
    before = set(sys.modules)
    yield lambda name: monkeypatch.syspath_prepend(str(FAKES / name))
    for name in set(sys.modules) - before:
        if name.startswith("linerefine_"):
            del sys.modules[name]


def named(findings, name):
    return next(finding for finding in findings if finding.name == name)


def test_everything_is_looked_at(cli, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    done = cli("doctor")
    assert (done.code, done.err) == (0, "")
    headings = [line for line in done.out.splitlines() if line in AREAS]
    assert headings == AREAS
    assert f"  linerefine                   {metadata.version('linerefine')}" in done.out
    assert "hf download facebook/sam-vit-base  weights segment anything" in done.out
    assert "linerefine run EXPERIMENT" in done.out.partition("to have what is missing")[2]


def test_json_says_the_same(cli):
    found = json.loads(cli("doctor", "--json").out)
    assert found["usable"] is True
    assert list(dict.fromkeys(each["area"] for each in found["findings"])) == AREAS
    assert {each["state"] for each in found["findings"]} <= {"ok", "absent"}


def test_a_broken_plugin_is_explained_and_costs_the_exit_code(cli, install):
    install("import_error")
    done = cli("doctor")
    assert done.code == 2
    assert done.err.startswith("broken: plugins ")
    assert "cannot be imported" in done.out
    assert (
        "  pip uninstall linerefine-lost, or --block lost in each command  plugins lost\n"
    ) in done.out.partition("to have what is missing")[2]


def test_the_core_in_conflict_is_not_the_one_to_go(install):
    install("conflicting")
    found = list(software.plugins(Registry.discover()))
    assert named(found, "linerefine").state == named(found, "foo").state == "broken"
    assert named(found, "linerefine").remedy == ""
    assert named(found, "foo").remedy.startswith("pip uninstall linerefine-foo")


def test_a_plugin_that_provides_nothing_is_said_to(install):
    install("barren")
    assert named(software.plugins(Registry.discover()), "barren") == Finding(
        "plugins", "barren", "0.1: provides nothing", "absent", "linerefine plugins check barren"
    )


def test_what_a_plugin_provides_is_counted_in_singular_and_plural():
    found = list(software.plugins(Registry.discover()))
    assert named(found, "retina-demo").says.endswith(": 1 loader, 1 experiment")
    assert named(found, "linerefine").says.endswith(" 1 experiment, 2 studies")


def test_a_look_that_fails_is_a_finding_and_no_traceback():
    def fails():
        yield Finding("area", "first", "fine")
        msg = "the disk is\non fire"
        raise OSError(msg)

    assert examine([("area", fails), ("next", lambda: [Finding("next", "x", "fine")])]) == [
        Finding("area", "first", "fine"),
        Finding("area", "area", "cannot be looked at: OSError: the disk is on fire", "broken"),
        Finding("next", "x", "fine"),
    ]


def test_a_required_package_is_broken_and_an_extra_only_absent(monkeypatch):
    version = metadata.version

    def lacking(name):
        if name in {"mlflow", "openvino"}:
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", lacking)
    found = list(software.versions())
    assert named(found, "mlflow") == Finding(
        "versions", "mlflow", "not installed", "broken", install_command("'linerefine'")
    )
    assert named(found, "openvino") == Finding(
        "versions",
        "openvino",
        "not installed; comes with [openvino]",
        "absent",
        install_command("'linerefine[openvino]'"),
    )
    assert named(found, "torch").says == version("torch")


def test_a_back_end_that_cannot_run_comes_with_reason_and_command(monkeypatch):
    from linerefine.models.backends import runtimes

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(runtimes.importlib.util, "find_spec", lambda name: None)
    found = list(hardware.backends())
    assert named(found, "onnxruntime") == Finding(
        "back-ends",
        "onnxruntime",
        "onnxruntime is not installed",
        "absent",
        install_command("'linerefine[onnx]'"),
    )
    assert named(found, "cuda_graph").state == "absent"
    assert named(found, "eager").state == "ok"
    assert named(hardware.devices(), "cuda").state == "absent"


def test_cuda_devices_are_named(monkeypatch):
    card = SimpleNamespace(name="Card 9", total_memory=80 * 2**30)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda number: card)
    assert named(hardware.devices(), "cuda:0").says == "Card 9, 80 GiB"


def test_what_is_no_store_is_broken(tmp_path, cli):
    (tmp_path / "mlflow.db").write_text("this is no database, only text. " * 99)
    done = cli("doctor", "--store", tmp_path / "mlflow.db")
    assert (done.code, done.err) == (2, "broken: store mlflow\n")
    assert "cannot be read: file is not a database" in done.out


def test_a_store_is_counted_and_left_as_it_is(tmp_path):
    database = tmp_path / "mlflow.db"
    with sqlite3.connect(database) as connection:
        connection.executescript(
            """
            CREATE TABLE runs (run_uuid, status, lifecycle_stage);
            CREATE TABLE tags (run_uuid, key, value);
            CREATE TABLE alembic_version (version_num);
            INSERT INTO alembic_version VALUES ('451aebb31d03');
            INSERT INTO runs VALUES ('a', 'FINISHED', 'active'), ('b', 'FAILED', 'active'),
                ('c', 'FINISHED', 'deleted'), ('d', 'FINISHED', 'active');
            INSERT INTO tags SELECT run_uuid, 'linerefine.part', 'command' FROM runs;
            UPDATE tags SET value = 'unet/0' WHERE run_uuid = 'd';
            """
        )
    connection.close()
    before = database.read_bytes()
    uri = sqlite_uri(database)
    found, schema = places.store(uri)
    assert found.says == f"{uri}: 2 commands (1 failed, 1 finished)"
    assert (schema.state, schema.remedy) == ("absent", f"mlflow db upgrade '{uri}'")
    assert database.read_bytes() == before


def test_a_server_that_does_not_answer_is_broken():
    (found,) = places.store("http://127.0.0.1:9")
    assert found.state == "broken"
    assert "does not answer" in found.says


def test_weights_in_caches_are_found(tmp_path, monkeypatch):
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    blob = tmp_path / "hub" / "models--facebook--sam-vit-base" / "blobs" / "abc"
    net = tmp_path / "torch" / "hub" / "checkpoints" / "resnet18.pth"
    for file in (blob, net):
        file.parent.mkdir(parents=True)
        file.write_bytes(bytes(2048))
    found = list(places.weights(Registry([])))
    assert [(each.name, each.says.partition(" in ")[0]) for each in found] == [
        ("facebook/sam-vit-base", "2 KiB"),
        ("resnet18.pth", "2 KiB"),
    ]
