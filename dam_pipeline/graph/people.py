"""People: the faces of a library gathered by likeness, with ids that stay when more faces come.

Faces are taken in the order in which their media came, track by track. A track joins the person that
it resembles most, by the mean cosine to all of that person's tracks (average linkage), if that is at
least the floor; otherwise it founds one. Two people whom a new track makes alike are merged, and the
older id wins. So a face keeps its id until its person merges into an older one, and taking a library
up again with what is known gives what taking all of it anew gives. Arithmetic on arrays only.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

FaceKey = tuple[str, int]
"""A face: its media's id and its row in that media's table."""

BLOCK_TRACKS = 256  # compared with all people by one product
SLACK = 1e-3  # a product of float32 decides only which cosines are worth an exact look
ID_BYTES = 6


@dataclass(frozen=True, slots=True)
class Sightings:
    """Faces (n) in the order in which their media came to the library, in a media by row.

    `items`, `tracks` and `quality` are (n,) columns of the media's table; `vectors` (n, d) float32
    of length 1.
    """

    media_ids: Sequence[str]
    items: np.ndarray
    tracks: np.ndarray
    quality: np.ndarray
    vectors: np.ndarray

    def key(self, row: int) -> FaceKey:
        """The face of a row."""
        return (self.media_ids[row], int(self.items[row]))


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody: how many faces in how many media, and the face of the best quality."""

    person: str
    faces: int
    media: int
    best: FaceKey


def people(
    sightings: Sightings, floor: float, known: Mapping[FaceKey, str] | None = None
) -> list[str]:
    """The person's id of each face; `floor` is the least mean cosine of one person's tracks.

    `known` are ids from an earlier call with the same floor. The id of a new person is made from the
    person's first face. Source: average linkage (UPGMA), taken one by one.
    """
    track_of, vectors = _tracks(sightings)
    firsts = np.unique(track_of, return_index=True)[1]
    told = _known_tracks(sightings, track_of, known or {})
    gathering = _Gathering(vectors, floor, set((known or {}).values()))
    for track, person in sorted(told.items()):
        gathering.place(track, person)
    new = [track for track in range(len(vectors)) if track not in told]
    for at in range(0, len(new), BLOCK_TRACKS):
        for track, near in gathering.near(new[at : at + BLOCK_TRACKS]):
            gathering.add(track, near, sightings.key(int(firsts[track])))
    ids = gathering.ids()
    return [ids[track] for track in track_of.tolist()]


def persons(sightings: Sightings, ids: Sequence[str]) -> list[Person]:
    """The people of `ids`, one of each face, in the order of their first faces."""
    rows: dict[str, list[int]] = {}
    for row, person in enumerate(ids):
        rows.setdefault(person, []).append(row)
    return [
        Person(
            person,
            faces=len(mine),
            media=len({sightings.media_ids[row] for row in mine}),
            best=sightings.key(max(mine, key=lambda row: float(sightings.quality[row]))),
        )
        for person, mine in rows.items()
    ]


class _Gathering:
    """People so far: the sum and the number of each one's tracks; numbers ascend with age."""

    def __init__(self, vectors: np.ndarray, floor: float, taken: set[str]) -> None:
        self._vectors = vectors
        self._floor = floor
        self._sums = np.zeros_like(vectors, dtype=np.float64)
        self._counts = np.zeros(len(vectors))
        self._names: dict[int, str] = {}
        self._number: dict[str, int] = {}
        self._taken = taken
        self._person = np.full(len(vectors), -1)
        self._touched: set[int] = set()

    def place(self, track: int, name: str) -> None:
        """Put a track where it is known to belong. A person's number is that of its first track."""
        number = self._number.setdefault(name, track)
        self._names[number] = name
        self._join(track, number)

    def near(self, tracks: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
        """Each track with the people that it may resemble enough, in the order of age."""
        numbers = np.array(sorted(self._names), int)
        means = (self._sums[numbers] / self._counts[numbers, None]).astype(np.float32)
        hits = self._vectors[list(tracks)].astype(np.float32) @ means.T >= self._floor - SLACK
        self._touched.clear()
        for track, hit in zip(tracks, hits, strict=True):
            candidates = {*numbers[hit].tolist(), *self._touched}
            yield track, sorted(candidates & self._names.keys())

    def add(self, track: int, candidates: list[int], first: FaceKey) -> None:
        """Let a track join the most alike of the candidates, or found a person."""
        cosines = self._cosines(self._vectors[track], candidates)
        alike = [
            number for number, near in zip(candidates, cosines, strict=True) if near >= self._floor
        ]
        if not alike:
            self._names[track] = self._new_name(first)
            self._join(track, track)
            return
        number = candidates[int(cosines.argmax())]
        self._join(track, number)
        # Means rise only with people whom the track itself resembles: no other pair can have come
        # to the floor.
        self._merge(number, [other for other in alike if other != number])

    def ids(self) -> list[str]:
        """The person's id of each track."""
        return [self._names[number] for number in self._person.tolist()]

    def _merge(self, number: int, others: list[int]) -> None:
        while others:
            mean = self._sums[number] / self._counts[number]
            cosines = self._cosines(mean, others)
            nearest = int(cosines.argmax())
            if cosines[nearest] < self._floor:
                return
            older, younger = sorted((number, others.pop(nearest)))
            self._sums[older] += self._sums[younger]
            self._counts[older] += self._counts[younger]
            self._person[self._person == younger] = older
            del self._names[younger]
            self._touched.add(older)
            number = older

    def _cosines(self, vector: np.ndarray, numbers: list[int]) -> np.ndarray:
        """Mean cosines to people, summed the same way in any company."""
        products: np.ndarray = (self._sums[numbers] * vector).sum(axis=1) / self._counts[numbers]
        return products

    def _join(self, track: int, number: int) -> None:
        self._sums[number] += self._vectors[track]
        self._counts[number] += 1
        self._person[track] = number
        self._touched.add(number)

    def _new_name(self, first: FaceKey) -> str:
        """An id from the first face; another one where a person of that id lives on without it."""
        again = 0
        while (name := _name(first, again)) in self._taken:
            again += 1
        self._taken.add(name)
        return name


def _name(face: FaceKey, again: int) -> str:
    words = "/".join([face[0], str(face[1]), *(["again", str(again)] if again else [])])
    return f"person-{blake2b(words.encode(), digest_size=ID_BYTES).hexdigest()}"


def _tracks(sightings: Sightings) -> tuple[np.ndarray, np.ndarray]:
    """The number of each face's track, by first appearance, and the tracks' mean vectors."""
    numbers: dict[tuple[str, int], int] = {}
    pairs = zip(sightings.media_ids, sightings.tracks.tolist(), strict=True)
    track_of = np.array([numbers.setdefault(pair, len(numbers)) for pair in pairs], int)
    sums = np.zeros((len(numbers), sightings.vectors.shape[1]))
    np.add.at(sums, track_of, sightings.vectors.astype(np.float64))
    return track_of, sums / np.linalg.norm(sums, axis=1, keepdims=True)


def _known_tracks(
    sightings: Sightings, track_of: np.ndarray, known: Mapping[FaceKey, str]
) -> dict[int, str]:
    found: dict[int, str] = {}
    for row, track in enumerate(track_of.tolist()):
        person = known.get(sightings.key(row))
        if person:
            found.setdefault(track, person)
    return found
