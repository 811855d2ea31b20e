use ringrift_config::NodeId;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// Names with this in front are node ids and nothing else. A URI, because a DNS name has no `_` and no upper case, and
/// node ids are compared exactly.
const URI_PREFIX: &str = "ringrift:node:";

/// The subject alternative name of a node's own certificate.
pub(crate) fn uri(node: &NodeId) -> String {
    format!("{URI_PREFIX}{node}")
}

/// The one node id that a certificate stands for: its `ringrift:node:` URI; without one (certificates issued elsewhere)
/// the common name; without a usable one the only DNS name. There is never a choice, so two readers always agree.
pub(crate) fn node_id(certificate: &[u8]) -> Result<NodeId, String> {
    let (_, certificate) =
        X509Certificate::from_der(certificate).map_err(|error| format!("unreadable certificate: {error}"))?;
    let (mut uris, mut dns) = (Vec::new(), Vec::new());
    if let Some(names) = certificate.subject_alternative_name().map_err(|error| format!("subject names: {error}"))? {
        for name in &names.value.general_names {
            match name {
                GeneralName::URI(uri) => uris.extend(uri.strip_prefix(URI_PREFIX)),
                GeneralName::DNSName(name) => dns.push(*name),
                _ => {}
            }
        }
    }
    let parse = |text: &str| text.parse::<NodeId>().map_err(|error| error.to_string());
    match uris.as_slice() {
        [] => {}
        [only] => return parse(only),
        _ => return Err("the certificate names several nodes".to_owned()),
    }
    let mut common = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
    if let (Some(name), None) = (common.next(), common.next())
        && let Ok(node) = parse(name)
    {
        return Ok(node);
    }
    match dns.as_slice() {
        [only] => parse(only),
        _ => Err(format!("the certificate names no node: neither a {URI_PREFIX} URI, a common name nor one DNS name")),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};

    use super::*;

    fn certificate(common_name: Option<&str>, names: &[SanType]) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        if let Some(name) = common_name {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        params.subject_alt_names = names.to_vec();
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn a_certificate_stands_for_exactly_one_node() {
        let uri = |text: &str| SanType::URI(text.try_into().unwrap());
        let dns = |text: &str| SanType::DnsName(text.try_into().unwrap());
        let cases: [(Option<&str>, &[SanType], Option<&str>); 9] = [
            (Some("x"), &[uri("ringrift:node:GPU_1.a-b")], Some("GPU_1.a-b")),
            (Some("GPU_1"), &[], Some("GPU_1")),
            (Some("gpu-1"), &[dns("other")], Some("gpu-1")),
            (None, &[dns("gpu-1.example.org")], Some("gpu-1.example.org")),
            (Some("Node One of ours"), &[dns("gpu-1")], Some("gpu-1")),
            (None, &[dns("gpu-1"), dns("gpu-2")], None),
            (Some("gpu-1"), &[uri("ringrift:node:a"), uri("ringrift:node:b")], None),
            (Some("gpu-1"), &[uri("ringrift:node:-bad-")], None),
            (None, &[uri("https://gpu-1/")], None),
        ];
        for (common_name, names, expected) in cases {
            let found = node_id(&certificate(common_name, names));
            assert_eq!(found.as_ref().ok().map(NodeId::as_str), expected, "{common_name:?} {names:?}: {found:?}");
        }
        assert!(node_id(b"no certificate").is_err());
    }
}
