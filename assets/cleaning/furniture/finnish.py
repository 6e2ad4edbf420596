"""What web pages in Finnish write around their text; notation and weights are told in the package."""

CERTAIN = """
(siirry|hyppää|mene) [suoraan] (sisältöön|pääsisältöön|sivun sisältöön|sivun pääsisältöön|navigaatioon|navigointiin|
    alatunnisteeseen|sivupalkkiin|päävalikkoon)
ohita (valikko|päävalikko|navigaatio|navigointi|linkit|mainos)
(takaisin|palaa|siirry|palaa takaisin) (ylös|sivun alkuun|sivun ylälaitaan|sivun yläosaan|sivun yläreunaan)
(takaisin|palaa) (etusivulle|uutisiin|listaukseen|uutislistaukseen|hakutuloksiin|blogiin|verkkokauppaan)
jaa [tämä] [sivu|artikkeli|juttu|uutinen|julkaisu|kirjoitus|tuote|linkki] (facebookissa|facebookiin|twitterissä|
    twitteriin|x ssä|x palvelussa|linkedinissä|linkediniin|whatsappissa|whatsappilla|pinterestissä|instagramissa|
    telegramissa|blueskyssa|redditissä|messengerissä|sähköpostilla|sähköpostitse|somessa|sosiaalisessa mediassa)
(jaa|lähetä|kerro|suosittele) [tämä|tästä] [sivu|sivusta|artikkeli|artikkelista|juttu|linkki|tuote|tuotteesta|tuotetta]
    (kaverille|kaverillesi|kavereille|ystävälle|ystävällesi|ystävillesi)
jaa tämä (sivu|artikkeli|juttu|uutinen|julkaisu|kirjoitus|tuote|ilmoitus)
(tykkää|tykkää meistä|tykkää tästä|löydä meidät|olemme) facebookissa
seuraa (meitä|minua|sivua|blogia|blogiani) [myös] (facebookissa|twitterissä|instagramissa|linkedinissä|youtubessa|
    tiktokissa|pinterestissä|x ssä|snapchatissa|somessa|sosiaalisessa mediassa|blueskyssa|bloglovinissa|bloglovin avulla)
(löydät|löydä) meidät [myös] (facebookista|twitteristä|instagramista|linkedinistä|youtubesta|somesta|
    sosiaalisesta mediasta)
lue koko (artikkeli|juttu|uutinen|kirjoitus|postaus|tarina|ilmoitus)
(hyväksy|salli|hyväksyn|sallin|hylkää|kiellä|estä|torju) [kaikki|vain|valitut|valinnaiset|muut]
    [välttämättömät|tarpeelliset|toiminnalliset|pakolliset] (evästeet|keksit)
(hyväksy|salli|hyväksyn|sallin) vain (välttämättömät|tarpeelliset|pakolliset)
(vain|ainoastaan) (välttämättömät|tarpeelliset|pakolliset) evästeet
(muuta|muokkaa|hallitse|hallinnoi|tarkista) [omia|evästeiden] (evästeasetuksia|evästevalintoja|evästeitä|suostumuksia)
kaikki oikeudet pidätetään
(ostoskorisi|ostoskori) on [tällä hetkellä|vielä] tyhjä | ostoskorissasi ei ole tuotteita | tuotetta ostoskorissa
(tilaa|liity) [maksuton|ilmainen] (uutiskirjeemme|uutiskirjelistalle|uutiskirjeemme tilaajaksi|postituslistallemme)
(kommentointi|kommentit) (on|ovat) (suljettu|suljettu tältä artikkelilta|pois päältä)
kirjaudu [sisään] kommentoidaksesi
(sinun täytyy|sinun pitää) [olla] (kirjautua|kirjautunut) [sisään] kommentoidaksesi
(ilmoita|raportoi) (asiaton|asiattomasta) (viesti|viestistä|kommentti|kommentista|sisältö|sisällöstä)
ilmoita virheestä sivulla | ilmoita sivulla olevasta virheestä
tulostettava versio | tulostusystävällinen [versio|sivu]
(hae|etsi) (sivustolta|sivuilta|sivustosta|verkkokaupasta|tästä blogista|blogista|sivuston sisällöstä)
(oliko|onko) (tämä|tästä) (sivu|sivusta|tieto|artikkeli|artikkelista|tiedosta) [sinulle] (hyödyllinen|hyötyä|apua)
löysitkö (etsimäsi|mitä etsit|etsimäsi tiedon|etsimäsi tiedot)
(aiemmat|uudemmat|vanhemmat) (artikkelit|kirjoitukset|postaukset|tekstit|julkaisut|uutiset)
(uudempi|vanhempi) (teksti|artikkeli|kirjoitus|postaus|julkaisu|blogiteksti)
tilaa (blogitekstit|lähetä kommentteja atom)
lähetä tämä sähköpostitse
kiinnostaisiko myös | saattaisit pitää myös | suosittelemme myös | muut ostivat myös | muut katselivat myös
(juttu|artikkeli|teksti) jatkuu (mainoksen|kuvan|videon) (jälkeen|alla) | mainos (alkaa|päättyy) | lukuaika min
[kaikki] pakolliset kentät on merkitty tähdellä
"""

LIKELY = """
kirjaudu | kirjaudu sisään | sisäänkirjautuminen | kirjautuminen | kirjaudu ulos | rekisteröidy | rekisteröityminen |
    luo tili | luo tunnus | luo käyttäjätili | luo uusi tili | oma tili | omat tiedot | unohditko salasanasi |
    unohtuiko salasana | salasana unohtunut | muista minut | liity jäseneksi | rekisteröidy käyttäjäksi |
    unohditko salasanan | salasana unohtui | vaihda salasana | käyttäjätunnus tai sähköposti |
    etkö ole vielä jäsen | eikö sinulla ole vielä tiliä | uusi käyttäjä | kirjaudu tai rekisteröidy
lue lisää | lue myös | lue lisää täältä | lue lisää aiheesta | näytä lisää | näytä kaikki | näytä vähemmän |
    katso kaikki | katso lisää | katso myös nämä | lataa lisää | näytä enemmän | lisätietoja täältä | lue seuraavaksi |
    tutustu myös | avaa koko teksti | jatka lukemista | kaikki uutiset | näytä kaikki uutiset | lisää uutisia |
    katso kaikki tuotteet | näytä kaikki tuotteet | aiheeseen liittyvää | lue koko teksti
ota yhteyttä | ota yhteyttä meihin | yhteystiedot | yhteystietomme | yhteydenotto | yhteydenottolomake |
    yhteydenottopyyntö | ota meihin yhteyttä | jätä yhteydenottopyyntö | soita meille
tietosuojaseloste | tietosuojaselosteet | tietosuoja | tietosuojakäytäntö | tietosuojaehdot | tietosuojalauseke |
    rekisteriseloste | rekisteri ja tietosuojaseloste | yksityisyydensuoja | yksityisyys | yksityisyyskäytäntö |
    tietosuoja ja evästeet | evästeet | evästeet ja tietosuoja | evästeasetukset | evästeseloste | evästekäytäntö |
    tietoa evästeistä | tietoja evästeistä | hyväksy kaikki | hyväksy valitut | hylkää kaikki | salli kaikki |
    salli valitut | estä kaikki | vain välttämättömät | muokkaa asetuksia | evästekäytännöt | evästeilmoitus |
    evästeiden hallinta | evästeiden käyttö | evästevalinnat | evästesuostumus
käyttöehdot | palvelun ehdot | sopimusehdot | toimitusehdot | tilausehdot | yleiset ehdot | maksu ja toimitusehdot |
    verkkokaupan ehdot | palautusehdot | toimitus ja maksuehdot | vastuuvapauslauseke | tekijänoikeudet | säännöt |
    maksutavat | toimitustavat | maksu ja toimitustavat | säännöt ja ehdot | kommentoinnin säännöt
seuraa meitä | seuraa | seuraa aihetta | kuuntele juttu | sosiaalinen media | facebookissa | instagramissa |
    tykkää | jaa | jaa artikkeli | jaa sivu | jaa juttu | twiittaa | twiittaa tämä
tilaa uutiskirje | uutiskirje | tilaa blogi | tilaa rss | tilaa rss syöte | rss syöte | rss | tilaa |
    tilaa uutiskirje ja pysy ajan tasalla | osta tilaus | sähköpostiosoite | sähköpostiosoitteesi |
    liity postituslistalle | tilaa lehti | tilaajalle
ostoskori | ostoskorisi | ostoskoriin | lisää ostoskoriin | siirry ostoskoriin | kassa | kassalle | siirry kassalle |
    siirry verkkokauppaan | siirry kauppaan | jatka ostoksia | toivelista | lisää toivelistalle | suosikit |
    lisää suosikkeihin | vertaile | vertaa tuotteita
kommentit | kommenttia | kommentti | kommentoi | ei kommentteja | vastaa | vastauksia | lähetä kommentti |
    jätä kommentti | jätä vastaus | peruuta vastaus | kirjoita kommentti | näytä kommentit | lue kommentit |
    lisää kommentti | kommentointi | aloita keskustelu | kirjaudu ja kommentoi | ole ensimmäinen kommentoija
anna palautetta | anna palautetta sivusta | anna palautetta sivustosta | palaute | lähetä palautetta | palautelomake
sivukartta | saavutettavuus | saavutettavuusseloste | mediatiedot | medialle | mainosta | mainostajalle |
    sponsoroitu | sponsoroitu sisältö | yhteystiedot ja laskutus | laskutustiedot | sähköinen asiointi |
    ilmoittajalle | mainos | ilmoitus | mainokset | kaupallinen yhteistyö
usein kysyttyä | usein kysytyt kysymykset | ukk | asiakaspalvelu | avoimet työpaikat | tietoa meistä |
    tietoa sivustosta | meistä | yritysesittely | yhteistyökumppanit | jälleenmyyjät | tietoa yrityksestä
luetuimmat | luetuimmat jutut | suosituimmat | suosituimmat artikkelit | uusimmat uutiset | tuoreimmat |
    uusimmat artikkelit | viimeisimmät artikkelit | viimeisimmät kommentit | uusimmat kommentit |
    aiheeseen liittyvät artikkelit | samankaltaisia tuotteita | vastaavia tuotteita | samankaltaisia artikkeleita
valitse kieli | vaihda kieli | kielivalinta | suomeksi
tulosta sivu | tulosta tämä sivu | tulosta artikkeli | tallenna artikkeli | kopioi linkki | linkki kopioitu |
    lähetä sähköpostilla | avaa kartta | näytä kartalla | lataa sovellus | lataa pdf | avaa pdf | muokkaa sivua |
    muokkaa wikitekstiä | näytä sivun lähdekoodi
takaisin | ylös | alkuun | sivun alkuun | sivun ylälaitaan
etusivu | etusivulle | kotisivu | pääsivu | aloitussivu
päävalikko | sivuvalikko | alavalikko | päänavigaatio | navigaatio | murupolku | mobiilivalikko | alatunniste |
    avaa valikko | sulje valikko | avaa päävalikko | avaa haku | sulje haku | piilota valikko | siirry hakuun
hae sivuilta | hakusana | hakusanat | kirjoita hakusana | hakukenttä | hakutulokset | mitä etsit
olet tässä | olet täällä | seuraava artikkeli | edellinen artikkeli | seuraava kirjoitus | edellinen kirjoitus
hyväksyn | hyväksyn evästeet | hallinnoi palveluita | hallinnoi toimittajia | sulje ilmoitus | näytä tiedot |
    tallenna valinnat | tallenna asetukset | mukauta valintoja | välttämättömät evästeet | näytä evästeet
lainaa | lainaa viestiä | näytä viestit | ilmoita asiaton viesti | merkitse luetuksi | uusi aihe | viestejä |
    liittynyt | viesti ylläpidolle | siirry sivulle
rajaa hakua | lajittele | tyhjennä valinnat | kirjoita arvostelu | toimitusaika | sis alv | varastossa |
    varasto loppu | uusimmat | suosittele | tykkäykset | jaa tuote
y tunnus | oikeutettu etu | oikeutetut edut | kumppanit | lisää vaihtoehtoja | luettelo kumppaneista
"""

POSSIBLE = """
edellinen | seuraava | ensimmäinen | viimeinen | sivu | sivut | lisää | sulje | avaa | valikko | haku | hae | etsi |
    tulosta | muokkaa | hyväksy | pdf | siirry | lähetä | peruuta | näytä valikko | seuraava sivu | edellinen sivu |
    ensimmäinen sivu | viimeinen sivu
uutiset | ajankohtaista | blogi | tapahtumat | tapahtumakalenteri | kalenteri | galleria | kuvagalleria | kuvat |
    videot | vieraskirja | linkit | arkisto | historia | ohjeet | ohje | tuki | lehti | kilpailut | foorumi |
    keskustelu | keskustelut | keskustelupalsta | asiointi | podcast | podcastit | ajankohtaiset
tuotteet | palvelut | palvelumme | hinnasto | hinnat | referenssit | verkkokauppa | kauppa | myymälät | toimipisteet |
    aukioloajat | tarjoukset | kampanjat | uutuudet | merkit | tuotemerkit | lahjakortit | ajanvaraus | varaa aika |
    varaukset
yritys | yhtiö | organisaatio | hallitus | henkilöstö | henkilökunta | media | ura | rekrytointi | töihin meille |
    sijoittajat | vastuullisuus | jäsenet | jäsenyys | toiminta | yhdistys | seura | esittely | info | yhteystieto
politiikka | talous | kotimaa | ulkomaat | urheilu | kulttuuri | viihde | sää | mielipide | mielipiteet | pääkirjoitus |
    kolumnit | terveys | tiede | tekniikka | autot | ruoka | matkailu | näköislehti | digilehti
suomi | svenska | english | eesti | deutsch | français | español | русский | norsk | dansk | sámegiella | fi | sv | en |
    se | et | de | ru | fin | swe | eng
facebook | twitter | instagram | linkedin | youtube | pinterest | tiktok | whatsapp | bloglovin | snapchat | bluesky |
    sähköposti
välttämättömät | toiminnalliset | tilastolliset | tilastointi | markkinointi | mainonta | mieltymykset | analytiikka |
    suorituskyky
tagit | avainsanat | aihetunnisteet | asiasanat | kategoriat | tunnisteet | aiheet | kirjoittaja
"""

NOTICES = """
(käytämme|hyödynnämme) … (evästeitä|keksejä|cookieita|eväste tiedostoja) …
(tämä|tällä) (sivusto|verkkosivusto|sivustolla|verkkosivustolla|verkkopalvelu|verkkokauppa|sivu|blogi) …
    (evästeitä|evästeiden käyttöä|cookieita|keksejä) …
(sivusto|sivustomme|verkkosivustomme|sivumme|verkkokauppamme|verkkopalvelumme|verkkosivumme)
    (käyttää|käyttävät|hyödyntää) … (evästeitä|keksejä|cookieita) …
(sivustolla|sivustollamme|verkkosivuillamme|sivuillamme|verkkokaupassamme|palvelussamme)
    (käytetään|käytämme|on käytössä) … (evästeitä|evästeet|keksejä|cookieita) …
(jatkamalla|käyttämällä|selaamalla) (sivuston|sivustomme|sivustoa|sivustoamme|sivujen|sivujemme|palvelun|palvelua|
    verkkosivuston|verkkokaupan|tämän|tätä) … (hyväksyt|hyväksytte|suostut|annat) …
hyväksyt evästeiden käytön …
(me|me ja kumppanimme|me ja kumppaniamme|kumppanimme ja me) … (tallennamme|käytämme) … (laitteellasi|laitteellesi|laitteen) …
arvostamme yksityisyyttäsi … | yksityisyytesi on meille tärkeää …
voit (hyväksyä tai hallita valintojasi|hyväksyä tai muuttaa valintojasi|peruuttaa suostumuksesi milloin tahansa) …
valintasi ilmoitetaan kumppaneillemme …
evästeiden avulla (parannamme|voimme|tarjoamme|kehitämme) …
evästeet auttavat meitä …
(sivuston|sivut|verkkosivut|kotisivut) (toteutti|toteuttanut|toteutus) …
tämä (kirjoitus|artikkeli|teksti|merkintä) on julkaistu (kategoriassa|avainsanoilla) …
lue lisää (evästeistä|evästekäytännöstämme|evästeiden käytöstä|tietosuojaselosteesta|tietosuojaselosteestamme) …
lisätietoja (evästeistä|evästekäytännöstämme|evästeiden käytöstä) …
(ostoskorisi|ostoskori) on [tällä hetkellä|vielä] tyhjä
(kommentointi|kommentit) (on|ovat) (suljettu|suljettu tältä artikkelilta|pois päältä)
selaimesi ei tue (javascriptiä|upotettuja videoita|html videota|videota|tätä toimintoa|iframe kehyksiä) …
"""

MENTIONS = "eväste | cookie"
RIGHTS = "kaikki oikeudet pidätetään | kaikki oikeudet pidätetty"
HOME = "etusivu | olet tässä | olet täällä"
MAYBE_HOME = "koti | kotisivu"
CAPTIONS = "kuva | kuvio | taulukko | luku | osa | liite | kohta | esimerkki"
