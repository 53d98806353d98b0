from __future__ import annotations

import json
import logging
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linerefine.errors import DataError, RunError
from linerefine.events import RoundFinished, RunFinished, RunStarted, SessionFinished, SessionKey
from linerefine.gain import relative_gain
from linerefine.report import RunResult
from linerefine.tracking.rounds import (
    RoundTable,
    has_session,
    load_session,
    merge,
    read_sessions,
    session_frame,
    session_path,
    steering_metric,
    write_session,
)

KEY = SessionKey("unet", 1, "mirror 2")


def as_plain(rounds):
    """Return rounds as comparable values; strokes compare by identity otherwise."""
    return [
        (
            r.index,
            r.tile,
            None if r.stroke is None else r.stroke.to_dict(),
            r.effort,
            r.stroke_length,
            {k: None if math.isnan(v) else v for k, v in r.manual.items()},
            {k: None if math.isnan(v) else v for k, v in r.refined.items()},
            dict(r.seconds),
            (r.regret, r.repaired, None if math.isnan(r.compliance) else r.compliance),
        )
        for r in rounds
    ]


def test_a_session_comes_back_as_it_was_written(tmp_path, rounds_of):
    rounds = rounds_of(KEY)
    write_session(tmp_path, KEY, rounds, "pfm")
    assert as_plain(load_session(tmp_path, KEY)) == as_plain(rounds)
    assert has_session(tmp_path, KEY)


def test_scores_of_the_first_and_the_last_round_come_back_absent_between_them(tmp_path, rounds_of):
    rounds = rounds_of(KEY)
    for index, score in ((0, math.nan), (-1, 3.0)):
        extra = {"betti0": score}
        rounds[index] = replace(
            rounds[index],
            manual={**rounds[index].manual, **extra},
            refined={**rounds[index].refined, **extra},
        )
    write_session(tmp_path, KEY, rounds, "pfm")
    assert as_plain(load_session(tmp_path, KEY)) == as_plain(rounds)
    column = read_sessions(tmp_path)["refined_betti0"]
    assert column.isna().tolist() == [True] * (len(rounds) - 1) + [False]


def test_the_frame_has_the_columns_that_the_report_promises(rounds_of):
    frame = session_frame(KEY, rounds_of(KEY), "pfm")
    promised = [
        *("refiner", "repeat", "image", "round", "operation", "half_width", "effort"),
        *("stroke_length", "tile_row", "tile_col", "manual_pfm", "refined_pfm", "manual_iou"),
        *("relative_gain", "seconds_network", "seconds_score"),
        *("regret", "repaired", "compliance"),
    ]
    assert set(promised) <= set(frame.columns)
    for name in ("refiner", "repeat", "round", "tile_row", "effort", "regret", "relative_gain"):
        assert f"``{name}``" in RunResult.__doc__
    first, last = frame.iloc[0], frame.iloc[-1]
    assert first["round"] == 0
    assert first["operation"] is None or pd.isna(first["operation"])
    assert math.isnan(first["half_width"])
    assert last["tile_col"] == 64 * last["round"]
    assert last["relative_gain"] == pytest.approx(0.08)
    assert len(last["stroke_rows"]) == len(last["stroke_cols"]) == 5


def test_a_table_without_consequences_loads_as_not_counted(tmp_path, rounds_of):
    path = write_session(tmp_path, KEY, rounds_of(KEY), "pfm")
    table = pq.read_table(path)
    old = table.drop_columns(["regret", "repaired", "compliance"])
    mark = json.loads(table.schema.metadata[b"linerefine"]) | {"columns": old.column_names}
    pq.write_table(
        old.replace_schema_metadata({b"linerefine": json.dumps(mark).encode()}),
        path,
        write_page_checksum=True,
    )
    loaded = load_session(tmp_path, KEY)
    assert {(r.regret, r.repaired) for r in loaded} == {(None, None)}
    assert all(math.isnan(r.compliance) for r in loaded)
    new = SessionKey("unet", 0, "mirror 2")
    write_session(tmp_path, new, rounds_of(new), "pfm")
    frame = read_sessions(tmp_path)
    assert frame.loc[frame["repeat"] == 1, "regret"].isna().all()
    assert frame.loc[(frame["repeat"] == 0) & (frame["round"] > 0), "regret"].notna().all()


def test_gain_follows_the_metric_asked_for(rounds_of):
    assert session_frame(KEY, rounds_of(KEY), "pfm")["relative_gain"].iloc[-1] > 0
    assert session_frame(KEY, rounds_of(KEY), "iou")["relative_gain"].iloc[-1] == 0
    assert session_frame(KEY, rounds_of(KEY), "dice")["relative_gain"].isna().all()


def test_an_undefined_score_stays_undefined(rounds_of):
    frame = session_frame(KEY, rounds_of(KEY), "iou")
    assert math.isnan(frame["manual_iou"].iloc[0])
    assert math.isnan(frame["relative_gain"].iloc[0])


@given(
    refined=st.floats(0, 1) | st.just(float("nan")), manual=st.floats(0, 1) | st.just(float("nan"))
)
def test_relative_gain_is_defined_exactly_where_the_manual_score_is_above_zero(refined, manual):
    gain = relative_gain(refined, manual)
    if math.isnan(refined) or math.isnan(manual) or manual == 0:
        assert math.isnan(gain)
    else:
        assert gain == refined / manual - 1


@pytest.mark.parametrize("keep", [0, 4, 100, 0.5, 0.9, -1])
def test_a_file_cut_short_counts_as_absent(tmp_path, rounds_of, keep, caplog):
    path = write_session(tmp_path, KEY, rounds_of(KEY), "pfm")
    whole = path.read_bytes()
    size = int(keep * len(whole)) if isinstance(keep, float) else keep
    path.write_bytes(whole[:size])
    assert load_session(tmp_path, KEY) is None
    assert not has_session(tmp_path, KEY)
    assert read_sessions(tmp_path).empty
    assert "is damaged and is not used" in caplog.text


def test_a_flipped_bit_is_noticed(tmp_path, rounds_of):
    path = write_session(tmp_path, KEY, rounds_of(KEY), "pfm")
    whole = bytearray(path.read_bytes())
    original = as_plain(rounds_of(KEY))
    unnoticed = []
    for position in range(4, len(whole) - 8, 61):
        damaged = whole.copy()
        damaged[position] ^= 0x10
        path.write_bytes(damaged)
        found = load_session(tmp_path, KEY)
        if found is not None and as_plain(found) != original:
            unnoticed.append(position)
    assert unnoticed == []


def test_a_file_under_another_name_is_not_taken(tmp_path, rounds_of, caplog):
    path = write_session(tmp_path, KEY, rounds_of(KEY), "pfm")
    other = SessionKey("unet", 0, "mirror 2")
    path.rename(session_path(tmp_path, other))
    assert load_session(tmp_path, other) is None
    assert "not what its name says" in caplog.text


def test_a_foreign_parquet_file_is_not_taken(tmp_path, caplog):
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "unet-1-mirror_2.parquet")
    assert read_sessions(tmp_path).empty


def test_a_session_that_was_never_run_is_silently_absent(tmp_path, caplog):
    assert load_session(tmp_path / "nowhere", KEY) is None
    assert caplog.text == ""


@pytest.mark.parametrize("image", ["a/b", "a\\b", "ü n", "x" * 400, "con:1", "..", "a?b"])
def test_file_names_are_safe_and_distinct(tmp_path, image, rounds_of):
    path = session_path(tmp_path, SessionKey("unet", 0, image))
    assert path.parent == tmp_path
    assert len(path.name) < 150
    assert set(path.name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_.-")
    assert path != session_path(tmp_path, SessionKey("unet", 0, image + " "))


def test_plain_names_stay_readable(tmp_path):
    path = session_path(tmp_path, SessionKey("unet_b6", 3, "ANSA-VI-1700_R"))
    assert path.name == "unet_b6-3-ANSA-VI-1700_R.parquet"


def test_sessions_of_a_folder_form_one_sorted_table(tmp_path, keys, rounds_of):
    for key in reversed(keys):
        write_session(tmp_path / "rounds", key, rounds_of(key), "pfm")
    merged = merge(tmp_path / "rounds", tmp_path / "rounds.parquet")
    assert len(merged) == sum(len(rounds_of(key)) for key in keys)
    order = merged[["refiner", "repeat", "image", "round"]]
    assert order.equals(order.sort_values(list(order.columns)).reset_index(drop=True))
    again = pd.read_parquet(tmp_path / "rounds.parquet")
    pd.testing.assert_frame_equal(again, merged)


def test_sessions_scored_differently_share_a_table(tmp_path, rounds_of):
    write_session(tmp_path, KEY, rounds_of(KEY), "pfm")
    other = SessionKey("echo", 0, "mirror 1")
    bare = [
        r.__class__(r.index, None, None, 0, 0.0, {"dice": 0.5}, {"dice": 0.5}, {})
        for r in rounds_of(other)[:1]
    ]
    write_session(tmp_path, other, bare, "dice")
    frame = read_sessions(tmp_path)
    assert np.isnan(frame.loc[frame["refiner"] == "echo", "manual_pfm"]).all()
    assert as_plain(load_session(tmp_path, other)) == as_plain(bare)


def test_half_written_leftovers_are_no_sessions(tmp_path, rounds_of):
    path = write_session(tmp_path, KEY, rounds_of(KEY), "pfm")
    path.rename(tmp_path / f".{path.name}.123-ab.tmp.parquet")
    assert read_sessions(tmp_path).empty


def test_an_unwritable_folder_is_named(tmp_path, rounds_of):
    (tmp_path / "rounds").write_text("a file in the way")
    with pytest.raises(DataError, match=r"rounds.* cannot be written"):
        write_session(tmp_path / "rounds", KEY, rounds_of(KEY), "pfm")


def test_the_observer_writes_every_session_and_the_whole(tmp_path, stream, keys, rounds_of):
    observer = RoundTable()
    for event in stream(tmp_path):
        observer(event)
    assert all(has_session(tmp_path / "rounds", key) for key in keys)
    merged = pd.read_parquet(tmp_path / "rounds.parquet")
    assert len(merged) == sum(len(rounds_of(key)) for key in keys)


def test_the_observer_keeps_what_is_finished_when_a_run_is_interrupted(tmp_path, stream, keys):
    observer = RoundTable()
    events = stream(tmp_path, status="interrupted", stop_after=3)
    for event in events[:-3]:  # the third session never ends
        observer(event)
    observer(RunFinished("interrupted"))
    assert [has_session(tmp_path / "rounds", key) for key in keys[:3]] == [True, True, False]
    assert pd.read_parquet(tmp_path / "rounds.parquet")["repeat"].nunique() == 2


def test_the_observer_does_not_rewrite_a_session(tmp_path, rounds_of):
    path = write_session(tmp_path / "rounds", KEY, rounds_of(KEY), "pfm")
    before = path.stat().st_mtime_ns
    observer = RoundTable("pfm")
    observer(RunStarted("mirrors", tmp_path, {}, {}))
    for round_ in rounds_of(KEY):
        observer(RoundFinished(KEY, round_))
    observer(SessionFinished(KEY, 4, "stored"))
    assert path.stat().st_mtime_ns == before


def test_the_observer_wants_a_run_first(rounds_of):
    observer = RoundTable("pfm")
    observer(RoundFinished(KEY, rounds_of(KEY)[0]))
    with pytest.raises(RunError, match="finished before any run started"):
        observer(SessionFinished(KEY, 0, "why"))


@pytest.mark.parametrize("config", [{}, {"metrics": ()}, {"metrics": None}])
def test_a_configuration_without_metric_is_refused(config):
    with pytest.raises(RunError, match="names no metric"):
        steering_metric(config)


def test_the_log_stays_quiet_about_whole_files(tmp_path, rounds_of, caplog):
    caplog.set_level(logging.INFO)
    write_session(tmp_path, KEY, rounds_of(KEY), "pfm")
    assert len(read_sessions(tmp_path)) == 5
    assert caplog.text == ""
