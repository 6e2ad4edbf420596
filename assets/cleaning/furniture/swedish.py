"""What web pages in Swedish write around their text; notation and weights are told in the package."""

CERTAIN = """
(hoppa|gå|fortsätt) [direkt] till [sidans] (innehåll|innehållet|huvudinnehåll|huvudinnehållet|navigering|navigeringen|
    navigation|huvudmeny|huvudmenyn|sidfot|sidfoten)
hoppa över (menyn|navigering|navigeringen|navigation)
(tillbaka|upp|gå|åter) till (toppen|toppen av sidan|sidans topp|början av sidan|sidans början|startsidan)
dela [den här|denna|detta] [sidan|sida|artikel|artikeln|inlägg|inlägget|nyhet] (på|via|med) (facebook|twitter|x|linkedin|
    whatsapp|pinterest|instagram|reddit|bluesky|messenger|e post|mejl|mail|sociala medier|en vän|vänner)
dela (den här sidan|denna sida|artikeln|den här artikeln|inlägget)
tipsa (en vän|en kompis|redaktionen)
(följ|gilla|hitta) oss (på|i) (facebook|twitter|x|instagram|linkedin|youtube|tiktok|sociala medier)
läs hela (artikeln|inlägget|nyheten|berättelsen)
(acceptera|godkänn|tillåt|neka|avvisa|avböj) [alla|endast|bara|valda] [nödvändiga] (cookies|kakor)
(endast|bara) nödvändiga (cookies|kakor)
(hantera|ändra|anpassa) [dina|mina] (cookies|kakor|cookieinställningar|inställningar för kakor|inställningar för cookies)
(jag godkänner|jag accepterar) [cookies|kakor] | (okej|ok) jag förstår
alla rättigheter (förbehållna|reserverade)
(din|er) (varukorg|kundvagn|kundkorg) är tom | (varukorgen|kundvagnen|kundkorgen) är tom
(prenumerera|anmäl dig) (på|till) (vårt|våra|vår) (nyhetsbrev|nyhetsbrevet|blogg)
kommentarerna är (stängda|avstängda|inaktiverade)
logga in för att kommentera
(anmäl|rapportera) (missbruk|inlägget|kommentaren|fel på sidan|olämpligt innehåll)
utskriftsvänlig [version|sida]
sök på (webbplatsen|sajten|sidan|bloggen|webbsidan)
(hjälpte|var) (den här|denna) (sidan|informationen|sida|information) (dig|till hjälp|hjälpsam|användbar)
hittade du (det du sökte|det du letade efter|vad du sökte)
(nyare|äldre) (inlägg|artiklar|nyheter|kommentarer)
artikeln fortsätter efter (annonsen|bilden|videon)
du kanske också gillar | andra köpte också | andra har också köpt
"""

LIKELY = """
logga in | logga ut | inloggning | registrera | registrera dig | skapa konto | mitt konto | mina sidor |
    glömt lösenord | glömt lösenordet | glömt ditt lösenord | bli medlem | kom ihåg mig
läs mer | läs mera | visa mer | visa fler | visa alla | se alla | se mer | visa allt | ladda fler | läs också |
    läs även | mer information | klicka här
kontakt | kontakta oss | kontaktuppgifter | kontaktinformation | ta kontakt | kundtjänst | kundservice | hör av dig
integritetspolicy | integritet | dataskydd | dataskyddspolicy | personuppgifter | personuppgiftspolicy |
    behandling av personuppgifter | registerbeskrivning | dataskyddsbeskrivning | cookies | kakor | sekretess |
    sekretesspolicy | cookieinställningar | cookiepolicy | om cookies | om kakor | inställningar för kakor
användarvillkor | villkor | allmänna villkor | köpvillkor | leveransvillkor | användningsvillkor |
    ansvarsfriskrivning | upphovsrätt | regler och villkor | bruksvillkor
följ oss | följ | dela | gilla | dela sidan
nyhetsbrev | prenumerera | prenumerera på nyhetsbrevet | rss
varukorg | varukorgen | kundvagn | kundvagnen | kassa | till kassan | gå till kassan | önskelista | favoriter |
    jämför | lägg i varukorg | lägg i varukorgen | lägg i kundvagn | fortsätt handla | köp nu
kommentarer | kommentar | kommentera | svara | inga kommentarer | skriv en kommentar | lämna en kommentar |
    visa kommentarer
ge feedback | ge respons | respons | lämna synpunkter | synpunkter | webbkarta | webbplatskarta | tillgänglighet |
    tillgänglighetsredogörelse | tillgänglighetsutlåtande | annonsera | annons | annonser | press | pressrum |
    lediga jobb | jobba hos oss | om oss | om webbplatsen | vanliga frågor | frågor och svar | samarbetspartners |
    återförsäljare
mest lästa | mest läst | populärast | populäraste | senaste nytt | senaste nyheterna | senaste inläggen |
    senaste kommentarerna | arkiv | kategorier | taggar | relaterat | relaterade produkter | relaterade artiklar |
    liknande produkter
välj språk | byt språk | språk | på svenska | på finska | på engelska
skriv ut | skriv ut sidan | kopiera länk
tillbaka | upp | till toppen | till sidans topp | nästa sida | föregående sida
hem | startsida | startsidan | förstasidan | framsida | till startsidan | du är här
huvudmeny | huvudmenyn | sidmeny | huvudnavigering | navigering | sidfot | snabblänkar | öppna meny | stäng meny |
    öppna menyn | stäng menyn | visa meny
sökord | sökresultat | avancerad sökning | sök här
acceptera alla | godkänn alla | tillåt alla | avvisa alla | jag förstår | hantera samtycke
redigera | redigera sidan | visa källa
"""

POSSIBLE = """
nästa | föregående | första | sista | sida | mer | stäng | öppna | meny | sök | ladda ner | avbryt | skicka
nyheter | aktuellt | blogg | bloggen | evenemang | kalender | galleri | bilder | länkar | hjälp | forum | start
produkter | tjänster | våra tjänster | priser | butik | butiker | webbutik | öppettider | erbjudanden | kampanjer |
    varumärken | presentkort | referenser
företaget | organisation | styrelse | personal | medlemmar | medlemskap | föreningen | verksamhet | karriär | hållbarhet
politik | ekonomi | inrikes | utrikes | sport | kultur | nöje | väder | åsikter | ledare | hälsa | vetenskap
"""

NOTICES = """
(vi använder|vår webbplats använder|vår webbsida använder|vi och våra partner använder) … (cookies|kakor) …
(den här|denna) (webbplatsen|webbplats|sidan|sida|sajten|sajt|webbsidan|webbsida) använder … (cookies|kakor) …
(genom att|när du) (fortsätta|använda|surfa|klicka|fortsätter|använder|surfar) …
    (godkänner du|accepterar du|samtycker du|godkänner|accepterar) … (cookies|kakor|villkor|villkoren) …
på (webbplatsen|webbsidan|vår webbplats|våra sidor) används … (cookies|kakor) …
läs mer om (cookies|kakor|hur vi använder cookies|hur vi använder kakor|vår cookiepolicy) …
(din|er) (varukorg|kundvagn|kundkorg) är tom
din webbläsare (stöder|stödjer) inte …
"""

MENTIONS = "kakor | cookie"
RIGHTS = "alla rättigheter förbehållna | med ensamrätt"
HOME = "du är här"
MAYBE_HOME = "hem | start | startsida | startsidan"
CAPTIONS = "figur | bild | tabell | kapitel | del | bilaga | avsnitt"
