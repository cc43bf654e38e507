import json
from collections import Counter
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

import twinset
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field, Schema
from twinset.core.data.where import Where
from twinset.core.errors import DataError, FitError, ParameterError, SchemaError
from twinset.core.seeding import rng_for
from twinset.generators.text._induction.tokens import Lexicon, Sentence, words_of
from twinset.generators.text._induction.walk import Classes, RealTexts, Values, Walk
from twinset.generators.text.learned import Learned

SONGS = [
    "play <Abba|artist> on <Spotify|service>",
    "put on something by <Queen|artist>",
    "play the <best|sort> songs of <Nina Simone|artist>",
    "i want to hear <Björk|artist> please",
    "open <Deezer|service> and play <Abba|artist>",
]
BOOKS = [
    "rate <Emma|title> <five|stars> stars",
    "give this novel <four|stars> points",
    "i want to give <Ulysses|title> <five|stars> points",
    "this book deserves <one|stars> star please",
]


def marked(found):
    """Return a text and its spans from `a <value|label> b`."""
    text, spans = "", []
    for piece in found.replace(">", "<").split("<"):
        value, _, label = piece.partition("|")
        if label:
            mark = {"start": len(text), "end": len(text) + len(value), "label": label}
            spans.append({**mark, "value": value})
        text += value
    return text, spans


def real_set(rows, **more):
    """Return a set of (found, label) rows, with further columns of categories."""
    pairs = [marked(found) for found, _ in rows]
    columns = {
        "said": [text for text, _ in pairs],
        "marks": pa.array([spans for _, spans in pairs], Field(name="m", kind="spans").arrow_type),
        "about": [label for _, label in rows],
        **more,
    }
    fields = [
        Field(name="said", kind="text"),
        Field(name="marks", kind="spans"),
        Field(name="about", kind="category", role="target"),
        *(Field(name=name, kind="category") for name in more),
    ]
    return Dataset.from_arrow(pa.table(columns), Schema(tuple(fields)))


def songs_and_books():
    return real_set([*((s, "song") for s in SONGS), *((b, "book") for b in BOOKS)])


def write(real, n, where=None, seed=0, **settings):
    fitted = Learned(**settings).fit(real, rng_for(seed, "fit"))
    return fitted.sample(n, rng_for(seed, "draw"), Where.from_value(where)).records.to_pylist()


def sentences(found, lexicon=None, group=0):
    return [
        Sentence.from_text(k, group, *marked(one), Lexicon(lexicon or {}))
        for k, one in enumerate(found)
    ]


def dice(one, other):
    """Return the similarity of two texts as the definition says it."""
    terms = []
    for text in (one, other):
        words = words_of(text)
        terms.append(Counter([*words, *pairwise(words)]))
    return 2 * sum((terms[0] & terms[1]).values()) / sum(map(Counter.total, terms))


# What is written


def test_spans_are_exact_and_labels_known():
    odd = [
        "say <né 🍵|x> to <שלום|y>",
        "👩‍👩‍👧 say <e\u0301a|x> now",
        "tell <zz|y> to say <👩‍👩‍👧 q|x> twice",
    ]
    for found in (SONGS + BOOKS, odd):
        for row in write(real_set([(t, "a") for t in found]), 200):
            end = 0
            for span in row["marks"]:
                assert row["said"][span["start"] : span["end"]] == span["value"] != ""
                assert f"{span['value']}|{span['label']}" in "".join(found)
                assert span["start"] >= end
                end = span["end"]


def test_nested_and_crossing_spans_stay_together():
    text = "fly to New York City Hall today"
    spans = [(7, 15, "city"), (7, 25, "place"), (16, 31, "when")]
    marks = [{"start": s, "end": e, "label": label, "value": text[s:e]} for s, e, label in spans]
    sentence = Sentence.from_text(0, 0, text, marks, Lexicon({}))
    assert [token.key for token in sentence.tokens] == ["fly", "to", "{place+city+when}"]
    assert sentence.tokens[2].value.spans == ((0, 18, "place"), (0, 8, "city"), (9, 24, "when"))


def test_no_text_is_nearer_to_a_real_one_than_stated():
    real = songs_and_books()
    texts = real.records.column("said").to_pylist()
    made = write(real, 300, max_similarity=0.7)
    assert max(dice(row["said"], text) for row in made for text in texts) <= 0.7
    assert max(dice(row["said"], text) for row in write(real, 300) for text in texts) > 0.7


def test_classes_have_exact_shares_and_the_first_rows_do_not_depend_on_the_rest():
    made = write(songs_and_books(), 90)
    assert Counter(row["about"] for row in made) == {"song": 50, "book": 40}
    assert write(songs_and_books(), 12) == made[:12]


def test_labels_of_spans_stay_with_their_class():
    of_songs, of_books = {"artist", "service", "sort"}, {"title", "stars"}
    for row in write(songs_and_books(), 200):
        labels = {span["label"] for span in row["marks"]}
        assert labels <= (of_songs if row["about"] == "song" else of_books)


def test_conditions_choose_the_text_that_is_begun_with():
    rows = [(s, "song") for s in SONGS] + [(b, "book") for b in BOOKS]
    real = real_set(
        rows, mood=["calm", "calm", "angry", None, "calm", "angry", "angry", None, "calm"]
    )
    made = write(real, 40, {"about": "song", "mood": "calm"})
    assert {(row["about"], row["mood"]) for row in made} == {("song", "calm")}
    assert {row["mood"] for row in write(real, 20, {"mood": None})} == {None}
    with pytest.raises(ParameterError, match="no row with"):
        write(real, 1, {"about": "song", "mood": "sad"})
    with pytest.raises(ParameterError, match="condition on 'said'"):
        write(real, 1, {"said": "play"})


def test_parents_are_the_texts_that_pieces_are_from():
    real = songs_and_books()
    ids = [f"r{i}" for i in range(len(real))]
    for row in write(real.with_reserved(ids=ids).without_parents(), 30):
        words = set(words_of(row["said"]))
        for span in row["marks"]:
            words -= set(words_of(span["value"]))
        own = [words_of(real.records.column("said")[ids.index(p)].as_py()) for p in row["_parents"]]
        assert words <= {word for text in own for word in text}


@pytest.mark.parametrize("k", [1, 5])
def test_few_texts_per_class_are_enough(k):
    real = real_set([*((s, "song") for s in SONGS[:k]), *((b, "book") for b in BOOKS[:k])])
    made = write(real, 20)
    texts = set(real.records.column("said").to_pylist())
    assert len(made) == 20
    assert not texts & {row["said"] for row in made}


def test_texts_without_spans_or_labels_are_recombined():
    texts = ["how do i reset my pin", "i forgot my pin again", "can i reset my password today"]
    schema = Schema((Field(name="said", kind="text"),))
    made = Learned().fit(Dataset.from_arrow(pa.table({"said": texts}), schema), rng_for(0, "f"))
    said = made.sample(20, rng_for(0, "d")).records.column("said").to_pylist()
    assert "how do i reset my password today" in said
    assert not set(texts) & set(said)


# Slots


def test_a_closed_list_mostly_stays_with_its_class_and_names_are_shared():
    found = [(f"see the <film|kind> by <p{i} q|who>", "film") for i in range(6)]
    found += [(f"read the <book|kind> of <a{i} b|who>", "book") for i in range(6)]
    texts = [
        Sentence.from_text(i, int(c == "book"), *marked(t), Lexicon({}))
        for i, (t, c) in enumerate(found)
    ]
    values, rng = Values(texts, Lexicon({}), "real and lexicon"), np.random.default_rng(0)
    kind, who = texts[0].tokens[2], texts[0].tokens[4]
    kinds = Counter(values.draw(kind, 0, rng).text for _ in range(4_000))
    # One distinct value in six: all classes are asked in 1 of 7 draws; half of their values are its own.
    expected = 4_000 / 14
    assert abs(kinds["book"] - expected) < 4 * np.sqrt(expected)
    names = Counter(values.draw(who, 0, rng).text for _ in range(4_000))
    # Six distinct in six: all classes are asked in half of the draws.
    assert len(names) == 12
    others = sum(n for name, n in names.items() if name.startswith("a"))
    assert abs(others - 1_000) < 4 * np.sqrt(1_000)


def test_a_lexicon_gives_slots_more_values_and_replaces_phrases():
    lexicon = {"artist": ["Cher"], "ask": ["play", "put on", "start"]}
    made = write(songs_and_books(), 200, {"about": "song"}, lexicon=lexicon)
    artists = {s["value"] for row in made for s in row["marks"] if s["label"] == "artist"}
    assert artists == {"Abba", "Queen", "Nina Simone", "Björk", "Cher"}
    assert any(row["said"].startswith("start") for row in made)
    assert "ask" not in {span["label"] for row in made for span in row["marks"]}


def test_a_lexicon_alone_keeps_real_values_out():
    real = real_set([(s, "song") for s in SONGS[:2] + SONGS[3:]])
    lexicon = {"artist": ["Cher", "Dido"], "service": ["Pandora"]}
    made = write(real, 100, lexicon=lexicon, values="lexicon")
    values = {span["value"] for row in made for span in row["marks"]}
    assert values == {"Cher", "Dido", "Pandora"}
    assert not any("Abba" in row["said"] for row in made)
    with pytest.raises(FitError, match="no list for the spans 'sort'"):
        write(
            songs_and_books(),
            1,
            lexicon={**lexicon, "title": ["X"], "stars": ["1"]},
            values="lexicon",
        )


def test_phrases_come_by_their_weights():
    [sentence] = sentences(["start <Abba|artist>"])
    words = {"artist": {"Cher": 3, "Dido": 1, "Nobody": 0}}
    values, rng = Values([sentence], Lexicon(words), "lexicon"), np.random.default_rng(0)
    drawn = Counter(values.draw(sentence.tokens[1], 0, rng).text for _ in range(2_000))
    assert set(drawn) == {"Cher", "Dido"}
    assert abs(drawn["Cher"] - 1_500) < 4 * np.sqrt(2_000 * 0.75 * 0.25)


def test_a_phrase_keeps_the_capital_of_the_one_it_replaces():
    [sentence] = sentences(["Put on <Abba|artist>"], {"ask": ["play", "put on"]})
    values = Values([sentence], Lexicon({"ask": ["play"]}), "real and lexicon")
    assert values.draw(sentence.tokens[0], 0, np.random.default_rng(0)).text == "Play"


def test_the_longest_phrase_of_the_lexicon_is_found_in_any_case():
    lexicon = Lexicon({"card": ["card", "credit card"], "loss": ["lost"]})
    keys = [token.key for token in lexicon.tokens("Lost my Credit Card, lostness")]
    assert keys == ["{loss}", "my", "{card}", ",", "lostness"]


# Walks


def test_carriers_are_joined_at_a_shared_slot_by_hand():
    walk = Walk(sentences(["play <Abba|artist> now", "stop <Queen|artist> at once"]))
    seen = set()
    for seed in range(60):
        tokens, used = walk.tokens(0, 0.5, 0.0, np.random.default_rng(seed))
        seen.add(" ".join(token.key for token in tokens))
        assert used[0] == 0
    assert seen == {"play {artist} now", "play {artist} at once"}


def test_what_only_some_texts_have_is_left_out_and_put_in_by_hand():
    walk = Walk(sentences(["play <Abba|artist> on <Deezer|service>", "play <Queen|artist>"]))
    said = [
        {
            " ".join(
                token.key for token in walk.tokens(base, 0.5, 0.0, np.random.default_rng(s))[0]
            )
            for s in range(60)
        }
        for base in (0, 1)
    ]
    assert said[0] == said[1] == {"play {artist}", "play {artist} on {service}"}


def test_no_walk_goes_into_another_class_and_each_ends():
    one, two = sentences(["a b c d"] * 3, group=0), sentences(["a b x y", "a b a b a b"], group=1)
    walk = Walk([*one, *two])
    for seed in range(100):
        tokens, _ = walk.tokens(0, 1.0, 0.0, np.random.default_rng(seed))
        assert {token.key for token in tokens} <= set("abcd")
        tokens, _ = walk.tokens(4, 1.0, 0.0, np.random.default_rng(seed))
        assert len(tokens) <= 12


def test_an_opening_is_borrowed_where_both_have_a_word_in_their_first_halves():
    song = sentences(["please play some jazz for me today"], group=0)
    book = sentences(["would you kindly play with the novel here now"], group=1)
    walk = Walk([*song, *book])
    seen = {
        " ".join(token.key for token in walk.tokens(0, 0.0, 1.0, np.random.default_rng(seed))[0])
        for seed in range(20)
    }
    assert seen == {
        "please play some jazz for me today",
        "would you kindly play some jazz for me today",
    }


# Guards


def test_similarity_by_hand():
    real = RealTexts(["play some jazz", "a a a"])
    assert real.similarity("PLAY some jazz") == 1
    assert real.similarity("play some blues") == pytest.approx(
        2 * 3 / 10
    )  # play, some, (play, some)
    assert real.similarity("a b") == pytest.approx(2 * 1 / 8)
    assert real.similarity("a a") == pytest.approx(2 * 3 / 8)
    assert real.similarity("nothing here") == 0


def test_a_word_twice_in_a_row_passes_only_where_a_real_text_has_it():
    real = RealTexts(["that that is", "my bank account"])
    assert not real.has_repetition("is that that")
    assert real.has_repetition("my bank bank account")


def test_a_class_is_clear_by_its_own_words():
    own, other = sentences(["lost my card"]), sentences(["lost my pin"], group=1)
    classes = Classes([*own, *other], 2)
    assert classes.margin(own[0].tokens, 0) == pytest.approx(np.log(1.1 / 0.1))
    assert classes.margin(own[0].tokens, 1) == pytest.approx(-np.log(1.1 / 0.1))
    assert classes.margin(own[0].tokens[:2], 0) == pytest.approx(0)
    assert Classes(own, 1).margin(own[0].tokens, 0) == np.inf


# Refusals


def test_a_span_outside_its_text_is_named_by_its_row_only():
    real = songs_and_books()
    for mark, words in (
        ({"start": 5, "end": 500, "label": "artist", "value": None}, "span of row 1"),
        ({"start": 0, "end": 3, "label": "artist", "value": "secret"}, "span of row 1"),
        ({"start": 3, "end": 3, "label": "artist", "value": ""}, "span of row 1"),
    ):
        marks = real.records.column("marks").to_pylist()
        marks[1] = [mark]
        column = pa.array(marks, real.schema["marks"].arrow_type)
        records = real.records.set_column(1, "marks", column)
        with pytest.raises(DataError, match=words) as caught:
            Learned().fit(Dataset.from_arrow(records, real.schema), rng_for(0, "fit"))
        assert "secret" not in str(caught.value)


def test_what_cannot_be_varied_is_said():
    with pytest.raises(
        ParameterError, match=r"the texts of about = [ab] have too little in common"
    ):
        write(real_set([("stop", "a"), ("go", "b")]), 1)
    assert write(real_set([("stop", "a")]), 2, max_similarity=1.0)[1]["said"] == "stop"


def test_wrong_columns_and_settings_are_refused():
    two = Schema((Field(name="a", kind="text"), Field(name="b", kind="text")))
    with pytest.raises(SchemaError, match="one column of texts"):
        Learned().fit(Dataset.from_arrow(pa.table({"a": ["x"], "b": ["y"]}), two), rng_for(0, "f"))
    empty = Schema((Field(name="a", kind="text"),))
    with pytest.raises(FitError, match="no word"):
        Learned().fit(Dataset.from_arrow(pa.table({"a": ["  ", None]}), empty), rng_for(0, "f"))
    for settings in (
        {"max_similarity": 0},
        {"max_similarity": 1.1},
        {"switch": -0.1},
        {"borrow": 2},
        {"values": "both"},
        {"lexicon": {"a": []}},
        {"lexicon": {"a": "word"}},
        {"lexicon": {"a": [" x"]}},
        {"lexicon": {"a": {}}},
        {"lexicon": {"a": {"x": -1.0, "y": 2.0}}},
        {"lexicon": {"a": {"x": 0.0}}},
    ):
        with pytest.raises(ParameterError):
            Learned(**settings)


# In a recipe


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """A recipe that makes rows of one intent, with a list of values in a file."""
    monkeypatch.chdir(tmp_path)
    rows = [(f"{found} {k}", label) for found, label in SAID for k in ("today", "now", "at noon")]
    lines = []
    for found, label in rows:
        text, marks = marked(found)
        lines.append(json.dumps({"text": text, "spans": marks, "intent": label}))
    (tmp_path / "real.jsonl").write_text("\n".join(lines), "utf-8")
    (tmp_path / "artists.txt").write_text("Cher\t3\nDido\n", "utf-8")
    (tmp_path / "recipe.yaml").write_text(RECIPE, "utf-8")
    return tmp_path


SAID = [*((s, "song") for s in SONGS), *((b, "book") for b in BOOKS)]
RECIPE = """
name: talk
brief: {task: classification, target: intent}
source: {path: real.jsonl, schema: {text: {kind: text}, spans: {kind: spans}}}
split: {by: stratified, holdout_fraction: 0.4}
generate:
  - use: text.learned
    where: {intent: song}
    rows: 40
    with: {lexicon: {artist: artists.txt}}
evaluate: {metrics: []}
deliver: {to: out, formats: [jsonl]}
"""


def test_a_recipe_makes_rows_of_one_intent_and_never_sees_the_holdout(recipe):
    done = twinset.run(recipe / "recipe.yaml", root=recipe / "catalogue")
    lines = (done.delivered / "synthetic.jsonl").read_text("utf-8").splitlines()
    made = [json.loads(line) for line in lines]
    assert [row["intent"] for row in made] == ["song"] * 40
    artists = {s["value"] for row in made for s in row["spans"] if s["label"] == "artist"}
    assert {"Cher", "Dido"} & artists
    train = {parent for row in made for parent in row["_parents"]}
    card = (done.delivered / "cards.json").read_text("utf-8")
    assert "treat as the source data" in card
    assert len(train) <= 0.6 * 27 + 1
