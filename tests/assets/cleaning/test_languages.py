"""Languages of lines and documents, by examples of near and far languages."""

import gzip
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.cleaning.function_words import FUNCTION_WORDS, LANGUAGES, count_function_words
from assets.cleaning.languages import (
    DECLARED_SHARE,
    DocumentLanguage,
    ForeignLines,
    FunctionWords,
    MixedLanguage,
    is_prose,
    is_title,
    judge,
    split_lines,
)
from assets.cleaning.profiles import Profile
from assets.cleaning.run import edit
from tests.assets.cleaning.slices import ANY, documents, edited, fails, judged_alone, quick, texts

SHARED = os.environ.get("TOKKA_SHARED")
FI = "Asenna ohjelma ja avaa valikko, josta voit valita haluamasi tiedoston ja tallentaa sen uudelleen."
EN = "Install the program and open the menu, where you can choose a file and save it again afterwards."
SV = "Installera programmet och öppna menyn, där du kan välja en fil och sedan spara den på nytt."
ET = "Paigaldage programm ja avage menüü, kus saate valida soovitud faili ning selle uuesti salvestada."
TEXTS = {
    "fi": """Suomen kieli on itämerensuomalainen kieli, jota puhuu noin viisi miljoonaa ihmistä. Se on lähellä viron kieltä, mutta
        suomalaiset ja virolaiset eivät aina ymmärrä toisiaan. Lapset oppivat lukemaan, kun he ovat kuuden vuoden ikäisiä.""",
    "fi, spoken": """Mie oon asunu täälä jo kolmekymmentä vuotta ja kyllä mie tykkään. Talvella on kylmä, mutta ei se haittaa ku
        on hyvät vaatteet. Sie voit tulla käymään kun sulle sopii, meillä on aina kahvit valmiina. Eilen käytiin kaupassa ja
        ostettiin uusi pöytä, se oli aika kallis mutta hyvä. Nyt pitäs vielä saaha tuolit, ne vanhat on ihan hajalla.""",
    "fi, old": """Waan kuin Jesus sen näki, närkästyi hän ja sanoi heille: sallikaat lasten tulla minun tyköni, ja älkäät
        kieltäkö heitä; sillä senkaltaisten on Jumalan valtakunta. Totisesti sanon minä teille: joka ei Jumalan valtakuntaa
        ota vastaan niinkuin lapsi, ei hän siihen suinkaan tule sisälle.""",
    "et": """Eesti keel on läänemeresoome keel, mida räägib umbes miljon inimest. See on lähedane soome keelele, kuid eestlased
        ja soomlased ei saa teineteisest alati aru. Lapsed õpivad lugema kuueaastaselt ja pärast mõnda aastat oskavad nad juba
        hästi kirjutada. Paljud inimesed arvavad, et keel on raske, aga see ei ole nii.""",
    "olo": """Karjalan kieli on uralilazien kielien pereheh kuuluja itämerensuomelaine kieli. Sih kuulutah livvin da varzinazen
        karjalan murdehet. Karjalan kielel paistah Karjalan tazavallas, Tverin alovehel da Suomes. Enzimäzet karjalankielizet
        tekstat ollah 1200-luvul kirjutetut. Nygöi kielel annetah kniigua da lehtie, sidä opastetah školis da yliopistos.
        Kudai rahvas pagizou karjalakse, se ei unohta omua kieldy. Lehti ilmestyy kerran nedälis, da sen luvetah kai.""",
    "krl": """Kaikki rahvaš šyntyy välläkši ta taša-arvosekši arvoltah ta oikeukšiltah. Heilä on annettu järki ta omatunto, ta
        heijän pitäy olla kešenäh niinkuin vellet. Karjalan kielellä paissah Karjalan tašavallašša ta Šuomešša. Šiitä on
        kirjutettu jo monta kirjua, ta mie olen lukenut ne kaikki. Hiän šano, jotta myö voimma kirjuttua omalla kielellä.""",
    "fit": """Meänkieli oon vähemistökieli Ruottissa. Sitä puhuthaan Tornionlaaksossa ja sielä oon monta ihmistä jokka puhuvat
        meänkieltä. Net jokka puhuvat sitä, oon oppinheet sen kotona. Ennen sitä ei saanu puhua koulussa, mutta nyt se oon
        toisin. Ko met olima nuoria, niin met puhuima aina meänkieltä ja ruottia sekasin. Mie muistan ette äiti sano, ette se
        ei ole oikea kieli. Nyt tet saatta lukea kirjoja meänkielelä ja kuunela raatiota.""",
    "fkv": """Kainun kieli oon vähemistökieli Norjassa. Se oon itämerensuomalainen kieli, ja sitä puhuthaan eniten Tromssassa ja
        Finmarkussa. Kainun kieli ja suomen kieli oon niin lähelä toisiansa ette kainulaiset ja suomalaiset ymmärethään
        toisiansa hyvin. Stortingi päätti vuona 2005 ette kainun kieli oon oma kieli eikä suomen kielen murret. Net kainulaiset
        jokka asuthaan Ruijassa oon ollheet sielä jo monta sattaa vuotta, ja heän kieli oon säilyny kotona.""",
    "sv": """Svenska är ett språk som talas av omkring tio miljoner människor, och de flesta av dem bor i Sverige. Språket ligger
        nära norska och danska, men det låter annorlunda. Många svenskar kan läsa norska utan problem, även om de inte har lärt
        sig det i skolan. När barnen är sex år börjar de i skolan, och efter några år kan de skriva.""",
    "no": """Norsk er et språk som snakkes av om lag fem millioner mennesker, og de fleste av dem bor i Norge. Det finnes to
        skriftspråk, bokmål og nynorsk, som begge blir brukt i skolen og i det offentlige. Mange mener at språkene ligger nær
        svensk og dansk, men de er ikke like. Barna lærer å lese når de er seks år.""",
    "da": """Dansk er et sprog, der tales af omkring seks millioner mennesker, og de fleste af dem bor i Danmark. Sproget ligger
        tæt på norsk og svensk, men det lyder anderledes. Mange danskere kan læse norsk uden problemer, selv om de ikke har
        lært det i skolen. Når børnene er seks år, begynder de i skolen.""",
    "hu": """A magyar nyelv az uráli nyelvcsalád tagja, és körülbelül tizenhárom millió ember beszéli. A finn nyelv távoli rokona,
        de a két nép nem érti egymást. A gyerekek hat éves korukban tanulnak meg olvasni, és néhány év múlva már jól írnak.""",
    "en": """English is a language that is spoken by more than a billion people. It is close to Scots, and many of its words come
        from French. Children learn to read when they are six years old, and after some years they can write well.""",
}
DECLARED = {"fi, spoken": "fi", "fi, old": "fi", "no": "sv", "da": "sv"}
WRAPPED = """9.5. Normal Map
9. Yleiset suotimet
9.5.1. Yleiskatsaus
This filter generates a normal map from a
height map. It's early initial work and a lot more
is expected to be done.
We will use a height map created with
Kohta 14.8, ”Simplex Noise”:
Kuva 17.185. Normal Map Example
The height map
Filter applied with default options, giving the Normal Map
Huomaa"""
PIECES = st.lists(
    st.sampled_from([FI, EN, SV, ET, "", "The end of the world", "Huomaa", "git clone --depth 1", "ja", "the of and"]),
    max_size=8,
).map("\n".join)
MANY = st.lists(PIECES | ANY, min_size=1, max_size=5)


def plain(text: str) -> str:
    return " ".join(text.split())


def test_lines_by_detectors() -> None:
    assert judge([FI, EN, SV, ET], "fi") == [True, False, False, False]
    assert judge([FI, EN, SV], "en") == [False, True, False]
    assert judge(["git clone --depth 1", "svc.GetContext(): uno", "Open", ""], "fi") == [None, None, None, None]


def test_prose_and_titles() -> None:
    assert is_prose(FI) and is_prose(f"       {EN}")
    assert not is_prose("Open the file menu")
    assert not is_prose('oMenu.AddItem("Item B", script="vnd.sun.star:my.py$item_b?language=Python")')
    assert not is_prose("[-a|--debug-syms] [-B|--format=bsd] [-C|--demangle[=style]]")
    assert is_title("The Golden Age of Grotesque") and not is_title(EN) and not is_title("What Is It For?")


def test_function_words_by_line() -> None:
    counted = texts([f"{FI}\n\nthe of", "Tämä", ""]).function_words
    fi, en = LANGUAGES.index("fi"), LANGUAGES.index("en")
    assert counted.bounds.tolist() == [0, 3, 4, 5]
    assert counted.function_words[:, [fi, en]].tolist() == [[5, 0], [0, 0], [0, 2], [1, 0], [0, 0]]
    assert counted.words.tolist() == [14, 0, 2, 1, 0] and counted.accented.tolist() == [0, 0, 0, 1, 0]
    assert counted.by_text().function_words[:, [fi, en]].tolist() == [[5, 2], [1, 0], [0, 0]]
    own, best = counted.opinions("xx")
    assert own.tolist() == [0] * 5 and best.tolist()[2] == 2
    assert texts(["The end of the päivä", "Se on päivä"]).function_words.not_english().tolist() == [1, 0]


@quick
@given(words=st.lists(st.sampled_from(sorted(" ".join(FUNCTION_WORDS.values()).split())), max_size=30))
def test_function_words_are_all_counted(words: list[str]) -> None:
    counted = count_function_words(texts([" ".join(words)]).letters).function_words[0]
    expected = [sum(word in FUNCTION_WORDS[language].split() for word in words) for language in LANGUAGES]
    assert counted.tolist() == expected


def test_foreign_lines_are_cut_and_short_ones_and_names_stay() -> None:
    def lines(*given: str) -> tuple[list[str], float]:
        text, removed, share = split_lines(texts(["\n".join(given)]))[0]
        left = text.split("\n")
        assert removed == len(given) - len(left)
        return left, share

    assert lines("Otsikko", FI, EN, "", "Open", FI) == (
        ["Otsikko", FI, "", "Open", FI],
        pytest.approx(2 * len(FI) / (2 * len(FI) + len(EN))),
    )
    for line in (
        "The High End of Low on Marilyn Mansonin vuonna 2009 julkaistu kahdeksas studioalbumi.",
        "The Golden Age of Grotesque",
        "Valitse puussa ArchiveFile name(FileName) ja sitten OK.",
        "It was worth it!",
        "terve, kuu, terve, kuningas,",
        'SELECT name FROM table WHERE id IN ("a", "b") AND this IS NOT NULL',
    ):
        assert lines(FI, line, FI)[0] == [FI, line, FI]
    assert split_lines(texts(["", "a b c\n---", FI])) == [("", 0, 1.0), ("a b c\n---", 0, 1.0), (FI, 0, 1.0)]


def test_wrapped_lines_are_judged_together_and_headings_stay() -> None:
    text, removed, share = split_lines(texts([WRAPPED]))[0]
    assert removed == 6 and share == 0
    assert [line for line in WRAPPED.split("\n") if line not in text.split("\n")] == [
        *("This filter generates a normal map from a", "height map. It's early initial work and a lot more"),
        *("is expected to be done.", "We will use a height map created with"),
        *("The height map", "Filter applied with default options, giving the Normal Map"),
    ]


@pytest.mark.parametrize(("body", "removed"), [([FI] * 3 + [EN], False), ([FI, FI, EN], True), ([EN] * 4, True)])
def test_share_of_the_declared_language(body: list[str], removed: bool) -> None:
    after, _ = edit(documents(["\n".join(["Otsikko", *body])], "fi"), Profile(steps=(ForeignLines(),)))
    assert MixedLanguage(at_least=0.7).fails(after).tolist() == [removed]
    assert fails(MixedLanguage(at_least=0.7), EN, language="fi") == [False]


@pytest.mark.parametrize("name", list(TEXTS))
def test_documents_in_another_language_go(name: str) -> None:
    text = plain(TEXTS[name])
    own = DECLARED.get(name, name)
    test = DocumentLanguage(at_least=0.8)
    assert fails(test, text, language="fi") == [own != "fi"]
    assert fails(test, text, language="sv") == [name != "sv"]
    assert fails(test, text, language="en") == [name != "en"]


def test_a_language_that_no_detector_knows_is_told_by_what_it_is_not() -> None:
    karelian, sami = (
        plain(TEXTS["krl"]),
        "Sámegielat gullet uralalaš gielaide ja daid hállet Norggas, Ruoŧas, Suomas ja Ruoššas.",
    )
    test = DocumentLanguage(at_least=0.8)
    assert fails(test, karelian, plain(TEXTS["en"]), plain(TEXTS["fi"]), language="krl") == [False, True, True]
    assert fails(test, sami, plain(TEXTS["en"]), language="se") == [False, True]
    assert edited(ForeignLines(), f"{sami}\n{EN}", language="smn") == sami
    assert edited(ForeignLines(), f"{karelian}\n{EN}", language="krl") == karelian
    assert fails(FunctionWords(at_least=0.02), sami, language="smn") == [False]


def test_a_text_with_quotations_stays_and_one_of_two_languages_goes() -> None:
    """English has more function words than Finnish, so that a few quotations can outweigh the text around them."""
    quoting = plain(
        """Johtaja Linda Evans muisteli ensimmäistä päiväänsä yhtiössä: "I had no idea what I was doing, and nobody told me." Hän
        nauroi ja jatkoi suomeksi, että ohjeet tulivat vasta kolmannella viikolla. Yhtiön tunnuslause "Move slowly and fix
        things" syntyi samana syksynä. Evansin mukaan suomalaiset työkaverit opettivat hänelle hiljaisuutta. "Silence is not a
        problem to be solved", hän sanoo. Nykyään hän asuu Tampereella ja harrastaa avantouintia."""
    )
    counted = texts([quoting]).function_words.by_text().opinions("fi")
    assert counted[1][0] > counted[0][0]
    assert fails(DocumentLanguage(at_least=0.8), quoting, f"{FI} {EN} {EN} {FI} {EN}", language="fi") == [False, True]


def test_few_function_words() -> None:
    names = " ".join(f"Christian{end}" for end in ("like", "ly", "ness", "ize", "ism", "ity", "dom") * 4)
    found = fails(FunctionWords(at_least=0.02), names, names[:40], *map(plain, TEXTS.values()), language="fi")
    assert found[:2] == [True, False]
    assert dict(zip(TEXTS, found[2:], strict=True)) == {name: name in ("en", "hu", "sv", "no", "da") for name in TEXTS}


@quick
@given(strings=MANY)
def test_any_text(strings: list[str]) -> None:
    once = edited(ForeignLines(), *strings, "")
    assert edited(ForeignLines(), *once) == once
    assert once == [edited(ForeignLines(), text) for text in [*strings, ""]]
    for language in ("fi", "smn"):
        for test in (DocumentLanguage(at_least=0.8), FunctionWords(at_least=0.02, words=3)):
            assert judged_alone(test, strings, language)
    made = ForeignLines().apply(texts(strings))
    assert ((made.facts[DECLARED_SHARE] >= 0) & (made.facts[DECLARED_SHARE] <= 1)).all()


@pytest.mark.skipif(SHARED is None, reason="TOKKA_SHARED names no folder with real corpora")
@pytest.mark.parametrize(
    "corpus", ["fi/msdocs_fi", "fi/kalevala_fi", "fi/turku_ner_fi", "en/gutenberg_en", "en/msdocs_en"]
)
def test_real_text_stays(corpus: str) -> None:
    language = corpus[:2]
    with gzip.open(Path(str(SHARED)) / f"{corpus}.jsonl.gz", "rt", encoding="utf-8") as lines:
        real = [json.loads(line)["text"] for line in lines][::4]
    made = ForeignLines().apply(texts(real, language))
    assert (made.counts["lines_removed"] > 0).mean() <= 0.02
    assert (made.facts[DECLARED_SHARE] < 0.75).mean() <= 0.01
    for test in (DocumentLanguage(at_least=0.8), FunctionWords(at_least=0.02)):
        assert fails(test, *real, language=language).count(True) <= 0.01 * len(real)
