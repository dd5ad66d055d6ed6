"""Within a retraining: the new network is compared with the champion, and what comes of it is recorded."""

from __future__ import annotations

from dataclasses import dataclass

from recurra.champion import promotion
from recurra.champion.findings import Findings
from recurra.champion.promotion import OvertakenError, Verdict
from recurra.champion.record import Network, read, run_of
from recurra.champion.rules import Rules
from recurra.champion.seeing import not_comparable
from recurra.champion.words import alarms, markdown, summary
from recurra.dataset import Dataset
from recurra.durable import write_bytes
from recurra.errors import InputError
from recurra.experiment import Experiment
from recurra.home import Home
from recurra.registry import backend_entry
from recurra.run import Run
from recurra.run_record import stages_of
from recurra.store import Outcome
from recurra_flows.recording import Recorder
from recurra_flows.references import ArtifactRef
from recurra_flows.tasks import challenge, on_devices
from recurra_flows.watching import watch

FILE = "retrain.md"
ROLES = {"dataset": "preprocess", "training": "train", "evaluation": "evaluate"}


@dataclass(frozen=True)
class Account:
    """What a retraining came to."""

    name: str
    """The champion's."""
    line: str
    """The decision in a sentence."""
    markdown: str
    """All of it."""


def ready(home: Home, name: str) -> None:
    """An InputError where the champion of that name cannot be asked; where there is none yet, all is well."""
    current = read(home, name).current
    if current is not None:
        run_of(home, name, current)


def challenged(experiment: Experiment, of: Run, record: Recorder, rules: Rules) -> Account:
    """Compares the run's network with the champion, records the decision, and writes the account into its folder."""
    of.record["roles"] = [*stages_of(experiment)]  # of one that is resumed, which had a challenge and may need none now
    challenger = Challenger(rules.champion or experiment.name, experiment, of, record, rules, promotion.network_of(of))
    while True:
        try:
            account = challenger.judged()
            break
        except OvertakenError:
            watch().progress.note(f"{challenger.name}: another run became the champion meanwhile; compared anew")
    write_bytes(of.folder / FILE, account.markdown.encode())
    watch().progress.note(account.line)
    return account


@dataclass(frozen=True)
class Challenger:
    """A network that was trained and evaluated, and wants to be the champion."""

    name: str
    """The champion's."""
    experiment: Experiment
    run: Run
    record: Recorder
    rules: Rules
    network: Network

    def judged(self) -> Account:
        """Compared with the champion of now and recorded. OvertakenError where that was another one meanwhile."""
        known = read(self.run.home, self.name)
        champion = known.current
        if champion is None:
            return self._entered(promotion.first(), None)
        same = champion.weights == self.network.weights
        if same and champion.test["digest"] == self.network.test["digest"]:
            return self._account(champion, "stands", self._why_same(), champion)
        if known.dismissed(self.network.weights):
            return self._entered(promotion.dismissed(), champion)
        holder = run_of(self.run.home, self.name, champion)
        # By their metadata; the champion's bytes are checked before it is asked.
        places = (run.home.store.place(*run.place("preprocess")) for run in (self.run, holder))
        new, old = (Dataset.open(place) for place in places)
        if reason := not_comparable(new, old):
            return self._entered(Verdict("kept", f"{reason}; retrain under another champion's name"), champion)
        ref = self._asked(holder)
        found = Findings.read(ref.artifact().path)
        decided = promotion.unchanged() if same else promotion.verdict(found, self.rules)
        return self._entered(decided, champion, ref, found)

    def _why_same(self) -> str:
        if all(stage["cache"] == "hit" for stage in self.run.done().values()):
            return "nothing has changed, so nothing was trained"
        return "what was trained is the same network"

    def _asked(self, holder: Run) -> ArtifactRef:
        """The challenge, as a stage of the run."""
        champion, made = _here(holder.experiment, self.experiment), self.record.made
        artifacts = {"dataset": made["preprocess"], "evaluation": made["evaluate"]}
        for name, role in ROLES.items():
            found = Outcome(holder.artifact(role), True, "unchanged", 0.0)
            artifacts[f"champion_{name}"] = ArtifactRef.of(holder.home.store.root, found)
        asked = on_devices(challenge, champion, 1).submit(self.experiment, champion, artifacts).result()
        self.run.record["roles"] = [*stages_of(self.experiment), "challenge"]
        return self.record("challenge", asked)

    def _entered(
        self,
        verdict: Verdict,
        champion: Network | None,
        ref: ArtifactRef | None = None,
        findings: Findings | None = None,
    ) -> Account:
        """The account of a verdict that is recorded."""
        moved = alarms(findings, self.rules) if findings else []
        artifact = ref.artifact() if ref else None
        entered = promotion.enter(self.run.home, self.name, self.network, verdict, champion, artifact, findings, moved)
        why = verdict.why if entered else f"as it was decided before, {verdict.why}"
        return self._account(self.network, verdict.decision, why, champion, findings)

    def _account(
        self, of: Network, decision: str, why: str, champion: Network | None, findings: Findings | None = None
    ) -> Account:
        line = summary(self.name, of, decision, why)
        return Account(self.name, line, markdown(self.name, line, self.network, champion, findings, self.rules))


def _here(champion: Experiment, challenger: Experiment) -> Experiment:
    """The champion's experiment on the device of the new one; on its backend too where the champion's is not installed
    any more: weights are portable.
    """
    try:
        backend = backend_entry(champion.backend).name
    except InputError as error:
        backend = challenger.backend
        watch().progress.note(f"warning: the champion answers on {backend}: {error}")
    return champion.model_copy(update={"backend": backend, "device": challenger.device})
