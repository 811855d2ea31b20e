# A reader of the YAML that hosts files are written in, in builtins alone: no import from derivation, no nixpkgs.
#
# It reads maps and lists by indentation, `[a, b]` and `{a: b}` on one line, texts with and without quotes, numbers, true,
# false and null. It refuses, with file and line, whatever two readers of YAML could read differently: anchors, tags, merge
# keys, tabs, `yes`, `0755`, `12:30`, dates, duplicate keys. What it reads, the daemon reads alike; tests/nix proves it.
let
  inherit (import ../place.nix) top fail;
  lines = import ./lines.nix;
  block = import ./block.nix;
in
rec {
  inherit (import ./scalar.nix) describe;

  # The document as nodes, each with its line. `file` is what errors call it. Null if it says nothing.
  nodes =
    file: text:
    let
      at = top file;
      found = lines at text;
      first = builtins.head found;
    in
    if found == [ ] then
      null
    else if first.indent != 0 then
      fail at first.number "is indented, and nothing stands above it"
    else
      block at found;

  # The plain Nix value of a node.
  value =
    node:
    if node == null then
      null
    else if node.kind == "map" then
      builtins.listToAttrs (
        map (entry: {
          name = entry.key;
          value = value entry.value;
        }) node.entries
      )
    else if node.kind == "list" then
      map value node.items
    else
      node.value;

  # The value of a text.
  parse = file: text: value (nodes file text);

  # The value of a file.
  read = path: parse (baseNameOf (toString path)) (builtins.readFile path);
}
