"""The plan on paper says what each of its steps does."""

import pytest

from understudy.documents.step_words import step_words
from understudy.steps import codec
from understudy.steps.codec import step_from_json
from understudy.vocabulary.identifiers import StepKey

OF_NO_RECOVERY = {
    "forget-shipped-wal", "read-back", "remove-backups", "remove-wal", "remove-snapshots", "take-snapshot",
    "write-snapshot-manifest", "discard-snapshot-leftovers",
}  # fmt: skip
"""Steps of backups, of retention and of reading back, which no plan on paper holds."""


def verbs():
    with pytest.raises(ValueError, match="no kind of step"):
        step_from_json({"step": "of my dreams"})  # it has met every kind then
    return sorted({verb for kind in codec._KINDS.values() if (verb := getattr(kind, "VERB", ""))} - OF_NO_RECOVERY)


def test_every_step_of_a_recovery_is_said_in_words():
    assert len(verbs()) > 15
    assert [verb for verb in verbs() if not step_words(StepKey(f"orders/{verb}"))] == []


@pytest.mark.parametrize("verb", ["await-wal-in-near", "copy-backup-to-far", "start-wal-stream", "take-base-backup"])
def test_so_are_those_that_name_a_repository_or_have_a_key_of_their_own(verb):
    assert step_words(StepKey(f"orders/{verb}")).endswith(".")


def test_what_the_table_does_not_know_is_left_out():
    assert step_words(StepKey("orders/conjure")) == ""
