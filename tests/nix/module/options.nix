# The options reference as Markdown, from the options themselves.
{ lib, options, ... }:
let
  show =
    value:
    if value._type or "" == "literalExpression" then
      value.text
    else if value._type or "" == "literalMD" then
      value.text
    else
      lib.generators.toPretty { } value;

  # Roles of the NixOS manual in plain Markdown.
  plain =
    text:
    lib.concatStrings (
      map (part: if lib.isList part then "`${lib.last part}`" else part) (
        builtins.split "[{](option|file|manpage|command|env)[}]`([^`]*)`" text
      )
    );

  entry =
    option:
    lib.concatStrings (
      [
        "## `${option.name}`\n\n"
        "${lib.removeSuffix "\n" (plain option.description)}\n\n"
        "- Type: ${option.type}\n"
      ]
      ++ lib.optional (option ? default) "- Default:${block (show option.default)}\n"
      ++ lib.optional (option ? example) "- Example:${block (show option.example)}\n"
    );

  block =
    text:
    if lib.hasInfix "\n" text then
      "\n\n  ```nix\n${lib.concatMapStrings (line: "  ${line}\n") (lib.splitString "\n" text)}  ```"
    else
      " `${text}`";

  all = lib.filter (option: option.visible && !option.internal) (lib.optionAttrSetToDocList options);
  sorted = lib.sort (a: b: a.name < b.name) all;
in
''
  # Options of `services.ringrift-p2p`

  Made from the module by `NIXPKGS_LIB=… tests/run nix module --bless`; [nixos.md](nixos.md) says how to use them.

''
+ lib.concatStringsSep "\n" (map entry sorted)
