# A text becomes its lines that say something: number from 1, indentation in blanks, and the rest.
#
# Comments and empty lines are gone; comments behind a value are still there. What YAML 1.1 and 1.2 take for a line's end
# or for white space in different ways is refused here.
let
  inherit (import ../place.nix) fail;
  text' = import ../text.nix;

  # The regular expressions of Nix recurse once per character.
  maxLength = 4096;

  character = code: builtins.fromJSON "\"\\u${code}\"";
  byteOrderMark = character "feff";
  # Ends of a line in YAML 1.1, text in 1.2.
  otherLineEnds = map character [
    "0085"
    "2028"
    "2029"
  ];
in
at: text:
let
  clean = if text'.beginsWith byteOrderMark text then text'.from 3 text else text;
  raw = text'.lines clean;

  read =
    index:
    let
      number = index + 1;
      whole = builtins.elemAt raw index;
      # Files from Windows.
      line =
        if text'.endsWith "\r" whole then
          builtins.substring 0 (builtins.stringLength whole - 1) whole
        else
          whole;
      parts = builtins.match "( *)(.*)" line;
      content = builtins.elemAt parts 1;
      isEmpty = text'.first content == "" || text'.first content == "#";
      tabs = builtins.replaceStrings [ "\t" ] [ "" ] line;
    in
    if builtins.stringLength line > maxLength then
      fail at number "is longer than ${toString maxLength} characters"
    else if builtins.match ".*[[:cntrl:]].*" tabs != null then
      fail at number "has a control character"
    else if builtins.any (end: text'.contains end line) otherLineEnds then
      fail at number "has a character that ends a line for some readers; take it out"
    else if builtins.match "[[:space:]]*" line != null then
      [ ]
    else if isEmpty then
      [ ]
    else if builtins.match "[ \t]*\t.*" line != null then
      fail at number "is indented with a tab; YAML wants blanks"
    else if tabs != line then
      fail at number "has a tab; YAML wants blanks (in a text: \"\\t\")"
    else
      [
        {
          inherit number;
          indent = builtins.stringLength (builtins.head parts);
          text = text'.trimEnd content;
        }
      ];

  found = builtins.concatLists (builtins.genList read (builtins.length raw));

  isMarker = line: line.indent == 0 && builtins.match "(---|\\.\\.\\.)( .*)?" line.text != null;
  beginsDocument = line: line.indent == 0 && builtins.match "---( +#.*)?" line.text != null;
  content =
    if found != [ ] && beginsDocument (builtins.head found) then builtins.tail found else found;
  markers = builtins.filter isMarker content;
in
if
  found != [ ] && (builtins.head found).indent == 0 && text'.beginsWith "%" (builtins.head found).text
then
  fail at (builtins.head found).number "is a directive; take it out"
else if markers != [ ] then
  let
    marker = builtins.head markers;
  in
  fail at marker.number (
    if text'.beginsWith "..." marker.text then
      "ends the document; take it out"
    else if marker.number == (builtins.head content).number then
      "a document must not begin on the line of its ---"
    else
      "a second document begins here; only one is read"
  )
else
  content
