use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Semaphore,
};

use crate::error::HttpError;

/// Connections that are told why they are not served, at a time. Further ones are closed without a word.
const AT_ONCE: usize = 32;

/// How long one may take to listen.
const PATIENCE: Duration = Duration::from_secs(1);

/// Tells connections beyond the limits why they are not served.
#[derive(Debug)]
pub(crate) struct Refusals(Arc<Semaphore>);

impl Default for Refusals {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Refusals {
    pub(crate) fn answer(&self, mut socket: TcpStream, why: &str) {
        let Ok(permit) = Arc::clone(&self.0).try_acquire_owned() else { return };
        let body = HttpError::Overloaded(format!("{why}: try again")).body();
        let body = serde_json::to_string(&body).unwrap_or_default();
        let answer = format!(
            "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Retry-After: 5\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        tokio::spawn(async move {
            let told = async {
                socket.write_all(answer.as_bytes()).await?;
                socket.shutdown().await?;
                // Closed with the request unread, the answer would be lost on its way.
                let mut request = [0; 2048];
                while socket.read(&mut request).await? > 0 {}
                std::io::Result::Ok(())
            };
            let _ = tokio::time::timeout(PATIENCE, told).await;
            drop(permit);
        });
    }
}
