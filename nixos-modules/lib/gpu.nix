# The GPUs of a host: `8x RTX 4090` is eight of them.
let
  text' = import ./text.nix;
in
{
  # Nothing, an empty text and `none` all mean that there is none.
  parse =
    raw:
    let
      text = if raw == null then "" else text'.trim raw;
      counted = builtins.match "(0*([0-9]{1,9}))[[:space:]]*(x|X|×)[[:space:]]*(.+)" text;
      none = builtins.match "0+[[:space:]]*(x|X|×).*" text != null;
      digits = builtins.match "0*([1-9][0-9]*)" (builtins.head counted);
    in
    if text == "" || text'.lower text == "none" || none then
      null
    else if counted != null && digits != null then
      {
        count = builtins.fromJSON (builtins.head digits);
        name = builtins.elemAt counted 3;
      }
    else
      {
        count = 1;
        name = text;
      };

  # Apple's, which no NixOS machine has.
  isApple =
    gpu:
    gpu != null
    && (
      text'.contains "MPS" gpu.name
      || text'.contains "Apple" gpu.name
      || builtins.match "M[0-9]{1,2}( .*)?" gpu.name != null
    );

  # NVIDIA's, which the name never says: whatever is not another maker's. A virtual GPU is not among them: it needs the
  # driver of whoever rents it out.
  isNvidia =
    gpu:
    let
      name = text'.lower gpu.name;
      others = "(.*[^a-z0-9])?(amd|radeon|instinct|rx|mi[0-9]+[a-z]*|intel|arc|gaudi[0-9]*|tpu|apple|mps|m[0-9]{1,2}|vgpu)([^a-z0-9].*)?";
    in
    gpu != null && builtins.match others name == null;

  isVirtual = gpu: gpu != null && builtins.match ".*vgpu.*" (text'.lower gpu.name) != null;

  # NVIDIA's Grace processors are ARM.
  isGrace = gpu: gpu != null && builtins.match ".*(GH200|GB200|GB300|Grace).*" gpu.name != null;
}
