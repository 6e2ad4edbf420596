"""Function words: the frequent words by which a language is told from its neighbours, as a cheap opinion of its own.

60 MB/s, where detectors do 15 and 2, and surer about a line that has some. A word that several languages share stands with
each of them. Words of one letter tell nothing. Karelian (krl, with Livvi), Meänkieli and Kven (fit) have no detector at all;
their words here are what parts them from Finnish.
"""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from assets.cleaning.letters import LetterWords
from assets.words import TextBytes, Words

if TYPE_CHECKING:
    import numpy as np

FUNCTION_WORDS = {
    "fi": """
        ja on ei että se oli olla ovat joka jotka myös mutta kun kuin tai sekä niin jos hän hänen he heidän minä sinä minun me
        te tämä tämän nämä tässä tästä sen siitä siinä ne niiden mukaan sitä voi voit voidaan voivat olisi ollut eivät en
        ennen jälkeen kanssa vain vielä nyt mitä mikä missä kuka miten jossa josta jonka jota joita joiden jolla joilla kaikki
        koska vaikka eli sekä ilman kautta aina enemmän muun muita muut muiden esimerkiksi lisäksi valitse käyttää käytetään
        olemme olen olet onko emme ette ettei eikä itse jo siis sitten vuonna vuoden kuten joten jolloin silloin tällä tätä
        yli alle noin saa saada tulee tehdä tehty näin sillä siksi mukaisesti osa toinen ensin sinun sinut jokin jonkin ole
    """,
    "en": """
        the of and to in is that for with as are was it this by be from or an at which not you have has can if will your when
        their they its all may these been more other than into only but also there were would should who what about any how
        then them such so some does no we our he she his her out up do one use used using each must where most because between
        on while here after before both same through those my me him had could did being over under just like see
    """,
    "sv": """
        och att det som en på är av för med den till inte om ett har de han var sig från så kan när men vi jag eller där ska
        hon sin efter också mot under alla nu genom andra kunde skulle hade vid då upp vara ut bli blev mellan över sedan
        detta dessa denna man mycket bara utan här ni du din ditt dina oss dem deras hans hennes vad vilka vilken måste blir
        enligt både mer än finns inom hur även sitt sina mest flera någon något några inga ingen ur samt
    """,
    "da": """
        og det at en den til er som på de med han af for ikke der var mig sig men et har om vi min havde ham hun nu over da fra
        du ud sin dem os op man hans hvor eller hvad skal selv her alle vil blev kunne ind når være dog noget ville jo deres
        efter ned skulle denne end dette mit også under have dig anden hende mine alt meget sit sine vor mod disse hvis din
        nogle hos blive mange ad bliver hendes været thi jer sådan mellem kan
    """,
    "no": """
        og det på som en et den til er av for at var de med han om ikke ble fra har seg men vi jeg eller hun der også etter
        skal kan ved så da ut når være da mot over alle nå blir opp inn før mellom disse andre under mye hvor hva hvis sin sitt
        sine deres hans hennes meg deg oss dem noe noen mange mer enn dette denne skulle kunne ville hadde blitt vært bare
        gjennom uten her ikkje eg ein eit dei frå vart korleis kva
    """,
    "de": """
        und der die das den dem des ein eine einer einen einem ist sind war nicht mit von zu auf für sich im auch als es an
        werden wird aus er sie wir ich hat dass bei oder nach wie um am noch nur über so einem haben wurde kann durch wenn
        mehr unter sein seine ihre aber vor zur zum bis man sehr dieser diese dieses sowie können
    """,
    "nl": """
        de het een en van in is dat op te voor met niet zijn aan er om ook als die bij of uit maar door naar dan nog wordt
        worden werd heeft hebben was over kan kunnen deze dit geen hij zij ze wij je hun haar tot meer na zich al zoals onder
        tussen omdat waar wat wel moet
    """,
    "fr": """
        le la les de des du et en un une est que qui dans pour pas sur au aux avec ce il par ne se plus son sont ou sa cette
        ses mais comme nous vous elle ont été être leur ces fait même si tout aussi peut entre deux après sans dont ils où
        très était
    """,
    "es": """
        de la que el en los del se las por un para con no una su al lo como más pero sus le ya este sí porque esta entre
        cuando muy sin sobre también me hasta hay donde quien desde todo nos durante todos uno les ni contra otros ese eso
        ante ellos esto antes algunos qué unos otro otras fue ser está son era
    """,
    "it": """
        di il la che in un per una sono con non del si da le dei nel lo della come al gli alla più ha ma delle anche
        questo questa su nella degli dal essere stato tra ai dalla quando suo sua molto dopo così loro stata
    """,
    "pt": """
        de que do da em um para com não uma os no se na por mais as dos como mas foi ao ele das tem seu sua ou ser
        quando muito há nos já está eu também só pelo pela até isso ela entre era depois sem mesmo aos ter seus
    """,
    "et": """
        ja on ei et see ta ka kui oli mis ning või selle oma aga kes nad tema ma mida seda sest olnud nende pärast välja veel
        siis üle kõik ainult nii välja juba väga peale vahel mitte kus ole olid sellest kuid enne aasta aastal pole tuleb peab
        saab võib olla nagu eest järel juures kuni lisaks meie teie ühe üks mille millest kellel kelle nüüd ise selles
    """,
    "hu": """
        az és hogy nem is egy meg ez van volt csak de ha már még el ki mint vagy ezt azt amely aki ami lesz lehet kell után
        között minden sem ezek azok annak ennek szerint során által olyan így itt ott most pedig majd több nagy első két fel
        volna voltak ezért mert valamint illetve számára
    """,
    "lv": """
        un ir kas par no ar uz lai bet arī kā tika vai ka pēc tas nav bija to šī šis viņa viņš viņi tā būt tiek vēl līdz pie
        gada gadā ja savu kad starp kurā kuras var
    """,
    "lt": """
        ir yra kad iš su buvo bei kaip tai apie už po nuo iki jis ji jie taip pat ar bet dėl šis ši prie per kurie kuris
        kuri metų metais jo jos jų savo gali būti tik dar
    """,
    "pl": """
        na do się nie że jest to jak za od po przez ale dla tego tym był była było oraz który która które ich jego jej
        są może być tylko już tak też przed lub także roku lat
    """,
    "krl": """
        da on ei se oli ku gu kudai kudamat kai häi hiän heijän hyö myö työ mie šie še šen šitä šiitä täššä täs sit sidä kui dai
        vai nygöi muga mugai moine moizet enämbi jälles ielleh kaikis ollah oldih pidäy roih eigu puoles ta jotta kun ois kielen
        karjalan livvin šuomen vuotena vuodennu vuvvennu omas kuin missä niin
    """,
    "fit": """
        ja oon oli ei se ette ko net niitten niile hään met meän tet teän het heän mie sie kans jokka joka jos eli niin mutta
        olema olemma olleet jälkhiin siittä tästä niinku kuiten ommaa sitte sielä täälä ennen kaikkia mitä heiđän meiđän teiđän
        kainun saahaan tehhään sanothaan käythään
    """,
}
"""Lower case, by the code of their language (ISO 639)."""

LANGUAGES = tuple(FUNCTION_WORDS)


@dataclass(frozen=True)
class Counted:
    """What was counted in the lines (parted by "\\n") of some texts, one text behind the other; text i has the lines
    ``bounds[i]`` to ``bounds[i + 1]``. ``function_words``: int64 [lines, languages], in the order of ``LANGUAGES``;
    ``words``, and ``accented`` words, which have a letter beyond ASCII: int64 [lines].
    """

    function_words: "np.ndarray"
    words: "np.ndarray"
    accented: "np.ndarray"
    bounds: "np.ndarray"

    def opinions(self, declared: str) -> "tuple[np.ndarray, np.ndarray]":
        """By line, the function words of the declared language, and of the other one that has most: int64 [lines].

        A language that is not in ``LANGUAGES`` has none.
        """
        import numpy as np

        if declared not in LANGUAGES:
            return np.zeros(len(self.function_words), np.int64), self.function_words.max(axis=1)
        place = LANGUAGES.index(declared)
        return self.function_words[:, place], np.delete(self.function_words, place, axis=1).max(axis=1)

    def not_english(self) -> "np.ndarray":
        """By line, the words that speak against English where it has the most function words: int64 [lines]."""
        import numpy as np

        english = self.function_words[:, LANGUAGES.index("en")]
        return np.where(english == self.function_words.max(axis=1), self.accented, 0)

    def by_text(self) -> "Counted":
        """The same with each text as one line."""
        import numpy as np

        first = self.bounds[:-1]
        words, accented = np.add.reduceat(self.words, first), np.add.reduceat(self.accented, first)
        return Counted(np.add.reduceat(self.function_words, first, axis=0), words, accented, np.arange(len(first) + 1))


def count_function_words(texts: LetterWords) -> Counted:
    """Count in texts."""
    import numpy as np

    letters, words, hashes = texts.letters, texts.words, texts.hashes
    ends = np.flatnonzero(letters.data == ord("\n"))
    bounds = np.searchsorted(ends, letters.bounds) + np.arange(len(texts) + 1)
    line = np.searchsorted(ends, words.starts) + texts.text
    lines = int(bounds[-1])
    beyond = np.concatenate([[0], np.cumsum(letters.data >= 0x80)])
    accented = beyond[words.ends] > beyond[words.starts]
    known, languages, buckets = _table()
    maybe = np.flatnonzero(buckets[hashes & np.uint64(0xFFFF)])
    entry = np.minimum(np.searchsorted(known, hashes[maybe]), len(known) - 1)
    right = known[entry] == hashes[maybe]
    found, languages = line[maybe[right]], languages[entry[right]]
    counts = np.stack([np.bincount(found[of], minlength=lines) for of in languages.T], axis=1)
    return Counted(counts, np.bincount(line, minlength=lines), np.bincount(line[accented], minlength=lines), bounds)


@cache
def _table() -> "tuple[np.ndarray, np.ndarray, np.ndarray]":
    """The hashes of all function words (uint64, sorted), which languages have each (bool [words, languages]), and by the
    lowest 16 bits of a hash whether a word has it (bool [65536]).
    """
    import numpy as np

    of = {language: frozenset(words.split()) for language, words in FUNCTION_WORDS.items()}
    every = sorted(frozenset().union(*of.values()))
    hashes = Words.of(TextBytes.of_strings(every)).hashes
    languages = np.array([[word in of[language] for language in LANGUAGES] for word in every])
    order = np.argsort(hashes)
    buckets = np.zeros(1 << 16, bool)
    buckets[hashes & np.uint64(0xFFFF)] = True
    return hashes[order], languages[order], buckets
