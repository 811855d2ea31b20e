use std::time::{Duration, SystemTime};

use hkdf::Hkdf;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ED25519, SanType, SerialNumber, date_time_ymd,
};
use ringrift_config::NodeId;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use sha2::{Digest as _, Sha256};

use crate::{IdentityError, certified_name};

/// Clocks that are behind by less than this accept a certificate that was just made.
const BACKDATED: Duration = Duration::from_hours(24);
/// Lifetime of a node's certificate, counted from now.
const LIFETIME: Duration = Duration::from_hours(30 * 24);
/// PKCS#8 v1 around an Ed25519 seed (RFC 8410 §7).
pub(crate) const PKCS8_ED25519: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// The certificate authority that follows from a cluster token: the same on every node that has the token.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

/// A certificate and when to stop using it.
pub(crate) struct Issued {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) not_before: SystemTime,
    pub(crate) not_after: SystemTime,
}

impl Authority {
    /// Derives the authority's key from the secret and makes its certificate. Both are functions of the secret alone.
    pub(crate) fn derive(secret: &[u8]) -> Result<Self, IdentityError> {
        let mut pkcs8 = PKCS8_ED25519.to_vec();
        let mut seed = [0; 32];
        Hkdf::<Sha256>::new(Some(b"ringrift cluster"), secret)
            .expand(b"certificate authority, ed25519, v1", &mut seed)
            .expect("32 bytes are within what HKDF-SHA256 can expand");
        pkcs8.extend_from_slice(&seed);
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(pkcs8), &PKCS_ED25519)
            .map_err(|error| certificate_error(&error))?;

        // The name carries the key's fingerprint: peers tell each other the names that they trust, and a node with two
        // tokens picks the certificate that the other one accepts.
        let digest = Sha256::digest(key.public_key_raw());
        let fingerprint = u64::from_be_bytes(digest[..8].try_into().expect("eight of 32 bytes"));
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name(&format!("ringrift cluster {fingerprint:016x}"));
        params.serial_number = Some(SerialNumber::from_slice(&[1]));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(4000, 1, 1);
        let certificate = params.self_signed(&key).map_err(|error| certificate_error(&error))?.der().clone();
        Ok(Self { issuer: Issuer::new(params, key), certificate })
    }

    /// What to trust.
    pub(crate) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// A certificate for a node's key.
    pub(crate) fn issue(&self, node: &NodeId, key: &KeyPair, now: SystemTime) -> Result<Issued, IdentityError> {
        let (not_before, not_after) = (now - BACKDATED, now + LIFETIME);
        let since_epoch =
            |at: SystemTime| date_time_ymd(1970, 1, 1) + at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name(node.as_str());
        let name = certified_name::uri(node).try_into().map_err(|error| certificate_error(&error))?;
        params.subject_alt_names = vec![SanType::URI(name)];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = since_epoch(not_before);
        params.not_after = since_epoch(not_after);
        let certificate = params.signed_by(key, &self.issuer).map_err(|error| certificate_error(&error))?;
        Ok(Issued { certificate: certificate.der().clone(), not_before, not_after })
    }
}

fn common_name(text: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, text);
    name
}

fn certificate_error(error: &rcgen::Error) -> IdentityError {
    IdentityError::Certificate(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_secret_gives_the_same_authority_on_every_node() {
        let (one, two) = (Authority::derive(&[7; 32]).unwrap(), Authority::derive(&[7; 32]).unwrap());
        assert_eq!(one.certificate(), two.certificate());
        assert_ne!(one.certificate(), Authority::derive(&[8; 32]).unwrap().certificate());
    }
}
