"""Trained refiners as MLflow models that load back and predict the same."""

from __future__ import annotations

import copy
import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from linerefine.errors import RunError
from linerefine.tracking.mlflow_client import failures
from linerefine.tracking.store import first_line

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel

    from linerefine.refiners.base import Refiner
    from linerefine.refiners.serving import ServedRefiner

__all__ = ["log_refiner_model"]

log = logging.getLogger(__name__)

_TRACING_FAILURES = (  # of a plugin's own code, run by the exporter
    ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, RuntimeError,
    TypeError, ValueError,
)  # fmt: skip


def log_refiner_model(
    client: MlflowClient, run: str, refiner: Refiner, channels: int, *, edge: int = 256
) -> str:
    """Record a trained refiner as an MLflow model that loads back and predicts the same.

    Parameters
    ----------
    client : MlflowClient
        Of the store.
    run : str
        Id of the run the model belongs to.
    refiner : Refiner
        Copied; left in its mode and on its device.
    channels : int
        Channels of the image.
    edge : int
        Height and width at which the model is tried before it is recorded.

    Returns
    -------
    uri : str
        For ``mlflow.pytorch.load_model`` or ``mlflow.pyfunc.load_model``. The
        model is `linerefine.refiners.serving.ServedRefiner`: it takes tensors
        of shape (B, channels + 2, H, W), any B, H and W that suit the network.

    Raises
    ------
    RunError
        If neither format gives a model that loads back and predicts the same.

    Notes
    -----
    The model is an exported graph (``pt2``), which loads without linerefine
    and runs no stranger's code. A refiner that cannot be exported is pickled
    instead, with a warning; it needs linerefine and its plugin to load.
    """
    from mlflow.entities import LoggedModelOutput

    served = copy.deepcopy(refiner).cpu().eval().requires_grad_(False).served()
    experiment = client.get_run(run).info.experiment_id
    entry = client.create_logged_model(experiment, name="refiner", source_run_id=run)
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = _saved(served, channels, edge, Path(folder), entry)
            client.log_model_artifacts(entry.model_id, str(path))
        client.log_outputs(run, [LoggedModelOutput(entry.model_id, step=0)])
    except (RunError,) + failures():
        client.finalize_logged_model(entry.model_id, "FAILED")
        raise
    client.finalize_logged_model(entry.model_id, "READY")
    return f"models:/{entry.model_id}"


def _saved(
    served: ServedRefiner, channels: int, edge: int, folder: Path, entry: LoggedModel
) -> Path:
    """Save a refiner in the first format that loads back and predicts the same."""
    reasons = []
    for form in ("pt2", "pickle"):
        try:
            _save(served, channels, folder / form, form, entry)
            _check_same(served, channels, edge, folder / form)
        except _TRACING_FAILURES + failures() as error:
            reasons.append(f"{form}: {first_line(error)}")
            log.warning("the refiner cannot be kept as %s", reasons[-1])
        else:
            return folder / form
    msg = f"the refiner cannot be kept as an MLflow model ({'; '.join(reasons)})."
    raise RunError(msg)


def _save(served: ServedRefiner, channels: int, path: Path, form: str, entry: LoggedModel) -> None:
    import mlflow.pytorch
    import torch
    from mlflow.models import Model, ModelSignature
    from mlflow.types import Schema, TensorSpec

    number = np.dtype(np.float32)
    needs = [f"torch=={torch.__version__.partition('+')[0]}", f"numpy=={np.__version__}"]
    mlflow.pytorch.save_model(
        served,
        path,
        mlflow_model=Model(
            artifact_path=entry.artifact_location,
            run_id=entry.source_run_id,
            model_id=entry.model_id,
            model_uuid=entry.model_id,
        ),
        # Free sizes: the exported graph then takes any batch, height and width.
        signature=ModelSignature(
            Schema([TensorSpec(number, (-1, channels + 2, -1, -1))]),
            Schema([TensorSpec(number, (-1, 1, -1, -1))]),
        ),
        input_example=served.example_input(channels).numpy(),
        serialization_format=form,
        pip_requirements=needs if form == "pt2" else [*needs, "linerefine"],
    )


def _check_same(served: ServedRefiner, channels: int, edge: int, path: Path) -> None:
    """Raise AssertionError unless a saved refiner predicts the same, to 1e-5."""
    import mlflow.pytorch
    import torch

    trial = served.example_input(channels, edge, batch=1, seed=1)
    with torch.no_grad():
        loaded = mlflow.pytorch.load_model(str(path))
        torch.testing.assert_close(loaded(trial), served(trial), rtol=1e-5, atol=1e-5)
