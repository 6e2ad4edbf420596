"""What web pages in English write around their text; notation and weights are told in the package."""

CERTAIN = """
(skip|jump) [directly] to [the] [main|page] (content|navigation|menu|search|footer|sidebar)
skip (navigation|navigation links|ad|advertisement)
(back|return|scroll) to [the] top [of page|of the page]
(back|return|go back) to (homepage|home page|the homepage|news|blog|search results)
share [this] [page|article|post|story|product|link|via|with] (on|to|via|with|by) (facebook|twitter|x|linkedin|whatsapp|
    pinterest|instagram|reddit|telegram|bluesky|tumblr|mastodon|messenger|email|social media|your friends)
(share|email|print|tweet|pin|bookmark) this (page|article|post|story)
(email|send|recommend) [this] [to|page to|article to|link to] a friend
(click|tap) to share [on] [facebook|twitter|x|linkedin|whatsapp|reddit|pinterest] [opens in new window]
(follow|find|like|join|connect with) us on (facebook|twitter|x|instagram|linkedin|youtube|tiktok|pinterest|social media|
    bluesky)
(read|view|see|show) [the] (full|whole|entire) (article|story|post)
(accept|allow|reject|decline|deny|refuse) [all|only|selected|optional|additional|non essential]
    [necessary|essential|required] cookies
(only|accept only|use only|allow) (necessary|essential|strictly necessary) cookies [only]
(manage|change|customise|customize|edit|update) [my|your|all] (cookies|cookie settings|cookie preferences|
    consent preferences|privacy preferences)
(accept and close|accept and continue|agree and close|agree and proceed|ok i understand|ok got it)
all rights reserved
your [shopping] (cart|basket|bag) is [currently] empty
(view|go to|proceed to) [your] (basket|checkout)
(sign up|subscribe|register) (for|to) [our|the] [free|weekly|daily|monthly|email] (newsletter|newsletters|mailing list)
get [the|our] [latest|free] newsletter [by email|in your inbox]
comments are (closed|off|disabled)
no comments yet | be the first to comment
(log in|login|sign in|you must be logged in) (to|or register to) (comment|post a comment|post comments|leave a comment|
    reply)
(report|flag) this (ad|abuse|comment|post|page)
report (a|an) [documentation] (bug|error|issue|problem|broken link) (in|with|on) (this page|this site|the documentation)
report a (documentation error|documentation bug|translation error)
(printer friendly|printable) (version|page)
was this (page|article|information|content|answer) (helpful|useful) [to you] [yes] [no]
did you find what you (were looking|are looking) for
(edit|improve) this page [on github]
(newer|older) (posts|entries|articles|stories|comments)
like this like loading
advertisement continue reading below | (story|article) continues below [advertisement]
(you may|you might) also (like|be interested in|enjoy)
(customers|people) who (bought this|viewed this|bought this item) also (bought|viewed|liked)
[proudly] powered by (wordpress|drupal|joomla|blogger|shopify|wix|squarespace|mediawiki|phpbb|disqus|vbulletin)
"""

LIKELY = """
log in | login | log out | logout | sign in | sign out | signin | sign up | signup | register | create account |
    create an account | my account | your account | forgot password | forgot your password | lost your password |
    remember me | join now | not a member yet | new user | already a member | log in or register | log in here |
    keep me signed in | sign in or register | register or log in | log in or sign up
read more | show more | view more | see more | load more | learn more | more info | more information | view all |
    show all | see all | show less | read less | find out more | click here | click here to read more | more details |
    read next | read also | continue reading
contact | contact us | contact info | contact information | get in touch | contact details | customer service |
    customer support | help center | help centre
privacy | privacy policy | privacy notice | privacy statement | cookies | privacy and cookies | data protection |
    do not sell my personal information | do not sell or share my personal information | your privacy choices |
    cookie settings | cookie policy | cookie preferences | cookie notice | cookie declaration | manage consent |
    manage preferences | privacy settings | california privacy rights
terms | terms of use | terms of service | terms and conditions | terms conditions | conditions of use | legal |
    legal notice | legal information | imprint | disclaimer | copyright | user agreement | shipping and returns |
    shipping | returns | refund policy | code of conduct | dmca | trademarks
follow us | follow | share | share this | tweet | pin it | share on | like us
subscribe | newsletter | newsletters | sign up for newsletter | rss | rss feed | subscribe now | unsubscribe |
    enter your email | enter your email address | your email address | sign up now
shopping cart | shopping basket | cart | basket | checkout | wishlist | wish list | my cart | compare | sold out |
    in stock | add to cart | add to basket | add to bag | add to wishlist | view cart | continue shopping | buy now
comments | comment | reply | replies | leave a comment | add comment | add a comment | post comment | post a comment |
    write a review | customer reviews | reviews | leave a reply | cancel reply | no comments | show comments |
    view comments
feedback | give feedback | send feedback | site feedback | report abuse | report a bug | report a problem |
    report an issue | site map | sitemap | accessibility | accessibility statement | advertise | advertise with us |
    media kit | press | press room | careers | jobs | about | about us | about this site | who we are | our team |
    partners | affiliates | investors | faq | faqs | frequently asked questions
most read | most popular | popular posts | recent posts | recent comments | trending | trending now | latest news |
    archives | categories | tags | filed under | posted in | tagged with | posted by | tag cloud | blogroll |
    related posts | related articles | related products | related items | related searches | permalink
select language | choose language | change language | languages | select your language | in english | in finnish |
    in swedish
print page | print | copy link | link copied | email this | save article | download pdf | save as pdf
back | top | home | homepage | home page | you are here |
    next article | previous article | next post | previous post | opens in new window | opens in a new tab
main menu | primary menu | secondary menu | main navigation | site navigation | breadcrumb | breadcrumbs | footer |
    sidebar | mobile menu | quick links | footer menu | open menu | close menu | toggle navigation | toggle menu |
    show menu | hide menu | close search
search this site | search for | search results | enter search terms | advanced search | type to search | search site |
    search the site
advertisement | sponsored | promoted | sponsored content | sponsored links | ads
save preferences | save my choices | confirm my choices | show details | strictly necessary | strictly necessary cookies |
    necessary cookies | customise | customize
accept | accept all | reject all | allow all | deny | i accept | i agree | got it | i understand | necessary only
view source | view history | page history | edit source
"""

POSSIBLE = """
next | previous | prev | first | last | page | pages | more | close | open | menu | search | go | edit | pdf |
    download | submit | cancel | toggle | next page | previous page | first page | last page | page of
news | blog | events | calendar | gallery | photos | videos | links | archive | history | help | support | forum |
    forums | community | podcast | podcasts | resources | guestbook
products | services | our services | pricing | prices | store | shop | store locator | locations | opening hours |
    offers | deals | sale | new arrivals | brands | gift cards | portfolio | testimonials | clients | solutions
company | team | investor relations | sustainability | members | membership | donate | volunteer | mission
necessary | functional | statistics | marketing | preferences | analytics | performance
politics | business | sports | sport | entertainment | weather | opinion | health | science | technology | tech |
    lifestyle | travel | culture | world | local | money
"""

NOTICES = """
we (value|respect) your privacy | your privacy is important to us
(we use|our site uses|our website uses|we and our partners use|we and our partners store) …
    (cookies|cookie|similar technologies) …
(this|the|our) (site|website|web site|page|blog) (uses|use|is using|sets|stores) … cookies …
by (continuing|using|browsing|clicking|closing) … (site|website|browse|cookies|service|services|accept|page) …
    (agree|accept|consent|consenting|agreeing) …
cookies (help us|allow us|enable us) … (services|site|website|experience|traffic) …
(read|learn|find out) more about (our cookies|our use of cookies|how we use cookies|our cookie policy|
    our privacy policy) …
(this site|this page) (is protected by recaptcha|uses akismet) …
(you need|you have|please) … enable javascript …
javascript (is disabled|is required|must be enabled|seems to be disabled) …
your browser does not support [the] (video|audio|javascript|html|iframes|frames|this feature) …
your [shopping] (cart|basket|bag) is [currently] empty
comments are (closed|off|disabled) …
your email address will not be published …
save my name email and website in this browser …
report (a|an) (bug|error|issue|problem) (in|with) *
"""

MENTIONS = "cookie"
RIGHTS = "all rights reserved"
HOME = "you are here"
MAYBE_HOME = "home | homepage"
CAPTIONS = "figure | fig. | table | chapter | part | appendix | section | example"
