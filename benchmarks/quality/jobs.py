"""The rows of the quality table: which method aims at what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pruner import TurnOptions
from pruner.policies import NAMES

__all__ = ["LIVE", "POLICIES", "REFERENCE", "RIVALS", "Job", "against", "plan_jobs"]

REFERENCE = "all"
"""The method that keeps everything; every run includes it, since all others are compared with it."""
LIVE = {
    "live": TurnOptions(),
    "live_mean": TurnOptions(score="mean"),
    "live_diverse": TurnOptions(diversity_weight=0.2),
}
"""OmniDrop live as it is served, with the paper's score, and with temporal diversity."""
RIVALS = tuple(name for name in NAMES if name not in (REFERENCE, "live"))
"""What the live form is compared with."""
POLICIES = (*LIVE, *RIVALS)


@dataclass(frozen=True, slots=True)
class Job:
    """A row: a method and its target, at most one of these; none keeps everything.

    Attributes:
        policy: one of `POLICIES`, or `REFERENCE`.
        retention: layer mean of the audiovisual tokens, relative to those before compression.
        deep_share: live methods only: mean share of the stored tokens over the layers from the fusion depth on.
        retention_of: the retention that `live` has at this deep share.
        flops_of: the operations after the question that `live` takes at this deep share, in a store like its own.
    """

    policy: str
    retention: float | None = None
    deep_share: float | None = None
    retention_of: float | None = None
    flops_of: float | None = None

    @property
    def target(self) -> str:
        """What it aims at, for people."""
        if self.deep_share is not None:
            return f"deep {100 * self.deep_share:g} %"
        if self.retention_of is not None:
            return f"as deep {100 * self.retention_of:g} %"
        if self.flops_of is not None:
            return f"FLOPs as deep {100 * self.flops_of:g} %"
        return "-" if self.retention is None else f"{100 * self.retention:g} %"

    @property
    def key(self) -> str:
        """The same for journals."""
        return f"{self.policy} {self.target}"

    @property
    def model(self) -> float | None:
        """Deep share of the live row that this one is to equal; None where it has a target of its own."""
        return self.retention_of if self.flops_of is None else self.flops_of

    def targets(self) -> dict[str, Any]:
        """The target alone, for JSON."""
        return {
            "retention": self.retention,
            "deep_share": self.deep_share,
            "retention_of": self.retention_of,
            "flops_of": self.flops_of,
        }


def plan_jobs(policies: Sequence[str], retentions: Sequence[float], deep_shares: Sequence[float]) -> tuple[Job, ...]:
    """The reference; every policy at every retention; live ones at every deep share, and the others equal to those."""
    jobs = [Job(REFERENCE)]
    jobs += [Job(policy, retention=share) for share in retentions for policy in policies]
    for share in deep_shares:
        jobs += [Job(policy, deep_share=share) for policy in policies if policy in LIVE]
        jobs += against([policy for policy in policies if policy not in LIVE], share)
    return tuple(jobs)


def against(rivals: Sequence[str], deep_share: float) -> list[Job]:
    """Rivals at the retention that `live` has at a deep share, then at its operations after the question."""
    return [
        *(Job(policy, retention_of=deep_share) for policy in rivals),
        *(Job(policy, flops_of=deep_share) for policy in rivals),
    ]
