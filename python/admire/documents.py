"""Types of the JSON documents that the program prints. docs/cli.md says what they mean; later versions may add keys."""

from typing import Any, Dict, List, Literal, Optional, TypedDict

Outcome = Literal["failed", "diverged", "cancel"]
"""How a trial can end without a result: what `admire tell` has options for."""


class Normal(TypedDict):
    """A Gaussian prediction, without the noise of a run."""

    mean: float
    sd: float


class Expected(Normal, total=False):
    """A prediction of the objective, in the direction of the config."""

    noise: float
    """The standard deviation of one run's noise."""


class Gain(Normal):
    """By how much a mixture is better than another one; positive where it is better."""

    probability: float
    """That it is better at all."""


class _Suggestion(TypedDict):
    trial: int
    fidelity: str
    weights: Dict[str, float]
    cost: float
    seed: int
    expected: Optional[Expected]


class Suggestion(_Suggestion, total=False):
    """A trial to train: `suggest`."""

    epochs: Dict[str, float]
    """With `limits.match_repetition` only, as `unique_tokens`."""
    unique_tokens: Dict[str, int]


class Measured(TypedDict):
    """The best trial at the target."""

    trial: int
    loss: float


class Alternative(TypedDict):
    """A mixture that is about as good as the recommended one, and far from it."""

    weights: Dict[str, float]
    distance: float
    expected: Optional[Expected]
    gain: Optional[Gain]


class _Best(TypedDict):
    fidelity: str
    weights: Dict[str, float]
    caveats: List[str]
    expected: Optional[Expected]
    against_uniform: Optional[Gain]
    guards: List[Dict[str, Any]]
    measured: Optional[Measured]
    spent: Dict[str, Any]
    sizes: List[Dict[str, Any]]
    calibration: Dict[str, Any]


class Best(_Best, total=False):
    """The recommendation: `best`."""

    alternatives: List[Alternative]
    """If they are asked for."""


class Interval(Normal, total=False):
    """A prediction with its 90 % interval."""

    noise: float
    interval: List[float]
    run_interval: List[float]
    """The 90 % interval of what one run measures."""
    probability: float
    """Of a gain: that there is one."""


class PerMetric(TypedDict):
    """The objective and every metric."""

    objective: Interval
    metrics: Dict[str, Interval]


class Prediction(TypedDict):
    """What is expected of one mixture."""

    name: str
    weights: Dict[str, float]
    epochs: Dict[str, Optional[float]]
    breaks: List[str]
    expected: PerMetric
    guards: List[Dict[str, Any]]
    gain: Optional[PerMetric]


class Predictions(TypedDict):
    """What is expected of mixtures: `predict`."""

    fidelity: str
    caveats: List[str]
    against: Optional[Dict[str, Any]]
    mixtures: List[Prediction]


class _Status(TypedDict):
    study: str
    trials: Dict[str, int]
    spent: Dict[str, Any]
    stopped: Optional[str]
    ended: bool
    dir: str
    fidelities: List[Dict[str, Any]]
    running: List[Dict[str, Any]]
    failures: List[Dict[str, Any]]
    recommended: Optional[Dict[str, float]]


class Status(_Status, total=False):
    """How far a study is: `status`."""

    list: "List[Dict[str, Any]]"
    """Every trial, if they are asked for."""
