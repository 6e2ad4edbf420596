"""What web pages write around their text, by language: the data of ``assets.cleaning.boilerplate``, for people to read.

One phrase a line, as words in lower case; an indented line goes on with the line before it. ``a | b`` are two phrases,
``(a|b)`` stands for one of several in a phrase, ``[a|b]`` for one of several or nothing; in a notice ``…`` stands for any
words and ``*`` for one. Only letters count: "Lue lisää »" is "lue lisää", and "12 kommenttia" is "kommenttia".

How sure it is that a line of phrases is furniture, and no heading or step of the text:
``CERTAIN`` - wherever it stands ("jaa facebookissa");
``LIKELY`` - among its like; it can be a heading, too ("kirjaudu sisään");
``POSSIBLE`` - among likely ones only; an ordinary word that menus are made of ("haku").
A line of ``NOTICES`` is one whole sentence or more, and certain. ``RIGHTS`` end copyright lines; ``HOME`` begins breadcrumbs,
and ``MAYBE_HOME`` begins them or the way to a command in a menu. Words that begin like one of ``MENTIONS`` make a line go with
furniture beside it. ``CAPTIONS`` are the words before the numbers of a document's parts and figures ("Kuva 17.2").
"""

from assets.cleaning.furniture import english, finnish, swedish

LANGUAGES = (finnish, english, swedish)
"""The modules of data; a new language is a new module here, and its name in the ``code`` of the stage."""
