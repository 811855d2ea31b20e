# Typed access to one map of a hosts file. What is not of its type is an error with file, line and key, in the daemon's
# words; null is as if the key were not there.
let
  inherit (import ./place.nix) fail below;
  text' = import ./text.nix;
  yaml = import ./yaml;

  round = n: if builtins.isInt n then n else builtins.floor (n + 0.5);
  isCount = v: (builtins.isInt v || builtins.isFloat v) && v >= 0 && v < 1000000000000000;

  # A port, also in quotes.
  portOf =
    node:
    let
      text = if node.kind == "scalar" then text'.trim node.text else "";
      digits = builtins.match "\\+?0*([1-9][0-9]{0,4})" text;
      port = builtins.fromJSON (builtins.head digits);
    in
    if digits != null && port <= 65535 then port else null;

  countOf = node: if node.kind == "scalar" && isCount node.value then round node.value else null;

  wrong =
    at: entry: expected:
    fail (below at entry.key) entry.line "expected ${expected}, found ${yaml.describe entry.value}";
in
{
  inherit portOf countOf wrong;

  # The fields of the map `node`, which stands at `at`.
  of =
    at: node:
    let
      entries = builtins.listToAttrs (
        map (entry: {
          name = entry.key;
          value = entry;
        }) node.entries
      );
      entry =
        key:
        let
          found = entries.${key} or null;
        in
        if found == null || (found.value.kind == "scalar" && found.value.value == null) then
          null
        else
          found;
      # `read` turns the entry's node into a value, or into null if it is not `expected`.
      field =
        expected: read: key:
        let
          found = entry key;
          value = read found.value;
        in
        if found == null then
          null
        else if value == null then
          wrong at found expected
        else
          value;
      orNull = test: value: if test then value else null;
      emptyIsNull = text: if text == "" then null else text;
    in
    rec {
      inherit at entry;

      # A text; an empty one says nothing.
      text =
        key:
        let
          value = field "a text (in quotes, if this is meant as one)" (
            node: orNull (node.kind == "scalar" && builtins.isString node.value) (text'.trim node.value)
          ) key;
        in
        if value == null then null else emptyIsNull value;

      # A text for people, which may well be a number.
      words =
        key:
        let
          value = field "a text" (node: orNull (node.kind == "scalar") (text'.trim node.text)) key;
        in
        if value == null then null else emptyIsNull value;

      switch = field "true or false" (
        node: orNull (node.kind == "scalar" && builtins.isBool node.value) node.value
      );

      port = field "a port 1..65535" portOf;

      # A number of things; a fraction is rounded to the nearest.
      count = field "a number, 0 or more" countOf;

      # A number of things where 0 means that nobody knows.
      knownCount =
        key:
        let
          value = field "a number, 0 or more" (
            node:
            let
              n = countOf node;
            in
            orNull (n != null && n <= 4294967295) n
          ) key;
        in
        if value == 0 then null else value;

      map' = field "a map" (node: orNull (node.kind == "map") node);

      list = field "a list" (node: orNull (node.kind == "list") node);

      # Keys that are not among the known ones, as plain values.
      rest =
        known:
        builtins.listToAttrs (
          map (key: {
            name = key;
            value = yaml.value entries.${key}.value;
          }) (builtins.filter (key: !(builtins.elem key known)) (builtins.attrNames entries))
        );

      # A key's text as it stands in the file, whatever its type.
      raw = key: entries.${key}.value.text;
      isScalar = key: entries.${key}.value.kind == "scalar";
    };
}
