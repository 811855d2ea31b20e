# Addresses as hosts files have them.
let
  text' = import ./text.nix;

  octet = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";
  v4 = "${octet}\\.${octet}\\.${octet}\\.${octet}";
  group = "[0-9a-fA-F]{1,4}";

  pieces = text: builtins.filter builtins.isString (builtins.split ":" text);
in
rec {
  isV4 = text: builtins.match v4 text != null;

  # RFC 4291 §2.2, without a zone. The last 32 bits may be written as an IPv4 address.
  isV6 =
    text:
    let
      tail = builtins.match "(.*:)(${v4})" text;
      # Two groups stand for the four bytes.
      flat = if tail == null then text else "${builtins.head tail}0:0";
      halves = builtins.filter builtins.isString (builtins.split "::" flat);
      groups = half: if half == "" then [ ] else pieces half;
      all = builtins.concatMap groups halves;
      count = builtins.length all;
    in
    text'.contains ":" text
    && builtins.all (g: builtins.match group g != null) all
    && (if builtins.length halves == 1 then count == 8 else builtins.length halves == 2 && count <= 7);

  isIp = text: isV4 text || isV6 text;

  # An address, or a network as in 10.0.0.0/8.
  family =
    text:
    let
      parts = builtins.match "([^/]*)(/([0-9]{1,3}))?" text;
      address = builtins.head parts;
      bits = if builtins.elemAt parts 2 == null then 0 else builtins.fromJSON (builtins.elemAt parts 2);
      # JSON has no leading zeros.
      fair = builtins.match "(.*/)?(0|[1-9][0-9]*)" "/${toString (builtins.elemAt parts 2)}" != null;
    in
    if parts == null || (builtins.elemAt parts 2 != null && !fair) then
      null
    else if isV4 address && bits <= 32 then
      "v4"
    else if isV6 address && bits <= 128 then
      "v6"
    else
      null;

  # Whether it leads back to whoever dials it.
  isLoopback =
    text:
    text'.lower text == "localhost"
    || (isV4 text && text'.beginsWith "127." text)
    || (isV6 text && builtins.match "[0:]*:0*1" text != null);

  # Whether a text stands where an address should be filled in: `100.x.x.x`, `<ip>`, `YOUR_HOST`.
  isPlaceholder =
    text:
    let
      lower = text'.lower text;
      split = pattern: builtins.filter builtins.isString (builtins.split pattern lower);
      words = [
        "your"
        "todo"
        "changeme"
        "change-me"
        "change_me"
        "replace"
        "placeholder"
        "fixme"
        "tbd"
      ];
    in
    builtins.any (label: builtins.match "[x?*#]+" label != null) (split "\\.")
    || builtins.any (mark: text'.contains mark text) [
      "<"
      ">"
      "{"
      "}"
      "$"
    ]
    || builtins.any (word: builtins.elem word (split "[-_.]") || lower == word) words;
}
