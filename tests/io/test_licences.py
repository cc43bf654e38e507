import pytest

from twinset.core.errors import RecipeError
from twinset.io.licences import read_licence


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        ("MIT", "MIT"),
        ("mit", "MIT"),
        ("cc-by-4.0", "CC-BY-4.0"),
        ("Apache-2.0 or  mit", "Apache-2.0 OR MIT"),
        ("(MIT OR Apache-2.0) AND BSD-3-Clause", "(MIT OR Apache-2.0) AND BSD-3-Clause"),
        ("( ( MIT ) )", "((MIT))"),
        ("gpl-2.0-only with classpath-exception-2.0", "GPL-2.0-only WITH Classpath-exception-2.0"),
        ("GPL-2.0+", "GPL-2.0+"),
        ("apache-2.0+ AND MIT", "Apache-2.0+ AND MIT"),
        ("LicenseRef-our-contract", "LicenseRef-our-contract"),
        ("DocumentRef-a:LicenseRef-b OR MIT", "DocumentRef-a:LicenseRef-b OR MIT"),
        ("Proprietary", "proprietary"),
        ("unknown", "unknown"),
        ("noassertion", "NOASSERTION"),
        ("DbCL-1.0", "DbCL-1.0"),
    ],
)
def test_licences_get_the_spelling_of_the_list(text: str, licence: str) -> None:
    assert read_licence(text) == licence
    assert read_licence(licence) == licence


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("MY-OWN", "'MY-OWN' is no SPDX licence; allowed: e.g. CC-BY-4.0"),
        ("CC-BY4.0", "did you mean 'CC-BY-4.0'"),
        ("MIT OR Apache2.0", "'Apache2.0' is no SPDX licence.*did you mean 'Apache-2.0'"),
        ("MIT OR proprietary", "'proprietary' is no SPDX licence"),
        ("MIT AND", "no expression"),
        ("AND MIT", "no expression"),
        ("MIT Apache-2.0", "no expression"),
        ("(MIT", "no expression"),
        ("MIT)", "no expression"),
        ("()", "no expression"),
        ("MIT WITH Apache-2.0", "no expression"),
        ("(GPL-2.0-only) WITH Classpath-exception-2.0", "no expression"),
        ("Classpath-exception-2.0", "no expression"),
        ("Classpath-exception-2.0+", "no SPDX licence"),
        ("\x1b[31mMIT", r"this is no SPDX licence; got a text with '\\x1b'"),
        ("MIT\n", r"'\\n'"),
        ("<script>alert(1)</script>", "got a text with '<'"),
        ("МIT", r"'\\u041c'"),
        ("MIT OR " * 100 + "MIT", "703 characters"),
        (" ", "1 characters"),
        ("+", "no SPDX licence"),
    ],
)
def test_anything_else_is_refused_in_one_sentence(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        read_licence(text)
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
