"""Advice in plain words."""

from __future__ import annotations

from twinset.report.advice_model import Verdict
from twinset.workflows.advise.models import format_setting
from twinset.workflows.advise.select_strategy import ModelSelection
from twinset.workflows.advise.strategies import NONE, Strategy


def title_of(strategy: Strategy, judge: str) -> str:
    """Return a strategy in plain words; another setting of the model says which one."""
    if strategy.family == "learner":
        return f"{strategy.title} ({format_setting(judge, strategy.setting)})"
    return strategy.title


def sentence_of(verdict: Verdict, won: ModelSelection) -> str:
    """Return the advice in one or two sentences."""
    challenger = won.strategies[won.challenger]
    best = title_of(challenger, won.judge)
    if won.is_chance:
        return (
            "Do not balance: inside the training rows the model ranks the rows no better than chance, so "
            f"there is nothing to choose by. {_CHANCE[verdict]}"
        )
    if won.chosen == NONE.name:
        head = (
            "Do not balance: in trials inside the training rows nothing surely beat leaving them as "
            "they are."
        )
        told = {
            "helps": f"The test rows see more in it than the choice did: {best} helps there. "
            "One such win after the fact is no ground to change; more rare rows would tell.",
            "hurts": f"The best of the rest, {best}, hurts on the test rows.",
            "no evidence": f"For the best of the rest, {best}, the test rows give no evidence either.",
        }
        return f"{head} {told[verdict]}"
    if challenger.family == "learner":
        head = f"{_CHANGES[verdict]}: {best} won the trials inside the training rows"
    else:
        head = f"{_BEGINS[verdict]}: {best} won the trials inside the training rows"
    told = {
        "helps": ", and helps on the untouched test rows.",
        "hurts": ", but hurts on the untouched test rows.",
        "no evidence": ", but the untouched test rows give no evidence that it helps. Leaving everything "
        "as it is is the safe choice.",
    }
    return head + told[verdict]


_CHANCE = {
    "helps": "That the test rows see something in one of the ways is no ground to take it.",
    "hurts": "Columns that tell the label are wanted first.",
    "no evidence": "Columns that tell the label are wanted first.",
}
_CHANGES = {
    "helps": "Do not balance, change the model",
    "hurts": "Do not balance",
    "no evidence": "Do not balance, but perhaps change the model",
}
_BEGINS = {"helps": "Balance", "hurts": "Do not balance", "no evidence": "Perhaps"}
