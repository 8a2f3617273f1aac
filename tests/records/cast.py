"""Values that the tests of records share."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from understudy.records.run import HoldClaim, StepConclusion, StepState, Submission, SubmittedStep
from understudy.vocabulary.canonical import SIGNING_DOMAIN, signing_bytes
from understudy.vocabulary.evidence import Evidence, Outcome
from understudy.vocabulary.identifiers import Person, PlanId, RunId, StepKey
from understudy.vocabulary.json import JsonObject

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


class HeadSigner:
    """Signs with a fresh key."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        self.public_key = b64encode(self._key.public_key().public_bytes_raw()).decode()

    def sign(self, document: JsonObject) -> JsonObject:
        signature = self._key.sign(signing_bytes(SIGNING_DOMAIN, document))
        return {"signed": document, "signature": {"signer": self.public_key, "ed25519": b64encode(signature).decode()}}


def submission(
    run: str = "r1",
    steps: tuple[str, ...] = ("a", "b"),
    holds: frozenset[HoldClaim] = frozenset(),
    executor: str | None = "e1",
    asks: tuple[str, ...] = (),
    approved_by: Person | None = None,
) -> Submission:
    return Submission(
        run=RunId(run),
        plan_id=PlanId("p"),
        plan={"steps": list(steps)},
        procedure="backup",
        mode="routine",
        subject="orders",
        stack_digest="0" * 64,
        steps=[SubmittedStep(StepKey(each), "Really?" if each in asks else None) for each in steps],
        holds=holds,
        executor=executor,
        approved_by=approved_by,
    )


def succeeded(claim: str = "it is done", proof: JsonObject | None = None) -> StepConclusion:
    evidence = Evidence("orders", claim, Outcome.DONE, NOON, NOON, {"bytes": 7} if proof is None else proof)
    return StepConclusion(StepState.SUCCEEDED, evidence)
