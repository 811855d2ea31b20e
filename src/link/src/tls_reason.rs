use std::io;

use rustls::{AlertDescription, CertificateError, Error};

/// What went wrong in a TLS handshake and what an operator does about it.
pub(crate) fn describe(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            "its certificate is not signed by this cluster's token; give both nodes the same token".to_owned()
        }
        Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => format!("its certificate is not valid at this node's time; check the clocks of both ({error})"),
        Error::InvalidCertificate(CertificateError::NotValidForName) => {
            "its certificate does not name a node".to_owned()
        }
        Error::NoCertificatesPresented => "it presented no certificate".to_owned(),
        Error::AlertReceived(AlertDescription::UnknownCA | AlertDescription::DecryptError) => {
            "it does not accept this node's certificate, which is not signed by its cluster token; give both nodes the \
             same token"
                .to_owned()
        }
        Error::AlertReceived(AlertDescription::CertificateExpired) => {
            "this node's certificate is not valid at the peer's time; check the clocks of both".to_owned()
        }
        Error::NoApplicationProtocol | Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            "it speaks another version of the link protocol; run the same ringrift-p2p version on both".to_owned()
        }
        Error::InvalidMessage(_)
        | Error::InappropriateMessage { .. }
        | Error::AlertReceived(AlertDescription::DecodeError) => {
            format!("it does not speak TLS as ringrift-p2p does ({error})")
        }
        other => other.to_string(),
    }
}

/// Whether TLS failed, and not what is below it.
pub(crate) fn is_tls(error: &io::Error) -> bool {
    inner(error).is_some()
}

fn inner(error: &io::Error) -> Option<&Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

/// The same for the I/O error that carries it.
pub(crate) fn describe_io(error: &io::Error) -> String {
    match inner(error) {
        Some(error) => describe(error),
        None if error.kind() == io::ErrorKind::UnexpectedEof => "it closed the connection".to_owned(),
        None => error.to_string(),
    }
}
