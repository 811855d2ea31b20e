# One value on one line: what a text without quotes means, and what a text in quotes says.
#
# A text without quotes that readers of YAML 1.1 (PyYAML, Ruby) and of YAML 1.2 (the daemon) take for different things is
# refused; whoever wrote it meant one of them.
let
  inherit (import ../place.nix) fail;
  text' = import ../text.nix;

  matches = pattern: text: builtins.match pattern text != null;

  nulls = [
    ""
    "~"
    "null"
    "Null"
    "NULL"
  ];
  truths = {
    true = true;
    True = true;
    TRUE = true;
    false = false;
    False = false;
    FALSE = false;
  };

  # What the text is to some readers, and to others not. The first that fits is told.
  disputes = [
    {
      pattern = "[yYnN]|[yY][eE][sS]|[nN][oO]|[oO][nN]|[oO][fF][fF]";
      reading = "a truth value to some readers and a text to others: write true or false, or put it in quotes";
    }
    {
      pattern = "[-+]?0[0-9]+";
      reading = "an octal number to some readers and not to others: put it in quotes, or take the zero away";
    }
    {
      pattern = "[-+]?0[xXoObB][0-9a-fA-F_]+";
      reading = "not the same number to all readers: write it in decimal digits, or put it in quotes";
    }
    {
      pattern = "[-+]?[0-9][0-9_]*(:[0-9]+)+(\\.[0-9_]*)?";
      reading = "a number of base 60 to some readers and a text to others: put it in quotes";
    }
    {
      pattern = "[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?";
      reading = "a date to some readers and a text to others: put it in quotes";
    }
    {
      pattern = "[-+]?[0-9._]*[0-9][0-9._]*([eE][-+]?[0-9_]+)?";
      # What is left of these after numbers and texts such as 1.2.3 have been taken out.
      unless = "[-+]?[0-9]+(\\.[0-9]+){2,}|[0-9]+(\\.[0-9]*){2,}";
      reading = "a number to some readers and a text to others: write it as 12 or 1.5, or put it in quotes";
    }
    {
      pattern = "[-+]?\\.(inf|Inf|INF)|\\.(nan|NaN|NAN)";
      reading = "not a number that anything here can use";
    }
    {
      pattern = "=";
      reading = "a special key to some readers: put it in quotes";
    }
    {
      pattern = "<<";
      reading = "a merge key to some readers: write the values out";
    }
  ];
  fits =
    text: dispute: matches dispute.pattern text && !(dispute ? unless && matches dispute.unless text);

  isInteger = matches "[-+]?(0|[1-9][0-9]*)";
  isFraction = matches "[-+]?(0|[1-9][0-9]*)\\.[0-9]+([eE][-+][0-9]+)?";
  # 18 digits always fit 64 bits.
  isHuge = text: matches "[-+]?[0-9]{19,}" text;
  number = text: builtins.fromJSON (if text'.first text == "+" then text'.from 1 text else text);

  escapes = "([^\\\\]|\\\\[\"\\\\bfnrt]|\\\\u[0-9a-cA-Ce-fE-F][0-9a-fA-F]{3}|\\\\u[dD][0-7][0-9a-fA-F]{2})*";
in
rec {
  # The value of a text without quotes.
  plain =
    at: line: text:
    let
      disputed = builtins.filter (fits text) disputes;
      value =
        if builtins.elem text nulls then
          null
        else if truths ? ${text} then
          truths.${text}
        else if isInteger text && isHuge text then
          fail at line "${text} is too large a number"
        else if isInteger text || isFraction text then
          number text
        else if disputed != [ ] then
          fail at line "${text'.quoted text} is ${(builtins.head disputed).reading}"
        else
          text;
    in
    {
      inherit line text value;
      kind = "scalar";
      plain = true;
    };

  # What stands between '…'.
  single =
    at: line: inner:
    quoted line (builtins.replaceStrings [ "''" ] [ "'" ] inner);

  # What stands between "…".
  double =
    at: line: inner:
    if !(matches escapes inner) || text'.contains "\\u0000" inner then
      fail at line "only \\\" \\\\ \\b \\f \\n \\r \\t and \\uXXXX may stand for a character in \"…\""
    else
      quoted line (builtins.fromJSON "\"${inner}\"");

  quoted = line: text: {
    inherit line text;
    kind = "scalar";
    plain = false;
    value = text;
  };

  nothing = line: {
    inherit line;
    kind = "scalar";
    plain = true;
    text = "";
    value = null;
  };

  # A key, which is always a text. One that readers would not agree about, or take for null or a truth value, is refused.
  key =
    at: line: text:
    let
      value = (plain at line text).value;
    in
    if builtins.isString value || builtins.isInt value then
      text
    else
      fail at line "the key ${text'.quoted text} is no text to all readers; put it in quotes";

  # Why a value cannot begin with this character; null if it can.
  refusal =
    text:
    let
      c = text'.first text;
    in
    if c == "&" || c == "*" then
      "anchors and aliases are read differently by different readers; write the value out"
    else if c == "!" then
      "tags such as !!str are read differently by different readers; use quotes for text"
    else if c == "|" || c == ">" then
      "a text over several lines is not read here; write it on one line, in quotes"
    else if matches "[-?:]( .*)?" text then
      "a list or a map must begin on a line of its own"
    else if matches "[-?:][],[{}].*" text then
      "a text that begins with ${builtins.substring 0 2 text} needs quotes"
    else if
      builtins.elem c [
        "@"
        "`"
        "%"
        ","
        "]"
        "}"
        "#"
      ]
    then
      "a text that begins with ${c} needs quotes"
    else
      null;

  # For "expected …, found …".
  describe =
    node:
    if node.kind == "map" then
      "a map"
    else if node.kind == "list" then
      "a list"
    else if node.value == null then
      "nothing"
    else if builtins.isBool node.value then
      "the truth value ${node.text}"
    else if builtins.isString node.value then
      text'.quoted node.text
    else
      "the number ${node.text}";
}
