use std::{path::Path, sync::Arc, time::SystemTime};

use ringrift_config::{NodeId, Token, Tokens};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    client::Resumption,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::CertifiedKey,
    version::TLS13,
};

use crate::{
    IdentityError, authority::Authority, certified_name, credentials::Credentials, tls_reason, trust::ClusterServers,
};

/// Spoken inside TLS; a change that old nodes cannot follow gets a new name.
const ALPN: &[u8] = b"ringrift/1";
/// What stands in for the token where the operator asked for no security at all.
const INSECURE: &[u8] = b"ringrift: everybody knows this secret, it protects nothing";

/// Who this node is and whom it trusts: the certificates of mutual TLS 1.3. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Identity {
    node: NodeId,
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl Identity {
    /// Shortest secret accepted, in bytes.
    pub const MIN_SECRET: usize = 32;

    /// Derives everything from the cluster's secret (the token's bytes). While a token is being replaced peers that
    /// have only `old`, or both in any order, are linked with as well.
    pub fn from_secrets(node: &NodeId, primary: &[u8], old: Option<&[u8]>) -> Result<Self, IdentityError> {
        let secrets = [Some(primary), old].into_iter().flatten();
        let mut authorities = Vec::new();
        let mut roots = RootCertStore::empty();
        for secret in secrets {
            if secret.len() < Self::MIN_SECRET {
                return Err(IdentityError::ShortToken(secret.len()));
            }
            let authority = Authority::derive(secret)?;
            roots
                .add(authority.certificate().clone())
                .map_err(|error| IdentityError::Certificate(error.to_string()))?;
            authorities.push(authority);
        }
        Self::assemble(node, roots, Credentials::derived(node, authorities, SystemTime::now())?)
    }

    /// The same from the cluster token.
    pub fn from_tokens(node: &NodeId, tokens: &Tokens) -> Result<Self, IdentityError> {
        Self::from_secrets(node, tokens.primary.as_bytes(), tokens.old.as_ref().map(Token::as_bytes))
    }

    /// Uses certificates issued elsewhere: PEM files with the trusted authorities, this node's chain and its key. The
    /// node id is taken from a `ringrift:node:<id>` URI, else the common name, else the only DNS name.
    pub fn from_files(node: &NodeId, ca: &Path, cert: &Path, key: &Path) -> Result<Self, IdentityError> {
        let fail = |path: &Path, reason: String| IdentityError::File { path: path.to_owned(), reason };
        let mut roots = RootCertStore::empty();
        for authority in certificates(ca)? {
            roots.add(authority).map_err(|error| fail(ca, format!("not usable as an authority: {error}")))?;
        }
        let chain = certificates(cert)?;
        let found = certified_name::node_id(&chain[0]).map_err(|reason| fail(cert, reason))?;
        if found != *node {
            let (path, expected, found) = (cert.to_owned(), node.clone(), found.to_string());
            return Err(IdentityError::WrongNode { path, expected, found });
        }
        let private = PrivateKeyDer::from_pem_file(key).map_err(|error| fail(key, error.to_string()))?;
        let certified = CertifiedKey::from_der(chain.clone(), private, &provider())
            .map_err(|error| fail(key, format!("does not fit {}: {error}", cert.display())))?;

        let identity = Self::assemble(node, roots.clone(), Credentials::fixed(certified))?;
        // Better here, with the file's name, than as a refusal at every peer.
        let roots = Arc::new(roots);
        let servers = ClusterServers::new(Arc::clone(&roots), &provider());
        let own = |error: rustls::Error| fail(cert, format!("peers will refuse it: {}", tls_reason::describe(&error)));
        let now = UnixTime::now();
        rustls::client::danger::ServerCertVerifier::verify_server_cert(
            &servers,
            &chain[0],
            &chain[1..],
            &server_name(),
            &[],
            now,
        )
        .map_err(own)?;
        clients(&roots)?.verify_client_cert(&chain[0], &chain[1..], now).map_err(own)?;
        Ok(identity)
    }

    /// A secret that everybody knows: the same code with no protection at all.
    pub fn insecure(node: &NodeId) -> Result<Self, IdentityError> {
        Self::from_secrets(node, INSECURE, None)
    }

    /// The node id in the certificates.
    pub fn node(&self) -> &NodeId {
        &self.node
    }

    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.client)
    }

    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }

    fn assemble(node: &NodeId, roots: RootCertStore, credentials: Credentials) -> Result<Self, IdentityError> {
        let error = |error: rustls::Error| IdentityError::Certificate(error.to_string());
        let (roots, credentials) = (Arc::new(roots), Arc::new(credentials));
        let provider = Arc::new(provider());

        let mut client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])
            .map_err(error)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(ClusterServers::new(Arc::clone(&roots), &provider)))
            .with_client_cert_resolver(Arc::clone(&credentials) as _);
        client.alpn_protocols = vec![ALPN.to_vec()];
        client.enable_sni = false;
        // A resumed session would carry on what was trusted when it began; links live long, so it saves nothing.
        client.resumption = Resumption::disabled();

        let mut server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(error)?
            .with_client_cert_verifier(clients(&roots)?)
            .with_cert_resolver(credentials);
        server.alpn_protocols = vec![ALPN.to_vec()];
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        Ok(Self { node: node.clone(), client: Arc::new(client), server: Arc::new(server) })
    }
}

/// A name that TLS wants and nobody looks at.
pub(crate) fn server_name() -> ServerName<'static> {
    ServerName::try_from("ringrift.internal").expect("a valid DNS name")
}

fn provider() -> CryptoProvider {
    ring::default_provider()
}

fn clients(roots: &Arc<RootCertStore>) -> Result<Arc<dyn ClientCertVerifier>, IdentityError> {
    WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), Arc::new(provider()))
        .build()
        .map_err(|error| IdentityError::Certificate(error.to_string()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let fail = |reason: String| IdentityError::File { path: path.to_owned(), reason };
    let found: Vec<_> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(|error| fail(error.to_string()))?;
    if found.is_empty() { Err(fail("holds no certificate".to_owned())) } else { Ok(found) }
}
