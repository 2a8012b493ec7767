//! Sockets: who comes in, and who has stopped taking what is sent.

use super::Server;
use anyhow::{Context as _, Result};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

/// Connections at a time.
const MOST_CONNECTIONS: usize = 256;

/// Bytes that the system may hold for a client, some seconds of sound: with more, a sound would be made long before it is
/// wanted, and a client that has left would be found out late.
const SEND_BUFFER: u32 = 1 << 16;

/// Time after which a client that takes nothing is given up.
const STALL: Duration = Duration::from_secs(30);

/// How many connections there are.
#[derive(Clone)]
pub(super) struct Connections(Arc<Semaphore>);

impl Connections {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MOST_CONNECTIONS)))
    }

    fn begin(&self) -> Option<OwnedSemaphorePermit> {
        self.0.clone().try_acquire_owned().ok()
    }

    /// Waits until there are none.
    pub(super) async fn all_ended(&self) {
        // It is never closed.
        let _ = self.0.acquire_many(MOST_CONNECTIONS as u32).await;
    }
}

/// An address that is listened at.
pub(super) struct Listener(TcpListener);

impl Listener {
    pub(super) fn bind(address: SocketAddr) -> Result<Self> {
        let bind = || {
            let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            socket.set_reuseaddr(true)?;
            // Those that are accepted inherit it.
            socket.set_send_buffer_size(SEND_BUFFER)?;
            socket.bind(address)?;
            socket.listen(1024)
        };
        bind().map(Self).with_context(|| format!("cannot listen at {address}"))
    }

    pub(super) fn address(&self) -> Result<SocketAddr> {
        Ok(self.0.local_addr()?)
    }

    /// Has `serve` talk to each client on a task of its own until the server ends. A client too many is sent `full`.
    pub(super) async fn run<F>(
        self,
        connections: Connections,
        server: Arc<Server>,
        full: &'static [u8],
        serve: fn(Arc<Server>, Client) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        loop {
            let accepted = tokio::select! {
                accepted = self.0.accept() => accepted,
                () = server.ended() => return,
            };
            let Ok((mut stream, _)) = accepted else {
                // Out of file descriptors, or the client has left already.
                sleep(Duration::from_millis(20)).await;
                continue;
            };
            let Some(permit) = connections.begin() else {
                let _ = stream.try_write(full);
                let _ = stream.shutdown().await;
                continue;
            };
            let server = server.clone();
            tokio::spawn(async move {
                // A system that can't is slower by some ms.
                let _ = stream.set_nodelay(true);
                serve(server, Client::new(stream)).await;
                drop(permit);
            });
        }
    }
}

/// A connection whose writes fail once its other end has taken nothing for [`STALL`].
pub(super) struct Client {
    stream: TcpStream,
    timer: Pin<Box<Sleep>>,
    is_waiting: bool,
}

impl Client {
    fn new(stream: TcpStream) -> Self {
        Self { stream, timer: Box::pin(sleep(STALL)), is_waiting: false }
    }
}

impl AsyncRead for Client {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Client {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if let Poll::Ready(done) = Pin::new(&mut self.stream).poll_write(cx, buf) {
            self.is_waiting = false;
            return Poll::Ready(done);
        }
        if !self.is_waiting {
            self.is_waiting = true;
            self.timer.as_mut().reset(Instant::now() + STALL);
        }
        ready!(self.timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
