"""Recovery kits for stacks that ``init`` did not write."""

from datetime import UTC, datetime

from understudy.app.recovery_kit import Credential, KitContents, recovery_kit

WRITTEN = datetime(2026, 11, 23, 3, tzinfo=UTC)


def kit_of(identity, recipient, *signers, repositories=(("near", "file:///mnt/near"),), credentials=()):
    return KitContents(
        stack="shop",
        written=WRITTEN,
        identity=identity,
        recipient=recipient,
        signers=signers,
        repositories=repositories,
        resources=(("orders", "PostgreSQL 18.4, system identifier 7400000000000000001"),),
        credentials=tuple(Credential(reference, meaning) for reference, meaning in credentials),
    )


def kit_text(identity, recipient, signer, url, credentials=()):
    kit = kit_of(identity, recipient, signer, repositories=(("near", url),), credentials=credentials)
    return recovery_kit(kit).reveal()
