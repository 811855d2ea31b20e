use ringrift_config::Host;
use ringrift_fleet::{Ssh, quoted, remote_path};

use super::ran_well;
use crate::command::health_check::in_environment;

/// What was installed before, beside the requirements.
const BEFORE: &str = "requirements.before-update.txt";

/// To the newest commit of the branch that is checked out, or to a tag, a branch or a commit; then what it needs is installed.
/// `keep` says whether what is installed now is what there is to go back to.
pub(super) async fn update(ssh: &Ssh, host: &Host, to: Option<&str>, keep: bool) -> Result<(), String> {
    let go = match to {
        None => "git merge --quiet --ff-only '@{upstream}'".to_owned(),
        // What others call so comes before what is here and may be old.
        Some(to) => format!(
            "to={}\n\
             for name in \"refs/remotes/origin/$to\" \"refs/tags/$to\" \"$to\"; do\n  \
               commit=$(git rev-parse --quiet --verify \"$name^{{commit}}\") && break\n\
             done\n\
             [ -n \"$commit\" ] || {{ echo \"it has no tag, branch or commit $to\" >&2; exit 1; }}\n\
             git checkout --quiet --detach \"$commit\"",
            quoted(to)
        ),
    };
    let clean = "changed=$(git status --porcelain --untracked-files=no | sed -n '1s/^ *//p')\n\
                 [ -z \"$changed\" ] || { echo \"its checkout has changes of its own: $changed\" >&2; exit 1; }";
    let freeze = if keep { format!("python3 -m pip freeze > {BEFORE} && ") } else { String::new() };
    let install =
        format!("{{ [ ! -e requirements.txt ] || {{ {freeze}python3 -m pip install -q -r requirements.txt; }}; }}");
    run(ssh, host, &format!("{clean}\ngit fetch --quiet --tags && {{\n{go}\n}}"), &install).await
}

/// Back to a commit, and to its branch if it was on one; then what was installed at that time is installed again.
pub(super) async fn go_back(ssh: &Ssh, host: &Host, commit: &str, branch: Option<&str>) -> Result<(), String> {
    let commit = quoted(commit);
    let go = match branch {
        // `--keep` refuses to lose what somebody changed meanwhile.
        Some(branch) => format!("git checkout --quiet {} && git reset --quiet --keep {commit}", quoted(branch)),
        None => format!("git checkout --quiet --detach {commit}"),
    };
    let install = format!("{{ [ ! -e {BEFORE} ] || python3 -m pip install -q -r {BEFORE}; }}");
    run(ssh, host, &go, &install).await
}

async fn run(ssh: &Ssh, host: &Host, go: &str, install: &str) -> Result<(), String> {
    let path = host.ringrift_path.as_deref().ok_or("the hosts file has no ringrift_path")?;
    let install = in_environment(host, install).ok_or("the hosts file has no ringrift_path")?;
    let script = format!(
        "trap '' HUP\nlog=$(mktemp) || exit 1\n\
         (cd {} || exit 1\n{go}) > \"$log\" 2>&1 < /dev/null && {install} > \"$log\" 2>&1 < /dev/null\n\
         status=$?\n\
         [ $status = 0 ] || grep -m 1 -i -e '^error' -e '^fatal' \"$log\" >&2 || tail -n 1 \"$log\" >&2\n\
         rm \"$log\"\n\
         exit $status\n",
        remote_path(path)
    );
    ran_well(ssh.run(host, &script).await)
}
