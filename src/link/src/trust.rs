use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};

use crate::{IdentityError, certified_name};

/// Accepts a server whose certificate the cluster's authority signed and that names a node. Which node it is gets
/// compared after the handshake, exactly; the rules for DNS names know neither `_` nor upper case.
#[derive(Debug)]
pub(crate) struct ClusterServers {
    roots: Arc<RootCertStore>,
    names: Vec<DistinguishedName>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClusterServers {
    pub(crate) fn new(roots: Arc<RootCertStore>, provider: &CryptoProvider) -> Self {
        let names = roots.subjects();
        Self { roots, names, algorithms: provider.signature_verification_algorithms }
    }
}

impl ServerCertVerifier for ClusterServers {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, intermediates, now, algorithms)?;
        certified_name::node_id(end_entity)
            .map_err(|_| Error::InvalidCertificate(CertificateError::NotValidForName))?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only TLS 1.3 is spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }

    /// Tells the server which authorities are trusted here: while a token is being replaced it has two certificates.
    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        Some(&self.names)
    }
}

/// The name of an authority, as TLS peers hint at it (DER).
pub(crate) fn subject(authority: &CertificateDer<'_>) -> Result<Vec<u8>, IdentityError> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone()).map_err(|error| IdentityError::Certificate(error.to_string()))?;
    Ok(roots.subjects().remove(0).as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use rcgen::{KeyPair, PKCS_ED25519};
    use rustls::crypto::ring;

    use super::*;
    use crate::{authority::Authority, identity, tls_reason};

    #[test]
    fn clocks_may_differ_by_minutes_and_not_by_weeks() {
        let authority = Authority::derive(&[7; 32]).unwrap();
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let now = SystemTime::now();
        let certificate = authority.issue(&"n1".parse().unwrap(), &key, now).unwrap().certificate;
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate().clone()).unwrap();
        let servers = ClusterServers::new(Arc::new(roots), &ring::default_provider());
        let judged_at = |at: SystemTime| {
            let at = UnixTime::since_unix_epoch(at.duration_since(SystemTime::UNIX_EPOCH).unwrap());
            servers.verify_server_cert(&certificate, &[], &identity::server_name(), &[], at)
        };
        let hour = Duration::from_hours(1);
        for skew in [Duration::ZERO, Duration::from_mins(5), 23 * hour] {
            assert!(judged_at(now - skew).is_ok() && judged_at(now + skew).is_ok(), "{skew:?}");
        }
        for wrong in [now - 25 * hour, now + 31 * 24 * hour] {
            assert!(tls_reason::describe(&judged_at(wrong).unwrap_err()).contains("check the clocks"));
        }
    }
}
