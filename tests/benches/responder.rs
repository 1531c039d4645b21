//! Servers that answer as fast as a server can.

use std::error::Error;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

/// How long an answer is, its head included.
const ANSWER: usize = 500;

/// Our own: it looks for the end of a head and says always the same.
pub struct Responder {
    address: SocketAddr,
    _runtime: Runtime,
}

impl Responder {
    /// One that gives this answer to every request.
    pub fn start(answer: Vec<u8>) -> io::Result<Self> {
        let answer: Arc<[u8]> = answer.into();
        let runtime = Runtime::new()?;
        let listener = runtime.block_on(tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let address = listener.local_addr()?;
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&answer)));
            }
        });
        Ok(Self { address, _runtime: runtime })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn serve(mut stream: TcpStream, answer: Arc<[u8]>) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(4096);
    stream.set_nodelay(true)?;
    while stream.read_buf(&mut bytes).await? > 0 {
        if bytes.ends_with(b"\r\n\r\n") {
            stream.write_all(&answer).await?;
            bytes.clear();
        }
    }
    Ok(())
}

/// As v1's in the captures of the benchmark, but for the id of the request.
pub fn answer() -> Vec<u8> {
    let head = |length: usize| {
        format!(
            "HTTP/1.1 200 OK\r\nServer: nginx/1.26.0\r\nDate: Tue, 14 Nov 2023 22:13:20 GMT\r\n\
             Content-Type: application/json; charset=utf-8\r\nCache-Control: no-cache\r\n\
             X-Request-Id: 7f4c00000000\r\nContent-Length: {length:>7}\r\n\r\n"
        )
    };
    super::generator::message(&head(ANSWER - head(0).len()), "", ANSWER)
}

/// One that differs from v1's in its fields and in its text.
pub fn another_answer() -> Vec<u8> {
    let start = "HTTP/1.1 200 OK\r\nServer: nginx/1.27.0\r\nDate: Tue, 14 Nov 2023 22:14:00 GMT\r\n\
                 Content-Type: application/json\r\nContent-Length: 290\r\nConnection: keep-alive\r\n\r\nx";
    super::generator::message(start, "", start.len() - 1 + 290)
}

/// nginx with one worker and no log.
pub struct Nginx {
    child: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Nginx {
    /// One that is set up to answer as v1 did. Its version is another one, and it says that the connection stays.
    pub fn like_v1() -> Result<Self, Box<dyn Error>> {
        let answer = String::from_utf8(answer())?;
        let body = answer.split_once("\r\n\r\n").ok_or("an answer has a head")?.1;
        let fields = "add_header Cache-Control no-cache; add_header X-Request-Id 7f4c00000000;";
        Self::start("application/json; charset=utf-8", fields, body)
    }

    /// One whose answers differ in five places.
    pub fn unlike_v1() -> Result<Self, Box<dyn Error>> {
        let body = String::from_utf8(answer().split_off(ANSWER - 290))?;
        Self::start("application/json", "", &body)
    }

    fn start(kind: &str, fields: &str, body: &str) -> Result<Self, Box<dyn Error>> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let folder = tempfile::tempdir()?;
        let config = format!(
            "daemon off; pid nginx.pid; worker_processes 1; events {{ worker_connections 4096; }}\n\
             http {{ access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; \
             uwsgi_temp_path uwsgi; scgi_temp_path scgi; keepalive_requests 1000000000; default_type '{kind}'; \
             server {{ listen {address}; location / {{ {fields} return 200 '{body}'; }} }} }}\n"
        );
        fs::write(folder.path().join("nginx.conf"), config)?;
        let found =
            ["/usr/sbin/nginx", "/sbin/nginx"].into_iter().find(|path| fs::exists(path).unwrap_or(false));
        let mut command = Command::new(found.unwrap_or("nginx"));
        command.env("NGINX", "0;").stdin(Stdio::from(OwnedFd::from(listener)));
        command.arg("-p").arg(folder.path()).args(["-c", "nginx.conf", "-e", "stderr"]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        Ok(Self { child, address, _folder: folder })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // QUIT lets it end its worker, which KILL would leave behind.
        let ended = Command::new("kill").args(["-QUIT", &self.child.id().to_string()]).status();
        if ended.is_ok_and(|status| status.success()) {
            let _ = self.child.wait();
        }
    }
}
