# Texts, in builtins alone.
rec {
  beginsWith = prefix: text: builtins.substring 0 (builtins.stringLength prefix) text == prefix;

  endsWith =
    suffix: text:
    let
      length = builtins.stringLength suffix;
      start = builtins.stringLength text - length;
    in
    start >= 0 && builtins.substring start length text == suffix;

  contains = part: text: part != "" && builtins.replaceStrings [ part ] [ "" ] text != text;

  first = builtins.substring 0 1;

  # From the character at `start` to the end.
  from = start: text: builtins.substring start (builtins.stringLength text) text;

  # Without white space at either end.
  trim =
    text:
    let
      inner = builtins.match "[[:space:]]*(.*[^[:space:]])[[:space:]]*" text;
    in
    if inner == null then "" else builtins.head inner;

  # Without blanks at the end.
  trimEnd =
    text:
    let
      inner = builtins.match "(.*[^ ]) *" text;
    in
    if inner == null then "" else builtins.head inner;

  # Without blanks at the beginning.
  trimStart = text: builtins.head (builtins.match " *(.*)" text);

  # Enough of a text to recognise it by, in quotes.
  quoted =
    text:
    builtins.toJSON (
      if builtins.stringLength text <= 60 then text else "${builtins.substring 0 60 text}…"
    );

  # ASCII letters alone.
  lower =
    let
      upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
      small = "abcdefghijklmnopqrstuvwxyz";
      letters = alphabet: builtins.genList (i: builtins.substring i 1 alphabet) 26;
    in
    builtins.replaceStrings (letters upper) (letters small);

  lines = text: builtins.filter builtins.isString (builtins.split "\n" text);

  words =
    text:
    builtins.filter (word: builtins.isString word && word != "") (builtins.split "[[:space:]]+" text);
}
