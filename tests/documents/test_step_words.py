"""The plan on paper says what each of its steps does."""

import pytest

from understudy.documents.step_words import step_words
from understudy.steps import codec
from understudy.steps.codec import step_from_json
from understudy.vocabulary.identifiers import StepKey


def verbs():
    with pytest.raises(ValueError, match="no kind of step"):
        step_from_json({"step": "of my dreams"})  # it has met every kind then
    return sorted({verb for kind in codec._KINDS.values() if (verb := getattr(kind, "VERB", ""))})


def test_every_step_is_said_in_words_a_new_one_by_its_verb():
    assert len(verbs()) > 15
    said = {verb: step_words(StepKey(f"orders/{verb}")) for verb in verbs()}
    assert all(words.endswith(".") and words[0].isupper() and "-" not in words.split()[0] for words in said.values())
    assert said["promote"].startswith("Ends the replay")
    assert step_words(StepKey("orders/conjure-rows")) == "Conjure rows."


@pytest.mark.parametrize("verb", ["await-wal-in-near", "copy-backup-to-far", "start-wal-stream", "take-base-backup"])
def test_so_are_those_that_name_a_repository_or_have_a_key_of_their_own(verb):
    words = step_words(StepKey(f"orders/{verb}"))
    assert words.endswith(".") and words != f"{verb.replace('-', ' ').capitalize()}."
