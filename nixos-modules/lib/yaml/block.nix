# Maps and lists by indentation. A block is cut at the lines of its own column; the recursion is as deep as the file is
# nested, not as long as it is.
let
  inherit (import ../place.nix) fail below;
  text' = import ../text.nix;
  scalar = import ./scalar.nix;
  flow = import ./flow.nix;

  # As in the daemon.
  maxDepth = 32;

  isItem = line: line.text == "-" || text'.beginsWith "- " line.text;
  isSilent = text: text == "" || text'.first text == "#";
  hasColon = text: text'.contains ": " text || text'.endsWith ":" text;

  slice =
    lines: start: end:
    builtins.genList (i: builtins.elemAt lines (start + i)) (end - start);

  # `lines` cut before each line for which `begins` holds; the first is one of them.
  cut =
    begins: lines:
    let
      count = builtins.length lines;
      starts = builtins.filter (i: begins (builtins.elemAt lines i)) (builtins.genList (i: i) count);
      ends = builtins.tail starts ++ [ count ];
    in
    builtins.genList (k: slice lines (builtins.elemAt starts k) (builtins.elemAt ends k)) (
      builtins.length starts
    );

  blanks = count: if count == 1 then "1 blank" else "${toString count} blanks";

  # Fails at the first line that stands further left than the block.
  checkIndent =
    at: column: lines: result:
    let
      stray = builtins.filter (line: line.indent < column) lines;
      line = builtins.head stray;
    in
    if stray == [ ] then
      result
    else
      fail at line.number
        "is indented by ${blanks line.indent}, and what it stands with by ${blanks column}";

  block =
    at: lines:
    let
      first = builtins.head lines;
    in
    if builtins.length at.path > maxDepth then
      fail at first.number "is nested deeper than ${toString maxDepth} levels"
    else if isItem first then
      checkIndent at first.indent lines (list at first.indent lines)
    else if keyOf at first != null then
      checkIndent at first.indent lines (map' at first.indent lines)
    else
      inline at first.number first.text (builtins.tail lines);

  map' =
    at: column: lines:
    let
      # A list may begin in the column of its key: such an item belongs to the key above it.
      entries = map (entry at column) (cut (line: line.indent == column && !(isItem line)) lines);
      firstLines = builtins.listToAttrs (
        map (e: {
          name = e.key;
          value = e.line;
        }) entries
      );
      again = builtins.filter (e: firstLines.${e.key} != e.line) entries;
      duplicate = builtins.head again;
    in
    if again != [ ] then
      fail (below at duplicate.key) duplicate.line
        "duplicate key: ${duplicate.key} is on line ${toString firstLines.${duplicate.key}} already"
    else
      {
        inherit entries;
        line = (builtins.head lines).number;
        kind = "map";
      };

  entry =
    at: column: lines:
    let
      first = builtins.head lines;
      under = builtins.tail lines;
      found = keyOf at first;
      here = below at found.key;
    in
    if found == null then
      fail at first.number "expected `key: value`, found ${text'.quoted first.text}"
    else
      {
        inherit (found) key;
        line = first.number;
        value =
          if !(isSilent found.rest) then
            inline here first.number found.rest under
          else if under == [ ] then
            scalar.nothing first.number
          else
            block here under;
      };

  list = at: column: lines: {
    line = (builtins.head lines).number;
    kind = "list";
    items =
      let
        stray = builtins.filter (line: line.indent == column && !(isItem line)) lines;
        pieces = cut (line: line.indent == column) lines;
      in
      if stray != [ ] then
        fail at (builtins.head stray).number
          "expected another item of the list, found ${text'.quoted (builtins.head stray).text}"
      else
        builtins.genList (i: item (below at i) column (builtins.elemAt pieces i)) (builtins.length pieces);
  };

  item =
    at: column: lines:
    let
      first = builtins.head lines;
      under = builtins.tail lines;
      parts = builtins.match "-( +)(.*)" first.text;
      rest = if parts == null then "" else builtins.elemAt parts 1;
      inner = first // {
        indent = column + 1 + builtins.stringLength (builtins.head parts);
        text = rest;
      };
    in
    if !(isSilent rest) then
      block at ([ inner ] ++ under)
    else if under == [ ] then
      scalar.nothing first.number
    else
      block at under;

  # A value that begins behind its key or dash, with the lines that stand under it.
  inline =
    at: line: text: under:
    let
      c = text'.first text;
      single = builtins.match "'(([^']|'')*)'( *| +#.*)" text;
      double = builtins.match "\"(([^\"\\\\]|\\\\.)*)\"( *| +#.*)" text;
      alone =
        node:
        if under == [ ] then
          node
        else
          fail at (builtins.head under).number
            "is indented under a value that ended on line ${toString line}";
      refusal = scalar.refusal text;
    in
    if c == "'" || c == "\"" then
      if single != null then
        alone (scalar.single at line (builtins.head single))
      else if double != null then
        alone (scalar.double at line (builtins.head double))
      else
        fail at line "a text in quotes must end on its line, with nothing but a comment behind it"
    else if c == "[" || c == "{" then
      let
        node = flow at line text;
      in
      # What is wrong inside the brackets is told first.
      builtins.seq node (alone node)
    else if refusal != null then
      fail at line refusal
    else
      folded at line text under;

  # A text without quotes. It may go on in the lines under it, which are joined by blanks.
  folded =
    at: line: text: under:
    let
      withoutComment = t: text'.trimEnd (builtins.head (builtins.split " +#" t));
      goesOn =
        index:
        let
          next = builtins.elemAt under index;
        in
        if next.number != line + index + 1 then
          fail at next.number
            "a text over several lines must not have empty lines or comments inside; put it in quotes, on one line"
        else if
          withoutComment next.text != next.text || scalar.refusal next.text != null || hasColon next.text
        then
          fail at next.number
            "the text that began on line ${toString line} cannot go on like this; put it in quotes, on one line"
        else
          next.text;
      first = withoutComment text;
      rest = builtins.genList goesOn (builtins.length under);
    in
    if hasColon first then
      fail at line "a text with a colon and a blank inside needs quotes"
    else if under != [ ] && first != text then
      fail at (builtins.head under).number "is indented under a value that ended on line ${toString line}"
    else
      scalar.plain at line (builtins.concatStringsSep " " ([ first ] ++ rest));

  # The key at the beginning of a line and what stands behind its colon; null if there is none.
  keyOf =
    at: line:
    let
      behind = " *:( +(.*))?";
      plain = builtins.match "([A-Za-z0-9_./+~<=][A-Za-z0-9_.*/+@~<=-]*)${behind}" line.text;
      single = builtins.match "'(([^']|'')*)'${behind}" line.text;
      double = builtins.match "\"(([^\"\\\\]|\\\\.)*)\"${behind}" line.text;
      other = builtins.match "(-[^ ]|[^]['\"{}&*!|>%@`#,?-])[^:#'\"]*:( .*)?" line.text;
      rest =
        found: index: if builtins.elemAt found index == null then "" else builtins.elemAt found index;
    in
    if plain != null then
      {
        key = scalar.key at line.number (builtins.head plain);
        rest = rest plain 2;
      }
    else if single != null then
      {
        key = (scalar.single at line.number (builtins.head single)).value;
        rest = rest single 3;
      }
    else if double != null then
      {
        key = (scalar.double at line.number (builtins.head double)).value;
        rest = rest double 3;
      }
    else if text'.first line.text == ":" then
      fail at line.number "a key is missing before the colon"
    else if other != null then
      fail at line.number
        "a key without quotes has only letters, digits and . _ - * / + @ ~; put it in quotes"
    else
      null;
in
block
