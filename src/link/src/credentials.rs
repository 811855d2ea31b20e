use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use rcgen::{KeyPair, PKCS_ED25519};
use ringrift_config::NodeId;
use rustls::{
    SignatureScheme,
    client::ResolvesClientCert,
    crypto::ring::sign::any_supported_type,
    pki_types::PrivateKeyDer,
    server::{ClientHello, ResolvesServerCert},
    sign::{CertifiedKey, SigningKey},
};

use crate::{
    IdentityError,
    authority::{Authority, Issued},
    trust,
};

/// A certificate is replaced when less than this is left of it.
const RENEW_BEFORE: Duration = Duration::from_hours(20 * 24);

/// What this node shows to peers. Certificates of its own making are replaced in time, by the handshake that finds
/// them old: no timer, and a node that was suspended for a month shows no stale one.
pub(crate) struct Credentials {
    /// None: the certificates come from files and stay.
    source: Option<Source>,
    leaves: ArcSwap<Vec<Leaf>>,
}

/// What certificates of our own making are made from.
struct Source {
    node: NodeId,
    authorities: Vec<Authority>,
    key: KeyPair,
    signer: Arc<dyn SigningKey>,
}

struct Leaf {
    key: Arc<CertifiedKey>,
    /// The issuer's name as peers hint at it (DER).
    issuer: Vec<u8>,
    not_before: SystemTime,
    not_after: SystemTime,
}

impl Credentials {
    /// Issues certificates by each authority; the first one is shown where the peer accepts it.
    pub(crate) fn derived(node: &NodeId, authorities: Vec<Authority>, now: SystemTime) -> Result<Self, IdentityError> {
        let error = |text: String| IdentityError::Certificate(text);
        let key = KeyPair::generate_for(&PKCS_ED25519).map_err(|e| error(e.to_string()))?;
        let der = PrivateKeyDer::try_from(key.serialize_der()).map_err(|e| error(e.to_owned()))?;
        let signer = any_supported_type(&der).map_err(|e| error(e.to_string()))?;
        let source = Source { node: node.clone(), authorities, key, signer };
        let leaves = ArcSwap::from_pointee(source.issue(now)?);
        Ok(Self { source: Some(source), leaves })
    }

    /// Shows this one, always.
    pub(crate) fn fixed(key: CertifiedKey) -> Self {
        let now = SystemTime::now();
        let leaf = Leaf { key: Arc::new(key), issuer: Vec::new(), not_before: now, not_after: now };
        Self { source: None, leaves: ArcSwap::from_pointee(vec![leaf]) }
    }

    /// The certificate for a peer that trusts the authorities with these names; no names: a peer that does not say.
    fn leaf_for<'a>(&self, mut trusted: impl Iterator<Item = &'a [u8]>, now: SystemTime) -> Arc<CertifiedKey> {
        let mut leaves = self.leaves.load_full();
        // The clock may also have been set back beyond a certificate's beginning.
        if leaves.iter().any(|leaf| leaf.not_after < now + RENEW_BEFORE || leaf.not_before > now)
            && let Some(source) = &self.source
        {
            match source.issue(now) {
                Ok(renewed) => {
                    leaves = Arc::new(renewed);
                    self.leaves.store(Arc::clone(&leaves));
                }
                Err(error) => tracing::error!(%error, "this node's certificate could not be renewed"),
            }
        }
        let first = &leaves.first().expect("there is a certificate from the start").key;
        let accepted = trusted.find_map(|name| leaves.iter().find(|leaf| leaf.issuer == name));
        Arc::clone(accepted.map_or(first, |leaf| &leaf.key))
    }
}

impl Source {
    fn issue(&self, now: SystemTime) -> Result<Vec<Leaf>, IdentityError> {
        self.authorities
            .iter()
            .map(|authority| {
                let Issued { certificate, not_before, not_after } = authority.issue(&self.node, &self.key, now)?;
                let key = Arc::new(CertifiedKey::new(vec![certificate], Arc::clone(&self.signer)));
                Ok(Leaf { key, issuer: trust::subject(authority.certificate())?, not_before, not_after })
            })
            .collect()
    }
}

impl ResolvesClientCert for Credentials {
    fn resolve(&self, trusted: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.leaf_for(trusted.iter().copied(), SystemTime::now()))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl ResolvesServerCert for Credentials {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let trusted = hello.certificate_authorities().unwrap_or_default();
        Some(self.leaf_for(trusted.iter().map(AsRef::as_ref), SystemTime::now()))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn credentials(now: SystemTime) -> Credentials {
        let authorities = [1, 2].map(|byte| Authority::derive(&[byte; 32]).unwrap());
        Credentials::derived(&"n1".parse().unwrap(), Vec::from(authorities), now).unwrap()
    }

    #[test]
    fn a_certificate_is_replaced_long_before_it_ends_and_not_sooner() {
        let start = SystemTime::now();
        let credentials = credentials(start);
        let shown = |at| credentials.leaf_for(std::iter::empty(), at).end_entity_cert().unwrap().to_vec();
        let first = shown(start);
        assert_eq!(shown(start + 9 * DAY), first);
        let second = shown(start + 11 * DAY);
        assert_ne!(second, first, "10 of 30 days gone");
        assert_eq!(shown(start + 12 * DAY), second);
        let third = shown(start + 400 * DAY);
        assert_ne!(third, second, "a machine that slept for a year");
        assert_ne!(shown(start - 2 * DAY), third, "a clock that was set back");
    }

    #[test]
    fn a_peer_is_shown_the_certificate_that_it_accepts() {
        let now = SystemTime::now();
        let credentials = credentials(now);
        let name = |byte| trust::subject(Authority::derive(&[byte; 32]).unwrap().certificate()).unwrap();
        let shown = |names: &[Vec<u8>]| credentials.leaf_for(names.iter().map(Vec::as_slice), now);
        let primary = shown(&[]);
        assert!(Arc::ptr_eq(&shown(&[name(1)]), &primary));
        assert!(!Arc::ptr_eq(&shown(&[name(2)]), &primary), "a peer that has only the old token");
        assert!(Arc::ptr_eq(&shown(&[name(9)]), &primary), "a stranger");
    }
}
