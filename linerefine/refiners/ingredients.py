"""What the refiner `anchored` is made of, for the study that takes it apart; imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["ADDITIONS", "INGREDIENTS", "RIVAL", "TRAINING"]

TRAINING: Mapping[str, Any] = {
    "rounds": 3,
    "learn": "every",
    "strokes_per_patch": 8,
    "loss": "bce",
    "near": 2.0,
}
"""How it is trained unless the user says otherwise: as a session goes."""

INGREDIENTS: Mapping[str, Mapping[str, Any]] = {
    "feedback": {"options": {"feedback": False}},
    "hold": {"options": {"hold": False}},
    "cut": {"options": {"cut": -0.5}, "weights": "whole"},
    "margins": {
        "options": {
            "look": {"add": 0.0, "erase": 0.0, "middle": 0.0},
            "margins": {"add": 0.0, "erase": 0.0},
            "lifted": {"add": 0.0, "middle": 0.0},
            "cut": 0.0,
            "lenient": False,
        },
        "weights": "whole",
    },
    "lift": {"options": {"lift": None}, "weights": "whole"},
    "middles": {
        "options": {"look": {"middle": 1.5}, "lifted": {"middle": 0.5}},
        "weights": "whole",
    },
    "lenient": {"options": {"lenient": False}, "weights": "whole"},
    "look": {"options": {"revise": False, "margins": {"erase": -0.5}}, "weights": "whole"},
    "beginning": {"options": {"begin": "random"}},
    "rounds": {"training": {"rounds": 1}},
    "every_round": {"training": {"learn": "last"}},
    "strokes_per_patch": {"training": {"strokes_per_patch": 1}},
    "near": {"training": {"near": 0.0}},
    "cross_entropy": {"training": {"loss": "dice_bce"}},
}
"""What makes it, each by what the refiner is without it.

What only decides how much of a belief is shown is switched off in use, in the
network that was trained with everything: so a row says what switching it off
costs, and not what luck one more training had. (In training it decides, too,
what the strokes of the next round are drawn on.)
"""

ADDITIONS: Mapping[str, Mapping[str, Any]] = {
    "keep": {"training": {"keep": 1.0}},
    "rims_after_strokes": {"options": {"margins": {"erase": -0.5}}, "weights": "whole"},
    "never_cutting": {"options": {"cut": None}, "weights": "whole"},
}
"""What could be otherwise, and has not been shown to pay."""

RIVAL: Mapping[str, Any] = {name: TRAINING[name] for name in ("strokes_per_patch", "near")}
"""What of its training the paper's refiner can take over at no cost: a fairer rival."""
