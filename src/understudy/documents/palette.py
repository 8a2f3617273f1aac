"""Colours of phases, in the light and in the dark: the same in drawings and legends."""

from __future__ import annotations

from understudy.vocabulary.phases import Phase

LIGHT = {
    Phase.DETECT: "#8a8f98",
    Phase.FENCE: "#b3402a",
    Phase.SHIP: "#c77d0a",
    Phase.PROVISION: "#8a7a12",
    Phase.RESTORE: "#1f6fb2",
    Phase.REPLAY: "#6a4fb3",
    Phase.PROMOTE: "#b0358c",
    Phase.VERIFY: "#14806a",
    Phase.CUT_OVER: "#3f8f1f",
    Phase.DEPLOY: "#a0522d",
    Phase.WAITING: "#b4b9c2",
    Phase.PROTECT: "#2c8fa6",
    Phase.CLEAN_UP: "#6b7078",
}
DARK = {
    Phase.DETECT: "#9aa0aa",
    Phase.FENCE: "#e8735c",
    Phase.SHIP: "#f0a93c",
    Phase.PROVISION: "#c9b948",
    Phase.RESTORE: "#5aa7ea",
    Phase.REPLAY: "#a58bf0",
    Phase.PROMOTE: "#e77bc6",
    Phase.VERIFY: "#45c3a6",
    Phase.CUT_OVER: "#83cf5c",
    Phase.DEPLOY: "#d99a6c",
    Phase.WAITING: "#6b717c",
    Phase.PROTECT: "#63c4db",
    Phase.CLEAN_UP: "#a3a8b1",
}
UNKNOWN_PHASE = "#6b7078"


def colour_of(phase: Phase | None) -> str:
    return UNKNOWN_PHASE if phase is None else LIGHT[phase]


def class_of(phase: Phase | None) -> str:
    """By which the style sheet finds it in the dark."""
    return "phase-unknown" if phase is None else f"phase-{phase.value.replace('_', '-')}"


def dark_rules() -> str:
    return "".join(f".{class_of(phase)}{{fill:{colour}}}" for phase, colour in DARK.items())
