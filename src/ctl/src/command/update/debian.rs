use std::{
    fs,
    path::{Path, PathBuf},
};

use ringrift_blob::Digest;
use ringrift_config::Host;
use ringrift_fleet::{Ssh, quoted};

use super::ran_well;
use crate::{command::cluster::script::AS_ROOT, exit::Exit, failure::Failure};

/// A package in a file of this machine.
#[derive(Debug)]
pub(super) struct Package {
    pub(super) path: PathBuf,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) architecture: String,
    bytes: Vec<u8>,
    digest: Digest,
}

/// Where the node keeps packages: the new one, and the one to go back to. Root's alone, since root installs what lies there.
const FOLDER: &str = "/var/cache/ringriftctl";

/// Names of one file, and what every script begins with. It goes on when the connection is lost: a package that is half
/// installed is worse than either.
const BEGIN: &str = r#"
trap '' HUP
umask 022
keep=FOLDER
mkdir -p -m 700 "$keep"
file_of() { echo "$keep/$(echo "$1_$2_$(dpkg --print-architecture).deb" | sed 's/:/%3a/g')"; }
failed() {
  # What dpkg says of the package, before what apt says of dpkg.
  why=$(sed -n '/^dpkg: error/{N;s/\n */ /p;q;}' "$keep/log")
  [ -n "$why" ] || why=$(grep -m 1 '^E: ' "$keep/log") || why=$(tail -n 1 "$keep/log")
  echo "$why" >&2
  exit 1
}
export DEBIAN_FRONTEND=noninteractive
options="-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold -o DPkg::Lock::Timeout=300"
apt() { apt-get -y -q $options "$@" > "$keep/log" 2>&1 < /dev/null; }
"#;

/// Packs what is installed as it is, as dpkg-repack does: where it came from may be long gone.
const PACK: &str = r#"
pack() {
  file=$(file_of "$1" "$2")
  [ ! -e "$file" ] || return 0
  tree=$(mktemp -d "$keep/tree.XXXXXX") && chmod 755 "$tree" || return 1
  dpkg-query -L "$1" | while IFS= read -r path; do
    if [ -d "$path" ] && [ ! -L "$path" ]; then
      mkdir -p "$tree$path"
    elif [ -e "$path" ] || [ -L "$path" ]; then
      mkdir -p "$tree$(dirname "$path")" && cp -dp "$path" "$tree$path" || exit 1
    fi
  done && mkdir "$tree/DEBIAN" &&
    dpkg-query -s "$1" | awk '/^Conffiles:/ { skip = 1; next } /^[^ ]/ { skip = 0 } !skip && !/^Status: /' > "$tree/DEBIAN/control" &&
    for part in conffiles md5sums preinst postinst prerm postrm triggers; do
      [ ! -e "/var/lib/dpkg/info/$1.$part" ] || cp -p "/var/lib/dpkg/info/$1.$part" "$tree/DEBIAN/"
    done && dpkg-deb --root-owner-group -Zgzip -z1 --build "$tree" "$keep/packed" > /dev/null && mv "$keep/packed" "$file"
  packed=$?
  rm -rf "$tree"
  return $packed
}
"#;

/// What was before is kept; what other updates left is not.
const KEEP: &str = r#"
if [ "$(dpkg-query -W -f='${Version} ${db:Status-Status}' "$package" 2>/dev/null)" = "$before installed" ]; then
  pack "$package" "$before" || { echo "the installed package could not be kept in $keep" >&2; exit 1; }
fi
for file in "$keep"/*.deb; do
  [ "$file" = "$(file_of "$package" "$before")" ] || [ "$file" = "$new" ] || rm -f "$file"
done
"#;

impl Package {
    /// Reads a file that is named as dpkg-deb(1) names it: `NAME_VERSION_ARCHITECTURE.deb`. The node holds the name against what
    /// is in it.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let name = path.file_name().map(|name| name.to_string_lossy().replace("%3a", ":")).unwrap_or_default();
        let parts: Vec<&str> = name.strip_suffix(".deb").unwrap_or_default().split('_').collect();
        let [name, version, architecture] = parts.as_slice() else {
            return Err(Failure::new(
                Exit::Usage,
                format!("{} is not named as a Debian package is: NAME_VERSION_ARCHITECTURE.deb", path.display()),
            )
            .advise("`dpkg-deb --build TREE FOLDER` and packaging/deb/build name it so."));
        };
        let bytes = fs::read(path).map_err(|e| Failure::local(format!("cannot read {}", path.display()), &e))?;
        Ok(Self {
            name: (*name).to_owned(),
            version: (*version).to_owned(),
            architecture: (*architecture).to_owned(),
            path: path.to_owned(),
            digest: Digest::of(&bytes),
            bytes,
        })
    }

    /// Whether it is for such a node.
    pub(super) fn fits(&self, architecture: &str) -> bool {
        self.architecture == "all" || self.architecture == architecture
    }

    /// Brings it to the node and installs it there; `before` is the version that is kept.
    pub(super) async fn install(&self, ssh: &Ssh, host: &Host, before: &str) -> Result<(), String> {
        let names = names(&self.name, before);
        let upload = format!(
            "{names}new=$(file_of \"$package\" {version})\n\
             cat > \"$keep/arriving\" || exit 1\n\
             echo {digest} \"$keep/arriving\" | sha256sum --check --status || {{ echo 'other bytes arrived' >&2; exit 1; }}\n\
             mv \"$keep/arriving\" \"$new\"\n\
             is=\"$(dpkg-deb -f \"$new\" Package) $(dpkg-deb -f \"$new\" Version)\"\n\
             [ \"$is\" = {expected} ] || {{ rm \"$new\"; echo \"the file is $is, and is named otherwise\" >&2; exit 1; }}\n",
            version = quoted(&self.version),
            digest = quoted(&format!("{} ", self.digest)),
            expected = quoted(&format!("{} {}", self.name, self.version)),
        );
        ran_well(ssh.run_fed(host, &as_root(&upload), &self.bytes).await)?;
        let install = format!(
            "{names}new=$(file_of \"$package\" {})\n{PACK}{KEEP}apt --allow-downgrades install \"$new\" || failed\n",
            quoted(&self.version)
        );
        ran_well(ssh.run(host, &as_root(&install)).await)
    }
}

/// Installs a version, or the newest, from where the node's apt gets its packages.
pub(super) async fn from_apt(
    ssh: &Ssh,
    host: &Host,
    name: &str,
    version: Option<&str>,
    before: &str,
) -> Result<(), String> {
    let wanted = version.map_or_else(|| name.to_owned(), |version| format!("{name}={version}"));
    let script = format!(
        "{}new=\n{PACK}{KEEP}apt update || failed\napt --allow-downgrades install {} || failed\n",
        names(name, before),
        quoted(&wanted)
    );
    ran_well(ssh.run(host, &as_root(&script)).await)
}

/// Goes back to a version: the package that was kept, or else the one that apt still finds.
pub(super) async fn go_back(ssh: &Ssh, host: &Host, name: &str, version: &str) -> Result<(), String> {
    // By dpkg: apt does not touch a package that failed before it has asked what else that might need.
    let script = format!(
        "{}file=$(file_of \"$package\" \"$before\")\n\
         if [ -e \"$file\" ]; then\n  \
           dpkg --force-confdef --force-confold --install \"$file\" > \"$keep/log\" 2>&1 < /dev/null || failed\n\
         else\n  \
           apt --allow-downgrades install \"$package=$before\" || failed\n\
         fi\n",
        names(name, version)
    );
    ran_well(ssh.run(host, &as_root(&script)).await)
}

fn names(package: &str, before: &str) -> String {
    format!("{}package={}\nbefore={}\n", BEGIN.replace("FOLDER", FOLDER), quoted(package), quoted(before))
}

fn as_root(script: &str) -> String {
    format!("{AS_ROOT}as_root sh -c {}", quoted(script))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_told_by_its_name() -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("ringrift-p2p_1%3a0.2.0~rc.1-1_arm64.deb");
        fs::write(&path, "bytes")?;
        let package = Package::open(&path).map_err(|f| f.message)?;
        assert_eq!((package.name.as_str(), package.version.as_str()), ("ringrift-p2p", "1:0.2.0~rc.1-1"));
        assert!(package.fits("arm64") && !package.fits("amd64"));
        for name in ["ringrift-p2p.deb", "ringrift-p2p_0.2.0_amd64.rpm", "a_b_c_d.deb"] {
            let failure = Package::open(&dir.path().join(name)).err().ok_or("it was taken")?;
            assert_eq!(failure.exit, Exit::Usage, "{name}");
        }
        let missing = Package::open(&dir.path().join("a_1_all.deb")).err().ok_or("it was taken")?;
        assert!(missing.message.contains("a_1_all.deb"), "{}", missing.message);
        Ok(())
    }
}
