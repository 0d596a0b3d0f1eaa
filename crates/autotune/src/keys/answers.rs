//! What the imagined app answers: the same to the login, which asks over a real
//! socket, and to the load, which does not.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The status of `/gone`; that of all others is 200.
pub(super) const GONE: u16 = 404;
/// All bodies.
pub(super) const BODY: &str =
    r#"{"hello":"world","first":"from-json","second":"other-json","form":"[between]"}"#;

/// The bytes of the answer to a request.
pub(super) fn answer(request: &str) -> Vec<u8> {
    let gone = request
        .split_whitespace()
        .nth(1)
        .is_some_and(|path| path.starts_with("/gone"));
    let status = if gone { GONE } else { 200 };
    format!(
        "HTTP/1.1 {status} As asked\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         X-First: from-header\r\nX-Second: other-header\r\nSet-Cookie: first=from-cookie\r\n\
         Set-Cookie: second=other-cookie\r\n\r\n{BODY}",
        BODY.len()
    )
    .into_bytes()
}

/// Answers at a real address, and keeps what was asked.
pub(super) struct Listening {
    pub(super) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Listening {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        // One after the other: nobody asks twice at a time.
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let request = exchange(stream).await;
                seen.lock().unwrap().push(request);
            }
        });
        Self {
            address,
            asked,
            task,
        }
    }

    /// What was asked so far, without the address.
    pub(super) fn asked(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        let host = self.address.to_string();
        asked
            .iter()
            .map(|text| text.replace(&host, "<address>"))
            .collect()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads a request to its end, and answers.
async fn exchange(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .filter_map(|line| line.split_once(": "))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .map_or(0, |(_, value)| value.parse().unwrap());
            if body.len() >= length {
                stream.write_all(&answer(&text)).await.unwrap();
                return text;
            }
        }
        let count = stream.read(&mut chunk).await.unwrap();
        assert!(count > 0, "the request ends early: {text}");
        bytes.extend_from_slice(&chunk[..count]);
    }
}
