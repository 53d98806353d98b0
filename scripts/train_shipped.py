"""Train, halve and describe the networks that ship with the Etruscan mirrors.

Usage: python scripts/train_shipped.py [RUN]

Runs `linerefine run etruscan_mirrors --profile ship` in the folder RUN (by
default runs/shipped; what is there is gone on with), writes the networks into
the plugin in half precision, scores them there with `--profile trained` in
RUN-trained, and writes the model card. Takes an hour on one core; needs no data
and no network connection.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from linerefine.experiment.bench import Bench, Notifier
from linerefine.experiment.folder import RunFolder
from linerefine.experiment.loading import load_bench
from linerefine.experiment.patches import patch_scores, stored_patch_scores
from linerefine.experiment.slim import slim_copy
from linerefine.experiment.stored import stored_refiner, stored_segmenter
from linerefine.registry import Registry
from linerefine_etruscan_mirrors import plugin

EXPERIMENT, REFINER = "etruscan_mirrors", "unet"
WHAT = "drawn mirrors only"
TRAINED = Path(plugin.__file__).with_name("trained")
CARD = Path(__file__).with_name("model_card.md")


def run(folder: Path, profile: str) -> None:
    """Run a profile of the experiment in a folder, unless that is done."""
    if (folder / "summary.json").exists():
        return
    command = [sys.executable, "-m", "linerefine", "run", EXPERIMENT, "--profile", profile]
    command += ["--output", str(folder), "--set", "threads=1", "--set", "tracking.enabled=false"]
    if (folder / "config.toml").exists():
        command += ["--resume"]
    subprocess.run(command, check=True)


def opened(folder: Path) -> Bench:
    """Return a run's bench with everything prepared."""
    bench = load_bench(Registry.discover(), folder, EXPERIMENT, "cpu", Notifier([]))
    bench.loader.prepare(bench.notify.progress)
    bench.prepare_simulators()
    return bench


def change(run: Path, shipped: Path) -> dict[str, float]:
    """Return what half precision changes on the test mirrors: pixels, and scores of patches."""
    whole, half = opened(run), opened(run)
    half = Bench(**{**vars(half), "folder": RunFolder(TRAINED)})
    before = stored_patch_scores(whole, REFINER) or []
    after = patch_scores(half, REFINER, stored_refiner(half, REFINER), stored_segmenter(half))
    score = f"refined_{whole.steering}"
    changed = [
        np.mean((np.load(path) > 0) != (np.load(shipped / "predictions" / path.name) > 0))
        for path in sorted((run / "predictions").glob("*.npy"))
    ]
    return {
        "changed_pixels": float(np.max(changed)),
        "refined_change": max(
            abs(old[score] - new[score]) for old, new in zip(before, after, strict=True)
        ),
    }


def percent(value: float | None, sign: str = "") -> str:
    """Return a share as text; undefined ones as a dash."""
    return "–" if value is None else f"{100 * value:{sign}.1f}"


def numbers(summary: Mapping[str, Any]) -> str:
    """Return the table of the test mirrors."""
    first = summary["first_prediction"]
    sessions = summary["refiners"][REFINER]
    lines = []
    for name in [*first["images"], "mean"]:
        scores = first["mean"] if name == "mean" else first["images"][name]
        session = sessions["mean"] if name == "mean" else sessions["images"][name]
        cells = [percent(scores["pfm"]), percent(scores["iou"])]
        cells += [percent(session[key]) for key in ("manual_best", "refined_best")]
        cells += [percent(session[key], "+") for key in ("max_gain", "mean_gain")]
        cells += [percent(session["workload_reduction"])]
        cells += ["" if name == "mean" else f"{session['reached']} of {session['repeats']}"]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def facts(run: Path, shipped: Path) -> dict[str, str]:
    """Return what the model card says, by the word that stands for it there."""
    bench = opened(run)
    trained, scored = (json.loads((p / "summary.json").read_text()) for p in (run, shipped))
    fits, seen = trained["training"], json.loads((TRAINED / "trained_on.json").read_text())
    sizes = {path.stem: path.stat().st_size for path in (TRAINED / "checkpoints").glob("*.saf*")}
    weights = sum(p.numel() for p in stored_segmenter(bench).parameters())
    patches = scored["refiners"][REFINER]["patches"]
    lost = change(run, shipped)
    first = (trained["first_prediction"]["mean"], scored["first_prediction"]["mean"])
    return {
        "WEIGHTS": f"{weights / 1e6:.2f}",
        "SIZES": ", ".join(f"{name} {size / 1e6:.2f} MB" for name, size in sorted(sizes.items())),
        "TRAIN": str(len(seen["train"])),
        "VAL": str(len(seen["val"])),
        "STEPS": ", ".join(f"{name} {fit['steps']}" for name, fit in fits.items()),
        "BATCH": str(bench.config.training.batch_size),
        "PATCH": str(bench.config.tiling.patch),
        "STROKES": str(bench.config.training.strokes_per_patch),
        "MINUTES": f"{sum(fit['seconds'] for fit in fits.values()) / 60:.0f}",
        "VAL_PFM": percent(fits["segmenter"]["best_score"]),
        "VAL_GAIN": percent(fits[REFINER]["best_score"], "+"),
        "BUDGET": str(bench.config.evaluation.budget),
        "REPEATS": str(bench.config.evaluation.repeats),
        "NUMBERS": numbers(scored),
        "PATCH_GAIN": percent(patches["relative_gain"], "+"),
        "CHANGED": f"{100 * lost['changed_pixels']:.4f}",
        "FIRST_CHANGE": f"{100 * abs(first[0]['pfm'] - first[1]['pfm']):.4f}",
        "REFINED_CHANGE": f"{100 * lost['refined_change']:.4f}",
    }


def main(run_folder: Path) -> None:
    """Do everything the module's docstring says."""
    shipped = run_folder.with_name(f"{run_folder.name}-trained")
    run(run_folder, "ship")
    slim_copy(Registry.discover(), run_folder, TRAINED, what=WHAT)
    run(shipped, "trained")
    card = CARD.read_text(encoding="utf-8")
    for word, value in facts(run_folder, shipped).items():
        card = card.replace(f"@{word}@", value)
    (TRAINED / "MODEL_CARD.md").write_text(card, encoding="utf-8")
    print(f"Wrote {TRAINED}")


if __name__ == "__main__":
    if len(sys.argv) > 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]) if len(sys.argv) == 2 else Path("runs/shipped"))
