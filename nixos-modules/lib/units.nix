# What lies under systemd/usr/lib, by listing the folders: a unit that is added there is part of the module from then on.
let
  text' = import ./text.nix;
  list =
    folder: if builtins.pathExists folder then builtins.attrNames (builtins.readDir folder) else [ ];
in
tree:
let
  names = list (tree + "/usr/lib/systemd/system");
  of = ending: builtins.filter (text'.endsWith ending) names;
  isTemplate = text'.contains "@.";
  lines =
    file:
    builtins.filter (line: line != "" && text'.first line != "#") (
      text'.lines (builtins.readFile file)
    );
  sysusers = tree + "/usr/lib/sysusers.d";
  declared = builtins.concatMap (file: map (read file) (lines (sysusers + "/${file}"))) (
    builtins.filter (text'.endsWith ".conf") (list sysusers)
  );

  # sysusers.d(5): type, name, id, "description", home, shell.
  read =
    file: line:
    let
      parts = builtins.match "(u!?|g|m)[ \t]+([^ \t]+)([ \t]+([^ \t]+)([ \t]+\"([^\"]*)\"([ \t]+([^ \t]+).*)?)?)?" line;
      field = builtins.elemAt parts;
    in
    if parts == null then
      throw "sysusers.d/${file}: cannot read ${builtins.toJSON line}"
    else
      {
        type = text'.first (field 0);
        name = field 1;
        id = field 3;
        description = field 5;
        home = field 7;
      };
  ofType = type: builtins.filter (entry: entry.type == type) declared;
in
{
  # Names with their ending.
  services = builtins.filter (name: !(isTemplate name)) (of ".service");
  templates = builtins.filter isTemplate (of ".service");
  sockets = of ".socket";
  slices = of ".slice";
  timers = of ".timer";

  users = ofType "u";
  groups = ofType "g";
  memberships = map (entry: {
    user = entry.name;
    group = entry.id;
  }) (ofType "m");
}
