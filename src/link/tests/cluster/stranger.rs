//! A peer that has a good certificate and does with it what a test wants, byte by byte.

use std::{future::poll_fn, net::SocketAddr, path::PathBuf, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use ringrift_link::Identity;
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
    server::WebPkiClientVerifier,
    version::TLS13,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt as _, TokioAsyncReadCompatExt as _};

use super::id;

/// An authority whose key the test holds.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    dir: TempDir,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.pem"), certificate.pem()).unwrap();
        Self { issuer: Issuer::new(params, key), certificate: certificate.der().clone(), dir }
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// Files with a certificate for a node, as other software issues them.
    pub(crate) fn files(&self, node: &str, change: impl FnOnce(&mut CertificateParams)) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, node);
        params.subject_alt_names = vec![SanType::DnsName("stranger".try_into().unwrap())];
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let (cert_path, key_path) =
            (self.dir.path().join(format!("{node}.pem")), self.dir.path().join(format!("{node}.key")));
        std::fs::write(&cert_path, certificate.pem()).unwrap();
        std::fs::write(&key_path, key.serialize_pem()).unwrap();
        (cert_path, key_path)
    }

    pub(crate) fn identity(&self, node: &str) -> Identity {
        let (cert, key) = self.files(node, |_| {});
        Identity::from_files(&id(node), &self.ca(), &cert, &key).unwrap()
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        Arc::new(roots)
    }

    fn leaf(&self, node: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, node);
        params.subject_alt_names = vec![SanType::DnsName("stranger".try_into().unwrap())];
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (vec![certificate.der().clone()], key.serialize_der().try_into().unwrap())
    }

    /// A TLS connection to a node; without `own` no certificate is shown.
    pub(crate) async fn connect(&self, to: SocketAddr, own: Option<&str>) -> std::io::Result<TlsStream<TcpStream>> {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anyone(ring::default_provider())));
        let mut config = match own.map(|own| self.leaf(own)) {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"ringrift/1".to_vec()];
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("stranger").unwrap();
        Ok(TlsConnector::from(Arc::new(config)).connect(name, stream).await?.into())
    }

    /// The answering end of TLS, as `own`, over whatever carries it.
    pub(crate) async fn accept<T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        own: &str,
        stream: T,
    ) -> std::io::Result<TlsStream<T>> {
        let provider = Arc::new(ring::default_provider());
        let clients = WebPkiClientVerifier::builder_with_provider(self.roots(), Arc::clone(&provider)).build().unwrap();
        let (chain, key) = self.leaf(own);
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(chain, key)
            .unwrap();
        config.alpn_protocols = vec![b"ringrift/1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)).accept(stream).await?.into())
    }

    /// Goes through the whole handshake with a node and opens the control stream.
    pub(crate) async fn link(&self, to: SocketAddr, own: &str) -> Linked {
        let mut tls = self.connect(to, Some(own)).await.unwrap();
        write_frame(&mut tls, &hello(own)).await;
        let reply = read_frame(&mut tls).await.unwrap();
        assert_eq!(reply[0], 0, "welcome: {}", String::from_utf8_lossy(&reply));
        write_frame(&mut tls, &[0]).await;
        let mut linked = Linked::over(tls, yamux::Mode::Client);
        let mut control = linked.open().await;
        control.write_all(&[3, 0, 0, 0, 0, 0]).await.unwrap();
        linked.control = Some(control);
        linked
    }
}

pub(crate) type Bytes = Compat<yamux::Stream>;

/// A yamux connection whose task runs until this is dropped.
pub(crate) struct Linked {
    opens: tokio::sync::mpsc::Sender<tokio::sync::oneshot::Sender<Bytes>>,
    pub(crate) inbound: tokio::sync::mpsc::Receiver<Bytes>,
    pub(crate) control: Option<Bytes>,
}

impl Linked {
    pub(crate) fn over<T>(tls: TlsStream<T>, mode: yamux::Mode) -> Self
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut config = yamux::Config::default();
        config.set_max_connection_receive_window(None).set_max_num_streams(4096);
        let mut connection = yamux::Connection::new(tls.compat(), config, mode);
        let (opens, mut asked) = tokio::sync::mpsc::channel::<tokio::sync::oneshot::Sender<Bytes>>(16);
        let (accepted, inbound) = tokio::sync::mpsc::channel(1024);
        tokio::spawn(poll_fn(move |cx| {
            loop {
                match asked.poll_recv(cx) {
                    std::task::Poll::Ready(Some(open)) => {
                        let std::task::Poll::Ready(Ok(stream)) = connection.poll_new_outbound(cx) else {
                            return std::task::Poll::Ready(());
                        };
                        let _ = open.send(stream.compat());
                    }
                    std::task::Poll::Ready(None) => return std::task::Poll::Ready(()),
                    std::task::Poll::Pending => break,
                }
            }
            loop {
                match std::task::ready!(connection.poll_next_inbound(cx)) {
                    Some(Ok(stream)) => {
                        let _ = accepted.try_send(stream.compat());
                    }
                    _ => return std::task::Poll::Ready(()),
                }
            }
        }));
        Self { opens, inbound, control: None }
    }

    pub(crate) async fn open(&self) -> Bytes {
        let (open, opened) = tokio::sync::oneshot::channel();
        self.opens.send(open).await.unwrap();
        opened.await.unwrap()
    }

    /// Resolves when the node has ended the connection.
    pub(crate) async fn ended(&self) {
        self.opens.closed().await;
    }
}

/// The greeting of a node, written by hand: version, then a map.
pub(crate) fn hello(node: &str) -> Vec<u8> {
    #[derive(serde::Serialize)]
    struct Hello<'a> {
        node: &'a str,
        instance: u64,
        up_ms: u64,
        listen_port: Option<u16>,
        observed: Option<SocketAddr>,
        max_frame: u32,
        software: &'a str,
    }
    let hello = Hello {
        node,
        instance: 4711,
        up_ms: 0,
        listen_port: None,
        observed: None,
        max_frame: 1 << 20,
        software: "none",
    };
    let mut bytes = vec![0, 1];
    bytes.extend(rmp_serde::to_vec_named(&hello).unwrap());
    bytes
}

pub(crate) async fn write_frame(stream: &mut (impl AsyncWrite + Unpin), body: &[u8]) {
    stream.write_u32(u32::try_from(body.len()).unwrap()).await.unwrap();
    stream.write_all(body).await.unwrap();
    stream.flush().await.unwrap();
}

pub(crate) async fn read_frame(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Vec<u8>> {
    let mut body = vec![0; stream.read_u32().await? as usize];
    stream.read_exact(&mut body).await?;
    Ok(body)
}

/// Takes any server for good.
#[derive(Debug)]
struct Anyone(rustls::crypto::CryptoProvider);

impl rustls::client::danger::ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.3 only".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
