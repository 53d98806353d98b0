"""Every metric of centrelines once more: slow, obvious, with none of the package's own steps.

Only the skeleton itself is taken from the package, which takes it from
scikit-image.
"""

from __future__ import annotations

import heapq
from math import dist, hypot, inf, nan, sqrt

import numpy as np

from linerefine.geometry import centreline

AROUND = [(row, col) for row in (-1, 0, 1) for col in (-1, 0, 1) if (row, col) != (0, 0)]


def skeletons(prediction, target):
    """Return the pixels of both centrelines as lists of (row, col)."""
    return [
        [tuple(map(int, place)) for place in np.argwhere(centreline(mask & target.roi))]
        for mask in (prediction, target.mask)
    ]


def harmonic(a, b):
    return 2 / (1 / a + 1 / b) if a and b else 0.0


def slow_cldice(prediction, target):
    ours, theirs = skeletons(prediction, target)
    if not theirs:
        return nan
    right = [target.mask[place] and target.roi[place] for place in ours]
    found = [prediction[place] and target.roi[place] for place in theirs]
    return harmonic(sum(right) / len(ours) if ours else 0, sum(found) / len(theirs))


def slow_centreline_f(prediction, target, tolerance=2.0):
    ours, theirs = skeletons(prediction, target)
    if not theirs:
        return nan
    right = [any(dist(a, b) <= tolerance for b in theirs) for a in ours]
    found = [any(dist(a, b) <= tolerance for a in ours) for b in theirs]
    return harmonic(sum(right) / len(ours) if ours else 0, sum(found) / len(theirs))


def slow_distances(prediction, target):
    """Return all distances of both centrelines, the diagonal to one that is empty."""
    ours, theirs = skeletons(prediction, target)
    far = hypot(*target.mask.shape)
    return [min([dist(a, b) for b in theirs], default=far) for a in ours] + [
        min([dist(a, b) for a in ours], default=far) for b in theirs
    ]


def slow_distance(prediction, target):
    distances = slow_distances(prediction, target)
    return float(np.mean(distances)) if skeletons(prediction, target)[1] else nan


def slow_distance_95(prediction, target):
    distances = slow_distances(prediction, target)
    if not skeletons(prediction, target)[1]:
        return nan
    return float(np.quantile(distances, 0.95, method="inverted_cdf"))


def flooded(open_, start, steps):
    """Return every place that is reached from `start` over open places."""
    seen, todo = {start}, [start]
    while todo:
        row, col = todo.pop()
        for down, right in steps:
            place = row + down, col + right
            if place in open_ and place not in seen:
                seen.add(place)
                todo.append(place)
    return seen


def slow_betti(mask):
    """Return pieces and holes by flooding."""
    height, width = mask.shape
    every = {(r, c) for r in range(-1, height + 1) for c in range(-1, width + 1)}
    lines = {(r, c) for r, c in every if 0 <= r < height and 0 <= c < width and mask[r, c]}
    ground = every - lines
    counts = []
    for open_, steps in ((lines, AROUND), (ground, [s for s in AROUND if 0 in s])):
        left, count = set(open_), 0
        while left:
            left -= flooded(open_, next(iter(left)), steps)
            count += 1
        counts.append(count)
    return counts[0], counts[1] - 1


def slow_betti_error(prediction, target, number, window=None):
    if not (target.mask & target.roi).any():
        return nan
    height, width = target.mask.shape
    edge = window or max(height, width)
    errors = []
    for top in range(0, height, edge):
        for left in range(0, width, edge):
            part = slice(top, top + edge), slice(left, left + edge)
            roi = target.roi[part]
            if roi.any():
                ours, theirs = (slow_betti(m[part] & roi) for m in (prediction, target.mask))
                errors.append(abs(ours[number] - theirs[number]))
    return float(np.mean(errors))


def slow_links(places):
    """Return length by linked pair of places; each pair both ways."""
    lines, links = set(places), {}
    for row, col in lines:
        for down, right in AROUND:
            other = row + down, col + right
            corners = {(row + down, col), (row, col + right)}
            if other in lines and (0 in (down, right) or not corners & lines):
                links[(row, col), other] = sqrt(2) if down and right else 1.0
    return links


def slow_length(places):
    return sum(slow_links(places).values()) / 2


def slow_length_bias(prediction, target):
    ours, theirs = map(slow_length, skeletons(prediction, target))
    return abs(ours - theirs) / theirs if theirs else nan


def slow_ways(places, start):
    """Return the length of the shortest way from `start` to each place it leads to."""
    links, lengths, todo = slow_links(places), {}, [(0.0, start)]
    around = {}
    for (here, there), length in links.items():
        around.setdefault(here, []).append((there, length))
    while todo:
        length, here = heapq.heappop(todo)
        if here in lengths:
            continue
        lengths[here] = length
        for there, step in around.get(here, []):
            heapq.heappush(todo, (length + step, there))
    return lengths


def slow_errors(here, there, nodes, tolerance):
    """Return the error of every way between nodes, which are places in `here`."""
    stand_ins = {}
    for node in nodes:
        near = min(there, key=lambda place: (round(dist(place, node) ** 2), place), default=None)
        is_near = near is not None and dist(near, node) <= tolerance
        stand_ins[node] = near if is_near else None
    errors = []
    for number, first in enumerate(nodes):
        lengths = slow_ways(here, first)
        others = {} if stand_ins[first] is None else slow_ways(there, stand_ins[first])
        for second in nodes[number + 1 :]:
            if second in lengths:
                length, other = lengths[second], others.get(stand_ins[second], inf)
                errors.append(min(1, abs(length - other) / length))
    return errors


def slow_path_similarity(prediction, target, tolerance=4.0):
    """Return the similarity with every linked pixel a control node."""
    ours, theirs = skeletons(prediction, target)
    directions = []
    for here, there in ((theirs, ours), (ours, theirs)):
        nodes = sorted({place for pair in slow_links(here) for place in pair})
        directions.append(slow_errors(here, there, nodes, tolerance))
    missed, wrong = directions
    if not missed:
        return nan
    return harmonic(1 - np.mean(missed), 1 - np.mean(wrong)) if wrong else 0.0
