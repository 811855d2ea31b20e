# Lists and maps in brackets, on one line: `[a, b]`, `{8770: 41234, 8765: 41235}`.
let
  inherit (import ../place.nix) fail below;
  text' = import ../text.nix;
  scalar = import ./scalar.nix;

  special = "][{},:#'\"&*!|>%@`";
  plainPattern = "([^${special} ]([^${special}]*[^${special} ])?)(.*)";
  singlePattern = "'(([^']|'')*)'(.*)";
  doublePattern = "\"(([^\"\\\\]|\\\\.)*)\"(.*)";

  # The value at the beginning of `text`, and what stands behind it.
  value =
    at: line: text:
    let
      c = text'.first text;
      plain = builtins.match plainPattern text;
      inQuotes = quoted at line text;
    in
    if c == "[" then
      list at line [ ] (text'.from 1 text)
    else if c == "{" then
      map' at line [ ] (text'.from 1 text)
    else if inQuotes != null then
      {
        node = inQuotes.node;
        inherit (inQuotes) rest;
      }
    else if plain != null && scalar.refusal (builtins.head plain) == null then
      {
        node = scalar.plain at line (builtins.head plain);
        rest = builtins.elemAt plain 2;
      }
    else
      fail at line
        "expected a value at ${text'.quoted text}; put a text with special characters in quotes";

  quoted =
    at: line: text:
    let
      single = builtins.match singlePattern text;
      double = builtins.match doublePattern text;
    in
    if single != null then
      {
        node = scalar.single at line (builtins.head single);
        rest = builtins.elemAt single 2;
      }
    else if double != null then
      {
        node = scalar.double at line (builtins.head double);
        rest = builtins.elemAt double 2;
      }
    else
      null;

  unfinished = at: line: fail at line "a list or a map in brackets must end on its line";

  list =
    at: line: items: text:
    let
      here = text'.trimStart text;
      done = rest: {
        node = {
          inherit line items;
          kind = "list";
        };
        inherit rest;
      };
      item = value (below at (builtins.length items)) line here;
      behind = text'.trimStart item.rest;
      items' = items ++ [ item.node ];
    in
    if here == "" then
      unfinished at line
    else if text'.first here == "]" && items == [ ] then
      done (text'.from 1 here)
    else if behind == "" then
      unfinished at line
    else if text'.first behind == "]" then
      {
        node = {
          inherit line;
          kind = "list";
          items = items';
        };
        rest = text'.from 1 behind;
      }
    else if text'.first behind == "," then
      list at line items' (text'.from 1 behind)
    else
      fail at line "expected a comma or ] at ${text'.quoted behind}";

  map' =
    at: line: entries: text:
    let
      here = text'.trimStart text;
      inQuotes = quoted at line here;
      plain = builtins.match plainPattern here;
      key =
        if inQuotes != null then
          {
            name = inQuotes.node.text;
            inherit (inQuotes) rest;
          }
        else if plain != null then
          {
            name = scalar.key at line (builtins.head plain);
            rest = builtins.elemAt plain 2;
          }
        else
          fail at line "expected a key at ${text'.quoted here}";
      behindKey = builtins.match " *: +(.*)" key.rest;
      item = value (below at key.name) line (builtins.head behindKey);
      behind = text'.trimStart item.rest;
      entries' = entries ++ [
        {
          inherit line;
          key = key.name;
          value = item.node;
        }
      ];
      done = entries: rest: {
        node = {
          inherit line entries;
          kind = "map";
        };
        inherit rest;
      };
    in
    if here == "" then
      unfinished at line
    else if text'.first here == "}" && entries == [ ] then
      done [ ] (text'.from 1 here)
    else if behindKey == null then
      fail at line "expected a colon, a blank and a value behind the key ${text'.quoted key.name}"
    else if builtins.any (entry: entry.key == key.name) entries then
      fail (below at key.name) line "duplicate key: ${key.name} is on line ${toString line} already"
    else if behind == "" then
      unfinished at line
    else if text'.first behind == "}" then
      done entries' (text'.from 1 behind)
    else if text'.first behind == "," then
      map' at line entries' (text'.from 1 behind)
    else
      fail at line "expected a comma or } at ${text'.quoted behind}";
in
# The whole of a value in brackets.
at: line: text:
let
  read = value at line text;
in
if builtins.match " *| +#.*" read.rest == null then
  fail at line "expected nothing but a comment behind the bracket, found ${text'.quoted read.rest}"
else
  read.node
