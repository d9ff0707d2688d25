//! What lies between a client and a service.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;

/// What becomes of the connections that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Both ends are told, and new ones carry on.
    Closed,
    /// Nobody is told and nothing gets through, as where a firewall has forgotten them; new ones carry on.
    Dead,
    /// Both ends are told, and new ones end as they begin.
    Gone,
}

/// Connections that carry what is sent, until they are cut.
pub struct Wire {
    pub url: String,
    cuts: broadcast::Sender<Cut>,
    is_gone: Arc<AtomicBool>,
}

impl Wire {
    pub async fn to(service: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (cuts, _) = broadcast::channel(1);
        let is_gone = Arc::new(AtomicBool::new(false));
        let (told, has_gone) = (cuts.clone(), Arc::clone(&is_gone));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if !has_gone.load(Ordering::Relaxed) {
                    tokio::spawn(carry(client, service, told.subscribe()));
                }
            }
        });
        Self { url, cuts, is_gone }
    }

    pub fn cut(&self, how: Cut) {
        self.is_gone.store(how == Cut::Gone, Ordering::Relaxed);
        self.cuts.send(how).expect("there are connections");
    }

    /// New connections carry on.
    pub fn mend(&self) {
        self.is_gone.store(false, Ordering::Relaxed);
    }
}

async fn carry(mut client: TcpStream, service: SocketAddr, mut cuts: broadcast::Receiver<Cut>) {
    let Ok(mut server) = TcpStream::connect(service).await else { return };
    let cut = tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => return,
        cut = cuts.recv() => cut,
    };
    if cut == Ok(Cut::Dead) {
        // Both streams stay open for as long as the story lasts.
        std::future::pending::<()>().await;
    }
}
