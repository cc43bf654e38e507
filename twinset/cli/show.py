"""`twinset show`: one component, its parameters and what they mean."""

from __future__ import annotations

from dataclasses import asdict

from twinset import registry
from twinset.cli.terminal import print_json, print_table
from twinset.core.errors import UnknownNameError


def command(name: str, /, *, json: bool = False) -> None:
    """Show the settings of a component: types, ranges, defaults.

    Parameters
    ----------
    name : str
        A name out of `twinset list`, e.g. tabular.trees.
    json : bool
        Print JSON.
    """
    known = {info.name: info for info in registry.list_components()}
    if name not in known:
        raise UnknownNameError.for_name("component", name, known)
    info = known[name]
    parameters = registry.parameters(info.kind, name)
    if json:
        print_json({**asdict(info), "parameters": [asdict(p) for p in parameters]})
        return
    print(f"{info.kind} {name}: {info.text}\n")
    if not parameters:
        print("It takes no settings.")
        return
    rows = [
        (p.name, p.type, "must be given" if p.required else repr(p.default), p.help)
        for p in parameters
    ]
    print_table(("setting", "type", "default", "meaning"), rows)
