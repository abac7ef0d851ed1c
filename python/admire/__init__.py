"""`admire` from Python: what a training script needs, and a study as an object.

In the training script, `admire.trial()` says what to train and takes the result:

    import admire

    trial = admire.trial()
    losses = train(trial.weights, trial.tokens, trial.seed)
    trial.finish(metrics=losses)

Elsewhere, `admire.Study("study.toml")` asks and tells. It runs the program `admire` and reads its JSON documents.
Callbacks for the Hugging Face Trainer and for Lightning are in `admire.huggingface` and `admire.lightning`.
Nothing but the standard library is needed.
"""

from ._errors import AdmireError, AdmireWarning, NoTrialError
from ._sampler import MixtureSampler
from ._study import Report, Study
from ._trial import Trial, trial

__all__ = [
    "AdmireError",
    "AdmireWarning",
    "MixtureSampler",
    "NoTrialError",
    "Report",
    "Study",
    "Trial",
    "trial",
]
