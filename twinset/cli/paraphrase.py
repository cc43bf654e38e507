"""`twinset paraphrase`: other wordings of templates, from a language model that you name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from twinset.cli.options import Count, Real
from twinset.cli.terminal import check_new, check_places, progress_bar, write_text
from twinset.core.errors import DataError, RecipeError

if TYPE_CHECKING:
    from twinset.workflows.paraphrase.endpoint import Endpoint
    from twinset.workflows.paraphrase.requests import Cache, ParaphraseResult, RequestPlan
    from twinset.workflows.paraphrase.sheet import Item, Sheet

_BASE_URL, _MODEL, _KEY = "TWINSET_LLM_BASE_URL", "TWINSET_LLM_MODEL", "TWINSET_LLM_API_KEY"
_MAX_NAMED = 5  # templates in a note: one line of a terminal


def paraphrase(
    templates: Path,
    /,
    *,
    out: Path | None = None,
    variants: Count = 5,
    base_url: str = "",
    model: str = "",
    label: Annotated[list[str] | None, Parameter(name="--label")] = None,
    budget: Count = 200_000,
    concurrency: Count = 4,
    timeout: Real = 60.0,
    tries: Count = 4,
    temperature: Real = 0.8,
    cache: Path | None = None,
    dry_run: bool = False,
    force: bool = False,
) -> None:
    """Ask a language model for other wordings of templates, and write them into a new file.

    Only templates are sent, with their placeholders: no row, no value, no real text. A wording that
    drops, repeats or invents a placeholder is refused. Nothing is sent unless a base URL is named, here
    or in TWINSET_LLM_BASE_URL; the key comes from TWINSET_LLM_API_KEY alone. Read the new file before
    you use it.

    Parameters
    ----------
    templates : Path
        A recipe with text.templates, a file with the key templates, or a list of sentences under each
        label, in YAML.
    out : Path
        The file to write: the same one, with the new wordings behind each template.
    variants : int
        Wordings to ask for, of each template.
    base_url : str
        Address of a server with the chat protocol of OpenAI, e.g. http://127.0.0.1:11434/v1.
    model : str
        Name of the model; by default TWINSET_LLM_MODEL.
    label : list[str]
        Only templates of this label; may be repeated.
    budget : int
        Tokens to spend at most, by a cautious estimate; templates beyond it are not asked about.
    concurrency : int
        Requests at a time; the result does not depend on it.
    timeout : float
        Seconds for one request.
    tries : int
        How often a request is sent at most.
    temperature : float
        How freely the model writes, 0 to 2.
    cache : Path
        Folder of answers that were had before; by default your cache.
    dry_run : bool
        Print what would be sent, and send nothing.
    force : bool
        Overwrite the file if there is one.
    """
    from twinset.io.fetch import cache_folder
    from twinset.workflows.paraphrase.endpoint import Endpoint
    from twinset.workflows.paraphrase.requests import Cache, plan_requests
    from twinset.workflows.paraphrase.sheet import read_sheet

    address = base_url or os.environ.get(_BASE_URL, "")
    named = model or os.environ.get(_MODEL, "")
    key = os.environ.get(_KEY, "").strip()
    # An address that holds a password is refused before anything shows it.
    endpoint = address and Endpoint(base_url=address, key=key, timeout=timeout, tries=tries)
    sheet = read_sheet(templates)
    kept = Cache(cache or cache_folder() / "llm")
    plan = plan_requests(
        sheet,
        n=variants,
        model=named or "MODEL",
        base_url=address,
        temperature=temperature,
        budget=budget,
        labels=label or (),
        cache=kept,
    )
    if dry_run:
        _print_plan(plan, address)
        return
    if out is None:
        raise RecipeError("no file to write is named", todo="name one with --out, or say --dry-run")
    check_places({"--out": out}, [templates])
    check_new("--out", out, force)
    if not endpoint or not named:
        raise RecipeError(
            "no server is named, so nothing is asked" if not endpoint else "no model is named",
            todo=f"set --base-url and --model, or {_BASE_URL} and {_MODEL}; --dry-run shows the prompts",
        )
    _ask_and_write(sheet, plan, endpoint, kept, concurrency, out)


def _print_plan(plan: RequestPlan, address: str) -> None:
    from twinset.workflows.paraphrase.requests import SYSTEM

    if plan.jobs:
        print(f"{SYSTEM}\n")
    for job in plan.jobs:
        print(f"--- {job.item.label}-{job.item.number} ({job.request.digest[:12]})")
        print(job.request.body["messages"][1]["content"])
    where = f"to {address}" if address else "once a base URL is named"
    print(
        f"\n{len(plan.jobs)} requests {where}, at most {plan.max_tokens:,} tokens; nothing was sent."
    )
    _print_passed_over(plan)


def _print_passed_over(plan: RequestPlan) -> None:
    if plan.odd:
        what = "passed over, as they write signs that mean something in templates or hold no words"
        print(f"Note: {what}: {_named(plan.odd)}")
    if plan.beyond:
        print(f"Note: beyond the budget, not asked about: {_named(plan.beyond)}")


def _named(items: Sequence[Item]) -> str:
    names = [f"{item.label}-{item.number}" for item in items]
    more = f" and {len(names) - _MAX_NAMED} more" if names[_MAX_NAMED:] else ""
    return ", ".join(names[:_MAX_NAMED]) + more


def _ask_and_write(
    sheet: Sheet, plan: RequestPlan, endpoint: Endpoint, cache: Cache, concurrency: int, out: Path
) -> None:
    from twinset.workflows.paraphrase.requests import paraphrase, prompt_digest

    with progress_bar() as progress:
        answers = paraphrase(
            sheet, plan, endpoint, cache=cache, concurrency=concurrency, progress=progress
        )
    if not answers.n_accepted:
        raise DataError(
            "no other wording was accepted, and nothing was written",
            got=_problems(answers, plan) or "no template that could be asked about",
            todo="see --dry-run; try another model, a longer --timeout or a larger --budget",
        )
    model = plan.jobs[0].request.body["model"]
    n_refused = sum(answers.refused.values())
    head = (
        "Other wordings by `twinset paraphrase`: read them before you use them. Each stands behind the",
        "template that it says again, with the beginning of the SHA-256 of its request.",
        f"model: {' '.join(str(model).split())}",
        f"prompt: {prompt_digest()}",
        f"accepted: {answers.n_accepted}, refused: {n_refused}",
    )
    write_text(out, sheet.with_variants(answers.variants, head))
    print(f"{answers.n_accepted} wordings accepted for {len(answers.variants)} templates: {out}")
    if problems := _problems(answers, plan):
        print(f"Note: {problems}")
    _print_passed_over(plan)


def _problems(answers: ParaphraseResult, plan: RequestPlan) -> str:
    """Return in one sentence what was refused and what has no answer."""
    parts = [f"{count} refused because {why}" for why, count in answers.refused.most_common()]
    failed = [job.item for job in plan.jobs if job.position in answers.failed]
    if failed:
        parts.append(f"no answer about {_named(failed)}: {next(iter(answers.failed.values()))}")
    return "; ".join(parts)
