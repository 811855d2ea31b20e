use std::{env, ffi::OsString};

/// What a job inherits of the daemon's environment. The rest stays with the daemon: the cluster's token may be among it.
const NAMES: [&str; 15] = [
    "HOME",
    "LANG",
    "LANGUAGE",
    "LD_LIBRARY_PATH",
    "LIBRARY_PATH",
    "LOGNAME",
    "PATH",
    "REQUESTS_CA_BUNDLE",
    "SHELL",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TMPDIR",
    "TZ",
    "USER",
    "VIRTUAL_ENV",
];

/// The same by how they begin: images of containers say with these where CUDA and Python are.
const BEGINNINGS: [&str; 9] = ["CONDA_", "CUDA_", "CUDNN_", "LC_", "MKL_", "NCCL_", "NVIDIA_", "OMP_", "PYTHON"];

pub(super) fn inherited() -> Vec<(OsString, OsString)> {
    env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_inherited)).collect()
}

fn is_inherited(name: &str) -> bool {
    NAMES.contains(&name) || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_inherited() {
        for (name, inherited) in [
            ("PATH", true),
            ("CUDA_HOME", true),
            ("PYTHONPATH", true),
            ("LC_ALL", true),
            ("RINGRIFT_CLUSTER_AUTH_TOKEN", false),
            ("CREDENTIALS_DIRECTORY", false),
            ("NOTIFY_SOCKET", false),
            ("LISTEN_FDS", false),
            ("AWS_SECRET_ACCESS_KEY", false),
            ("PATHS", false),
        ] {
            assert_eq!(is_inherited(name), inherited, "{name}");
        }
    }
}
