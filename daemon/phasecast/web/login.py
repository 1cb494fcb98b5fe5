"""The door of a page with a password: plain, readable, and of nothing but its own HTML."""

import html

from phasecast.core.words import LANGUAGES, words

LOGIN_NAME = "phasecast"
"""Everybody's: the page knows one password and no users."""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>phasecast</title>
<link rel="icon" href="data:,">
<style>
:root { color-scheme: light dark; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center;
  background: light-dark(#F3F4F6, #14171C); color: light-dark(#1B1F24, #E8EBEF);
  font-family: "Noto Sans", "Noto Sans CJK JP", "Hiragino Sans", "Yu Gothic", Meiryo, system-ui, sans-serif; }
form { width: min(340px, 90vw); padding: 28px; border: 1px solid light-dark(#C9CED6, #3C444F); border-radius: 8px;
  background: light-dark(#FFFFFF, #1E232A); display: grid; gap: 14px; box-sizing: border-box; }
h1 { font-size: 20px; margin: 0; }
label { display: grid; gap: 6px; font-size: 14px; }
input, button { font: inherit; padding: 9px 11px; border-radius: 5px; border: 1px solid light-dark(#9AA3AE, #5C6670); }
button { background: #0072B5; color: #FFFFFF; border-color: #0072B5; cursor: pointer; }
p { margin: 0; color: light-dark(#C32D14, #FF8A75); font-weight: 600; font-size: 14px; }
</style>
</head>
<body>
<form action=".{{ login_endpoint }}" method="post">
<h1>phasecast</h1>
{% if errormessage %}<p>WRONG</p>{% endif %}
<input type="hidden" name="username" value="NAME">
<label>PASSWORD <input name="password" type="password" autocomplete="current-password" required autofocus></label>
<button type="submit">ENTER</button>
</form>
</body>
</html>
"""


def login_template() -> str:
    """Return the template of the page that asks for the password, in every language: nobody has chosen one yet.

    It takes ``login_endpoint`` and ``errormessage``, whose words are not shown: anybody can put some into a link.
    """
    page = _PAGE.replace("NAME", LOGIN_NAME)
    for place, key in (("WRONG", "wrong_password"), ("PASSWORD", "password"), ("ENTER", "enter")):
        lines = [html.escape(words(language)(f"login.{key}")) for language in LANGUAGES]
        page = page.replace(place, ("<br>" if place == "WRONG" else " · ").join(lines))
    # whoever reads the file may take it for another encoding
    return page.encode("ascii", "xmlcharrefreplace").decode()
