"""The search: which settings are tried next, and which trials are worth going on with.

Optuna chooses; its study lies in a SQLite file, so that a search that was killed goes on. A sampler's random numbers
are not kept there: for each trial a sampler is made anew, from the experiment's seed and the trial's number. So the
same trials that ended the same way have the same next one, whether the search was interrupted or not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.errors import RecurraError
from recurra.store import canonical
from recurra.sweep.plan import Plan
from recurra.sweep.space import Choice, Range
from recurra.sweep.trial import State, Trial

if TYPE_CHECKING:
    import optuna

FILE = "optuna.db"
STARTUP = 5
"""Trials that have to be done before one is pruned."""
WARMUP = 0.2
"""Part of train.epochs that every trial has before it may be pruned; two epochs at least."""
_FACTS = ("best_epoch", "epochs", "seconds", "training", "reason")
"""Fields of a trial that are kept as its attributes."""


class Search:
    """A sweep's trials, in its folder. Safe to use from several threads; one process has it at a time."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan, self.file, self._lock = plan, folder / FILE, RLock()
        self._coded = {each.field: _Coded(each) for each in plan.space}
        with self._trouble():
            self._open()

    def _open(self) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)  # what becomes of a trial we tell ourselves
        warmup = max(2, round(WARMUP * self.plan.experiment.train.epochs))
        pruner = optuna.pruners.MedianPruner(STARTUP, warmup) if self.plan.prune else optuna.pruners.NopPruner()
        storage = optuna.storages.RDBStorage(f"sqlite:///{self.file}", {"connect_args": {"timeout": 60}})
        self.study = optuna.create_study(
            storage=storage,
            study_name="sweep",
            direction="maximize" if self.plan.rising else "minimize",
            pruner=pruner,
            load_if_exists=True,
        )
        self._storage, self._id = storage, storage.get_study_id_from_name("sweep")

    @contextmanager
    def _trouble(self) -> Iterator[None]:
        """One thread at a time; a RecurraError where the file cannot be used."""
        import optuna
        from sqlalchemy.exc import SQLAlchemyError

        with self._lock:
            try:
                yield
            except (SQLAlchemyError, optuna.exceptions.StorageInternalError, RuntimeError) as error:
                why = " ".join(str(getattr(error, "orig", None) or error).split())
                raise RecurraError(
                    f"{self.file}: the sweep's trials cannot be read or written ({why[:300]}); remove"
                    f" {self.file.parent} to begin again, trainings that were done are not done twice"
                ) from error

    def ask(self) -> Trial | None:
        """The next trial; None when as many were chosen as the plan has."""
        with self._trouble():
            number = len(self.study.get_trials(deepcopy=False, states=self._chosen))
            if number >= self.plan.trials:
                return None
            self.study.sampler = self._sampler(number)
            if self.plan.sampler == "grid":
                self._enqueue(number)
            asked = self.study.ask({field: coded.distribution for field, coded in self._coded.items()})
            return self._read(self._storage.get_trial(self._trial_id(asked.number)))

    @property
    def _chosen(self) -> tuple[Any, ...]:
        """The states of trials whose settings were chosen."""
        from optuna.trial import TrialState

        return tuple(state for state in TrialState if state != TrialState.WAITING)

    def _sampler(self, number: int) -> optuna.samplers.BaseSampler:
        from optuna import samplers

        seed = int(np.random.SeedSequence([self.plan.experiment.seed, number]).generate_state(1)[0])
        return samplers.TPESampler(seed=seed) if self.plan.sampler == "tpe" else samplers.RandomSampler(seed=seed)

    def _enqueue(self, number: int) -> None:
        """Makes the next trial that of the grid. Not Optuna's GridSampler, which ends what it is not running."""
        from optuna.trial import TrialState

        if self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            return  # of a search that was killed between this and asking
        sizes = [len(coded.values) for coded in self._coded.values()]
        place = np.unravel_index(_shuffled(self.plan.experiment.seed, int(np.prod(sizes)))[number], sizes)
        self.study.enqueue_trial({
            field: coded.code(coded.values[int(at)])
            for (field, coded), at in zip(self._coded.items(), place, strict=True)
        })  # fmt: skip

    def measured(self, number: int, epoch: int, value: float, last: bool = False) -> bool:
        """Keeps what a trial's epoch came to; whether the trial is to be ended there. A `last` epoch never is."""
        with self._trouble():
            trial_id = self._trial_id(number)
            self._storage.set_trial_intermediate_value(trial_id, epoch, value)
            return not last and self.study.pruner.prune(self.study, self._storage.get_trial(trial_id))

    def done(self, number: int, value: float, **facts: Any) -> Trial:
        """The trial has ended with that value."""
        return self._ended(number, "done", value, facts)

    def pruned(self, number: int, **facts: Any) -> Trial:
        """The trial was ended."""
        return self._ended(number, "pruned", None, facts)

    def failed(self, number: int, reason: str, **facts: Any) -> Trial:
        """The trial could not be trained."""
        return self._ended(number, "failed", None, {**facts, "reason": reason})

    def _ended(self, number: int, state: State, value: float | None, facts: dict[str, Any]) -> Trial:
        with self._trouble():
            trial_id = self._trial_id(number)
            for name, fact in facts.items():
                self._storage.set_trial_user_attr(trial_id, name, fact)
            self.study.tell(number, value, _states()[state])
            return self._read(self._storage.get_trial(trial_id))

    def trials(self) -> list[Trial]:
        """All that were chosen, in order."""
        with self._trouble():
            return [self._read(trial) for trial in self.study.get_trials(deepcopy=False, states=self._chosen)]

    def unfinished(self) -> list[Trial]:
        """Those that had not ended when the search was interrupted; they go on."""
        with self._trouble():
            for trial in self.trials():
                if trial.state == "waiting" and len(trial.settings) < len(self._coded):
                    self._choose(trial.number)
            return [trial for trial in self.trials() if trial.state == "waiting"]

    def _choose(self, number: int) -> None:
        """Chooses the settings of a trial whose search was killed while it did so."""
        import optuna

        self.study.sampler = self._sampler(number)
        trial = optuna.trial.Trial(self.study, self._trial_id(number))
        for field, coded in self._coded.items():
            coded.suggest(trial, field)

    def importances(self) -> dict[str, float]:
        """How much of the differences between the trials that are done is each field's doing (fANOVA; Hutter et al.,
        2014), the largest first, 1 in all; empty where that cannot be told.
        """
        from optuna.importance import FanovaImportanceEvaluator, get_param_importances

        done = [trial for trial in self.trials() if trial.value is not None]
        alike = len({trial.value for trial in done}) < 2
        fields = [field for field in self._coded if len({canonical(trial.settings[field]) for trial in done}) > 1]
        if alike or len(fields) < 2:
            return {}
        try:
            evaluator = FanovaImportanceEvaluator(seed=self.plan.experiment.seed)
            found = get_param_importances(self.study, evaluator=evaluator, params=fields)
        except (RuntimeError, ValueError):  # no variance within any of its trees
            return {}
        return {field: float(share) for field, share in found.items()}

    def _trial_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._id, number)

    def _read(self, found: optuna.trial.FrozenTrial) -> Trial:
        names: dict[Any, State] = {state: name for name, state in _states().items()}
        state = names.get(found.state, "waiting")
        curve = sorted(found.intermediate_values.items())
        facts = {name: found.user_attrs[name] for name in _FACTS if name in found.user_attrs}
        settings = {
            field: coded.value(found.params[field]) for field, coded in self._coded.items() if field in found.params
        }
        value = found.value if state == "done" else None
        return Trial(found.number, settings, state, value, tuple(curve), **facts)


def _states() -> dict[State, optuna.trial.TrialState]:
    from optuna.trial import TrialState

    return {"done": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}


def _shuffled(seed: int, count: int) -> Sequence[int] | np.ndarray:
    """The numbers below `count` in an order drawn by the seed: the first few are spread over the whole grid."""
    if count > 10_000_000:
        raise RecurraError(f"--sampler grid: {count:,} combinations are too many to be put in an order")
    return np.random.Generator(np.random.Philox(seed)).permutation(count)


class _Coded:
    """A field's values as Optuna keeps them: numbers and text as they are, lists and parts as JSON."""

    def __init__(self, of: Range | Choice) -> None:
        self.of, self.values = of, of.values()
        self._by_code = {self.code(value): value for value in self.values} if isinstance(of, Choice) else {}

    @property
    def distribution(self) -> optuna.distributions.BaseDistribution:
        """As Optuna names it."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if isinstance(self.of, Choice):
            return CategoricalDistribution(tuple(self._by_code))
        if self.of.whole:
            return IntDistribution(int(self.of.low), int(self.of.high), self.of.log, int(self.of.step or 1))
        return FloatDistribution(self.of.low, self.of.high, self.of.log, self.of.step)

    def suggest(self, trial: optuna.trial.Trial, field: str) -> None:
        """Has the value of a field chosen, as asking does."""
        of = self.of
        if isinstance(of, Choice):
            trial.suggest_categorical(field, list(self._by_code))
        elif of.whole:
            trial.suggest_int(field, int(of.low), int(of.high), step=int(of.step or 1), log=of.log)
        else:
            trial.suggest_float(field, of.low, of.high, step=of.step, log=of.log)

    @staticmethod
    def code(value: Any) -> Any:
        """What Optuna keeps of a value."""
        return canonical(value) if isinstance(value, (list, dict)) else value

    def value(self, code: Any) -> Any:
        """The value that is trained with."""
        return self._by_code[code] if isinstance(self.of, Choice) else self.of.settled(code)
