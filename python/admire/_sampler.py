"""Draws examples of several datasets by the weights of a mixture."""

import bisect
import hashlib
import itertools
import struct
from typing import Any, Dict, Generic, Iterator, List, Mapping, Protocol, Sequence, Tuple, TypeVar

T_co = TypeVar("T_co", covariant=True)


class Indexed(Protocol[T_co]):
    """A dataset with a length and numbered examples, as PyTorch's map-style datasets are."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> T_co: ...


class Concatenation(Generic[T_co]):
    """Several datasets one after the other, as one."""

    def __init__(self, datasets: Sequence[Indexed[T_co]]) -> None:
        self._datasets = datasets
        self._ends = list(itertools.accumulate(len(dataset) for dataset in datasets))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> T_co:
        if not 0 <= index < len(self):
            raise IndexError(index)
        which = bisect.bisect_right(self._ends, index)
        return self._datasets[which][index - self.start(which)]

    def start(self, which: int) -> int:
        """The index of the first example of a dataset."""
        return self._ends[which - 1] if which > 0 else 0


class MixtureSampler(Generic[T_co]):
    """Indices into `dataset`, domain by domain as the weights say: a sampler for `torch.utils.data.DataLoader`.

    Each sample is of a domain that is drawn by its weight, and is the next of that domain's examples in random order.
    All of them come before any comes again, in another order. The sequence depends on nothing but the seed, the weights
    and the number of processes, each of which has examples of its own. An iteration yields `len(sampler)` indices; the
    next one goes on from there. `Trial.sampler` makes one.
    """

    def __init__(
        self,
        datasets: Mapping[str, Indexed[T_co]],
        weights: Mapping[str, float],
        *,
        seed: int,
        samples: int,
        sizes: Mapping[str, int],
        rank: int = 0,
        num_replicas: int = 1,
    ) -> None:
        """`samples` is the number of samples of this process per iteration. Of each dataset only the first
        `sizes[name]` examples are drawn."""
        self.dataset = Concatenation(list(datasets.values()))
        self._names = list(datasets)
        self._sizes = [sizes[name] for name in self._names]
        self._cumulative = list(itertools.accumulate(weights[name] for name in self._names))
        self._seed, self._samples = seed, samples
        self._rank, self._num_replicas = rank, num_replicas
        self.load_state_dict({"position": 0})

    def __len__(self) -> int:
        return self._samples

    def __iter__(self) -> Iterator[int]:
        end = (self._position // self._samples + 1) * self._samples
        while self._position < end:
            domain, turn = self._advance()
            # Every process has a residue class of each domain's turns, so that no two have the same example.
            epoch, place = divmod(turn * self._num_replicas + self._rank, self._sizes[domain])
            key = _key(f"{self._seed}/{self._names[domain]}/{epoch}")
            yield self.dataset.start(domain) + permuted(place, self._sizes[domain], key)

    def state_dict(self) -> Dict[str, int]:
        """How many samples this process has drawn.

        A DataLoader draws ahead of the training. Without torchdata's StatefulDataLoader, which takes account of that, save
        `{"position": steps * batch_size}` in place of this.
        """
        return {"position": self._position}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on after as many samples as `state` says."""
        self._position = 0
        self._turns: List[int] = [0] * len(self._names)
        self._choice = _key(f"{self._seed}/choice/{self._rank}")
        while self._position < state["position"]:
            self._advance()

    def _advance(self) -> Tuple[int, int]:
        """The domain of the next sample, and how many of that domain this process has drawn before."""
        uniform = _hash(self._choice, 0, self._position) / 2**64
        domain = bisect.bisect_right(self._cumulative, uniform * self._cumulative[-1])
        # Rounding can make the product the last sum itself.
        domain = min(domain, len(self._names) - 1)
        self._position += 1
        self._turns[domain] += 1
        return domain, self._turns[domain] - 1


def permuted(place: int, size: int, key: bytes) -> int:
    """The image of `place` under a permutation of `range(size)` that `key` selects, without the memory of a shuffled list.

    A Feistel network of four rounds permutes the smallest range of 4**n numbers that is large enough. What leaves
    `range(size)` is permuted again until it is back (cycle walking; Black & Rogaway 2002).
    """
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    mask = (1 << half) - 1
    while True:
        left, right = place >> half, place & mask
        for number in range(4):
            left, right = right, left ^ (_hash(key, number, right) & mask)
        place = left << half | right
        if place < size:
            return place


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode()).digest()


def _hash(key: bytes, number: int, value: int) -> int:
    """64 bits that look random."""
    digest = hashlib.blake2b(struct.pack("<BQ", number, value), digest_size=8, key=key).digest()
    return int.from_bytes(digest, "little")
