# Where in a file something is, for errors in the daemon's own form: `hosts.yaml:17: hosts.gpu-1.cpus: what is wrong`.
rec {
  # The top of a file. `file` is what errors call it.
  top = file: {
    inherit file;
    path = [ ];
  };

  # Below a key, or below the index of a list's item.
  below = at: key: at // { path = at.path ++ [ (toString key) ]; };

  message =
    at: line: text:
    let
      key = builtins.concatStringsSep "." at.path;
    in
    "${at.file}:"
    + (if line == null then "" else "${toString line}:")
    + (if key == "" then "" else " ${key}:")
    + " ${text}";

  fail =
    at: line: text:
    throw (message at line text);
}
