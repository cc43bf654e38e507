"""Short forms, sound-alikes, fillers and emoji of four languages, written for this project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from ._phrases import PhraseLexicon

Language = Literal["en", "de", "fr", "es"]
LANGUAGES: tuple[str, ...] = ("en", "de", "fr", "es")

EMOJI = ("🙂", "🙏", "👀", "👋", "📌", "📱", "💬", "🤔", "👍🏽", "🧑‍💻", "✉️", "🗓️")
"""Of no strong feeling, so that the label of a text stays right; some are several code points."""

_FILLERS: Mapping[str, Sequence[str]] = {
    "en": ("um,", "uh,", "er,", "well,", "like,", "you know,", "so,", "hmm,"),
    "de": ("äh,", "ähm,", "also", "halt", "sozusagen", "na ja,", "hm,"),
    "fr": ("euh,", "ben,", "bah,", "enfin,", "tu vois,", "du coup,", "hum,"),
    "es": ("eh,", "pues,", "bueno,", "este,", "o sea,", "a ver,", "mmm,"),
}

# long form | short form; the arrow tells that the short form is never spelt out again, being of two minds.
_CONTRACTIONS: Mapping[str, str] = {
    "en": """
        do not|don't, does not|doesn't, did not|didn't, is not|isn't, are not|aren't, was not|wasn't,
        were not|weren't, has not|hasn't, have not|haven't, had not|hadn't, cannot|can't, can not>can't,
        could not|couldn't, will not|won't, would not|wouldn't, should not|shouldn't, must not|mustn't,
        i am|I'm, you are|you're, we are|we're, they are|they're, i have|I've, you have|you've,
        we have|we've, they have|they've, i will|I'll, you will|you'll, he will|he'll, she will|she'll,
        it will|it'll, we will|we'll, they will|they'll, it is>it's, that is>that's, there is>there's,
        what is>what's, where is>where's, who is>who's, he is>he's, she is>she's, i would>I'd,
        you would>you'd, we would>we'd, let us>let's, going to>gonna, want to>wanna, have to>gotta""",
    "de": """
        für das|fürs, auf das|aufs, durch das|durchs, um das|ums, geht es|geht's, gibt es|gibt's,
        ist es|ist's, habe ich|hab ich, ich habe|ich hab, hast du|haste, kannst du|kannste,
        willst du|willste, so ein>son, so eine>sone, etwas>was, einmal>mal, heraus>raus, herein>rein""",
    "fr": """
        je suis|j'suis, je ne suis|j'suis, tu as|t'as, tu es|t'es, il y a|y a, il n'y a>y a,
        je sais|j'sais, je peux|j'peux, je veux|j'veux, cela>ça, peut-être|p'têt""",
    "es": "para>pa', para el>pa'l, estás>'tás, todo>to', nada>na', muy bien>mu bien",
}

_ABBREVIATIONS: Mapping[str, str] = {
    "en": """
        please|pls, please>plz, thanks|thx, thank you>ty, you>u, your>ur, are>r, because|bc, before>b4,
        tomorrow|tmrw, today|tdy, tonight|tnite, message|msg, messages|msgs, number|no., account|acct,
        appointment|appt, department|dept, information|info, address|addr, telephone|tel, picture|pic,
        minutes|mins, minute|min, hours|hrs, hour>hr, weeks|wks, week|wk, months|mths, month|mth,
        years|yrs, year|yr, street>st, road>rd, doctor>dr, mister|mr, approximately|approx, maximum>max,
        minimum|min., quantity|qty, reference>ref, invoice>inv, payment|pmt, amount|amt, received|rcvd,
        delivery|dlvy, customer|cust, service|svc, regarding>re, with|w/, without|w/o, people|ppl,
        really|rly, about|abt, as soon as possible|asap, by the way|btw, for example|e.g.,
        in my opinion|imo, i do not know|idk, let me know|lmk, to be honest|tbh, right now>rn,
        for your information|fyi, to be announced|tba, estimated time of arrival>eta, and>&""",
    "de": """
        bitte>bt, zum beispiel|z.B., und so weiter|usw., das heißt|d.h., beziehungsweise|bzw.,
        mit freundlichen grüßen|MfG, viele grüße|VG, liebe grüße|LG, nummer|Nr., straße|Str.,
        telefon|Tel., minuten|Min., stunden|Std., ungefähr|ca., circa>ca., vielleicht|vllt,
        eigentlich|eig., nicht>net, natürlich|natürl., keine ahnung|kA, informationen|Infos,
        rechnung|Rg., betrag|Betr., und>u., oder>od., gegebenenfalls|ggf., sozusagen|sozus.""",
    "fr": """
        s'il vous plaît|svp, s'il te plaît|stp, bonjour|bjr, bonsoir|bsr, merci|mci, beaucoup|bcp,
        rendez-vous|rdv, message|msg, numéro|n°, quelque chose|qqch, quelqu'un|qqn, pourquoi|pk,
        parce que|pcq, toujours|tjrs, aujourd'hui|ajd, téléphone|tél., minutes|min, avec>avc, dans>ds,
        pour>pr, vous>vs, nous>ns, maintenant|mtn, problème|pb, est-ce que|esk, tout le monde|tlm""",
    "es": """
        por favor|xfa, porque|xq, por qué>xq, que>q, también|tb, mensaje|msj, gracias|grax, mucho|mxo,
        número|núm., teléfono|tfno., avenida|avda., calle|c/, usted|Ud., ustedes|Uds., mañana|mñn,
        para>pa, donde|dnd, cuando|cdo, entonces|ent., información|info, minutos|min., de nada>dnd,
        te quiero mucho|tqm, fin de semana|finde, buenos días|bnos días, factura|fra.""",
}

_HOMOPHONES: Mapping[str, str] = {
    "en": """
        there their they're, your you're, its it's, to too two, hear here, where wear, weather whether,
        buy by bye, know no, new knew, right write, week weak, meet meat, than then, lose loose,
        affect effect, accept except, brake break, peace piece, plain plane, principal principle,
        sale sail, see sea, son sun, wait weight, which witch, whole hole, would wood, for four,
        one won, ate eight, flour flower, mail male, pair pear, road rode, steel steal, tail tale,
        waste waist, way weigh, quiet quite, advice advise, allowed aloud, board bored, cell sell,
        course coarse, dear deer, fair fare, great grate, hour our, made maid, passed past, role roll,
        stationary stationery, threw through, who's whose, were we're""",
    "de": """
        das dass, seid seit, wieder wider, man mann, den denn, war wahr, mehr meer, statt stadt,
        fast fasst, ist isst, viel fiel, lehren leeren, ihm im, ihn in, wen wenn, end ent, mine miene,
        tod tot, rad rat, seite saite, lerche lärche, mal mahl, bot boot, wal wahl""",
    "fr": """
        a à, et est, son sont, on ont, ou où, ce se, ces ses c'est s'est, mes mais, peu peut, sa ça,
        la là, leur leurs, quand quant, sans cent, près prêt, voix voie, quel quelle, vers verre vert,
        foi fois, mère mer maire, compte conte, date datte, tant temps, du dû, cour cours""",
    "es": """
        hay ahí ay, vaya valla, tubo tuvo, hecho echo, haya halla, el él, tu tú, mi mí, si sí, mas más,
        aun aún, te té, de dé, se sé, casa caza, ves vez, hola ola, bello vello, botar votar,
        cocer coser, rebelar revelar, sino si_no, hasta asta, honda onda, porque porqué""",
}


@dataclass(frozen=True)
class Wordings:
    """What noise knows of one language."""

    contractions: PhraseLexicon
    abbreviations: PhraseLexicon
    homophones: PhraseLexicon
    fillers: tuple[str, ...]


@cache
def wordings(language: Language) -> Wordings:
    """Return what noise knows of a language."""
    return Wordings(
        contractions=_two_way(_CONTRACTIONS[language]),
        abbreviations=_two_way(_ABBREVIATIONS[language]),
        homophones=_homophones(_HOMOPHONES[language]),
        fillers=tuple(_FILLERS[language]),
    )


def _two_way(text: str) -> PhraseLexicon:
    ways: dict[str, list[str]] = {}
    for entry in text.split(","):
        one_way = ">" in entry
        long, short = (side.strip() for side in entry.split(">" if one_way else "|"))
        ways.setdefault(long, []).append(short)
        if not one_way and _is_phrase(short):
            ways.setdefault(short.lower(), []).append("I" + long[1:] if short[0] == "I" else long)
    return PhraseLexicon(ways)


def _homophones(text: str) -> PhraseLexicon:
    ways: dict[str, list[str]] = {}
    for group in text.split(","):
        words = [word.replace("_", " ") for word in group.split()]
        for word in words:
            ways.setdefault(word, []).extend(other for other in words if other != word)
    return PhraseLexicon(ways)


def _is_phrase(text: str) -> bool:
    """Whether a text is words alone, which is what a lexicon can find."""
    return all(part.replace("'", "").isalpha() and part[0] != "'" for part in text.split(" "))
