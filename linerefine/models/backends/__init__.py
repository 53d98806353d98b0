"""Ways to run a network that is not being trained: one interface, several engines."""

from linerefine.models.backends.acceleration import Acceleration, accelerate
from linerefine.models.backends.base import Backend, Runner
from linerefine.models.backends.catalogue import (
    AUTO,
    BACKENDS,
    auto_candidates,
    backend_named,
    usable_backend,
)
from linerefine.models.backends.measure import (
    Measured,
    feature_agreement,
    forward_flops,
    mask_agreement,
    matrix_rate,
    measure_backends,
)
from linerefine.models.backends.trial import Choice

__all__ = [
    "AUTO",
    "BACKENDS",
    "Acceleration",
    "Backend",
    "Choice",
    "Measured",
    "Runner",
    "accelerate",
    "auto_candidates",
    "backend_named",
    "feature_agreement",
    "forward_flops",
    "mask_agreement",
    "matrix_rate",
    "measure_backends",
    "usable_backend",
]
