"""Asks a refiner about crops of one image, and counts the time that takes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from linerefine.errors import PluginError
from linerefine.geometry.tiles import crop
from linerefine.refiners.base import Prompt, Refiner
from linerefine.types import HintMap, Logits, Tile

__all__ = ["Consultation", "Question"]

FEATURES_KEPT = 16
"""Places whose encoded image is kept; a person works in few places at a time."""


@dataclass(frozen=True, eq=False)
class Question:
    """What a refiner is to look at: one crop of the image with its strokes.

    Parameters
    ----------
    place : Tile
        Height and width are multiples of 32; may reach past the image.
    initial, previous : ndarray of float32, shape of the place
        Logits of the first prediction and of the last answer.
    hints : ndarray of int8, shape of the place
    """

    place: Tile
    initial: Logits
    previous: Logits
    hints: HintMap


class Consultation:
    """One image and the refiner that is asked about it.

    Parameters
    ----------
    image : ndarray of float32, shape (C, H, W)
        May be a memory map, of which only crops are read.
    refiner : Refiner
        Set to evaluation mode.
    device : torch.device
        Where the refiner is.

    Attributes
    ----------
    seconds : float
        Wall time spent with the refiner so far, copies to its device included.
    calls : int
        How often it was called.
    """

    def __init__(self, image: NDArray[np.float32], refiner: Refiner, device: torch.device) -> None:
        self._image = image
        self._refiner = refiner.eval()
        self._device = device
        self._features: OrderedDict[Tile, Any] = OrderedDict()
        self.seconds = 0.0
        self.calls = 0

    def ask(self, questions: Sequence[Question], batch: int) -> list[Logits]:
        """Return the refiner's answer to each question, in their order.

        Parameters
        ----------
        questions : sequence of Question
        batch : int
            Largest number of crops in one call. Crops of different size never
            share a call.

        Returns
        -------
        answers : list of ndarray of float32, shape of the question's place

        Raises
        ------
        PluginError
            If the refiner answers with another shape or with numbers that are not finite.
        """
        started = perf_counter()
        answers: dict[int, Logits] = {}
        for indices in _batches([question.place.shape for question in questions], batch):
            together = [questions[index] for index in indices]
            answers.update(zip(indices, self._call(together), strict=True))
        self.seconds += perf_counter() - started
        return [answers[index] for index in range(len(questions))]

    @property
    def revises(self) -> bool:
        """Whether the refiner has an opinion before there are strokes."""
        return self._refiner.revises

    def revised(self, place: Tile, initial: Logits) -> Logits:
        """Return what the refiner makes of a first prediction before there are strokes.

        Parameters
        ----------
        place : Tile
            As that of a question.
        initial : ndarray of float32, shape of the place

        Returns
        -------
        logits : ndarray of float32, shape of the place

        Raises
        ------
        PluginError
            As `ask`.
        """
        started = perf_counter()
        self.calls += 1
        with torch.inference_mode():
            seen = self._stack([initial])
            answer = self._refiner.revise(self._refiner.encode(self._seen(place), seen), seen)
        logits: Logits = self._checked(answer, "revise", 1, place)[0]
        self.seconds += perf_counter() - started
        return logits

    def _call(self, questions: Sequence[Question]) -> Logits:
        """Return the answers to questions of one shape, shape (B, P, Q)."""
        self.calls += 1
        with torch.inference_mode():
            prompt = Prompt(
                initial=self._stack([question.initial for question in questions]),
                hints=self._stack([question.hints for question in questions]),
                previous=self._stack([question.previous for question in questions]),
            )
            features = _joined([self._encoded(question) for question in questions])
            answer = self._refiner.refine(features, prompt)
        return self._checked(answer, "refine", len(questions), questions[0].place)

    def _checked(self, answer: torch.Tensor, method: str, crops: int, place: Tile) -> Logits:
        """Return answers as an array of shape (B, P, Q); refuse what is no answer."""
        expected = (crops, 1, *place.shape)
        who = f"{type(self._refiner).__name__}.{method}"
        if tuple(answer.shape) != expected:
            msg = f"{who} returned shape {tuple(answer.shape)}, expected {expected}."
            raise PluginError(msg)
        logits: Logits = answer[:, 0].float().cpu().numpy()
        if not np.isfinite(logits).all():
            msg = f"{who} returned values that are not finite."
            raise PluginError(msg)
        return logits

    def _encoded(self, question: Question) -> Any:
        place = question.place
        if place in self._features:
            self._features.move_to_end(place)
            return self._features[place]
        features = self._refiner.encode(self._seen(place), self._stack([question.initial]))
        self._features[place] = features
        if len(self._features) > FEATURES_KEPT:
            self._features.popitem(last=False)
        return features

    def _seen(self, place: Tile) -> torch.Tensor:
        """Return a crop of the image, shape (1, C, P, Q)."""
        image = np.ascontiguousarray(crop(self._image, place), dtype=np.float32)
        return torch.from_numpy(image)[None].to(self._device)

    def _stack(self, arrays: Sequence[NDArray[Any]]) -> torch.Tensor:
        """Return arrays of shape (P, Q) as one tensor of float32, shape (B, 1, P, Q)."""
        stacked = np.stack(arrays)[:, None].astype(np.float32, copy=False)
        return torch.from_numpy(stacked).to(self._device)


def _batches(shapes: Sequence[tuple[int, int]], size: int) -> Iterator[list[int]]:
    """Yield the indices of at most `size` equal shapes at a time."""
    alike: dict[tuple[int, int], list[int]] = {}
    for index, shape in enumerate(shapes):
        alike.setdefault(shape, []).append(index)
    for indices in alike.values():
        for start in range(0, len(indices), size):
            yield indices[start : start + size]


def _joined(features: Sequence[Any]) -> Any:
    """Return features of several places as those of one batch: tensors along their first axis."""
    first = features[0]
    if len(features) == 1:
        return first
    if isinstance(first, torch.Tensor):
        return torch.cat(list(features))
    if isinstance(first, dict):
        return {key: _joined([each[key] for each in features]) for key in first}
    if isinstance(first, tuple | list):
        parts = [_joined(list(part)) for part in zip(*features, strict=True)]
        return type(first)(parts)
    msg = (
        f"features are {type(first).__name__}; to be asked about several crops at once, "
        "`encode` must return tensors, or lists, tuples or dicts of tensors."
    )
    raise PluginError(msg)
