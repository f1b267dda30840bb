//! The accept loop: the one place where connections come in.

use std::{io, pin::pin, time::Duration};

use tokio::net::{TcpListener, TcpStream};
use tracing::{debug, warn};

use super::{
    Member, Presence,
    crew::{HandOver, Inbox},
};
use crate::{
    address::ClientAddr,
    limit::{Slot, Slots},
};

/// Pauses after an error that waiting may heal: descriptors or memory ran out.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A connection that came in, ready to be served by this worker.
#[derive(Debug)]
pub struct Connection {
    /// The socket, registered with this worker's runtime.
    pub stream: TcpStream,
    /// Who connected.
    pub client: ClientAddr,
    /// Keep it for as long as the connection is served.
    pub presence: Presence,
}

/// What an accept loop needs.
#[derive(Debug)]
pub struct Acceptor {
    /// The listener, as [`super::bind`] made it.
    pub listener: std::net::TcpListener,
    /// The worker's place in the crew of this port.
    pub member: Member,
    /// How many connections there may be; at the limit they wait in the kernel's backlog.
    pub slots: Slots,
}

impl Acceptor {
    /// Accepts until `until`, then what is waiting in the backlog, and closes the listener: from then on the kernel
    /// refuses connections, which proves to clients that nothing was delivered.
    ///
    /// Draining alone is no reason to end it: a pod that goes away keeps accepting (to answer, or to go on calling
    /// others while it finishes) until it is told to stop. `serve` must not block; it spawns a task of its worker.
    ///
    /// # Errors
    /// When the listener cannot be registered with the runtime. Errors of accepting end nothing: they are logged, and
    /// accepting goes on, after a pause where descriptors have run out.
    pub async fn run(self, until: impl Future<Output = ()>, mut serve: impl FnMut(Connection)) -> io::Result<()> {
        let listener = TcpListener::from_std(self.listener)?;
        let (member, slots) = (self.member, self.slots);
        let mut until = pin!(until);
        let mut pause = Pause::default();
        loop {
            let next = async {
                let (stream, client) = pause.accept(&listener).await;
                (stream, client, slots.take().await)
            };
            tokio::select! {
                biased;
                () = &mut until => break,
                (stream, client, slot) = next => place(&member, stream, client, slot, &mut serve),
            }
        }
        rest(listener, &member, &slots, serve)
    }
}

/// Serves what other workers hand over, until `until`, and then what has been sent by that time.
///
/// `serve` must not block; it spawns a task of its worker.
pub async fn receive(mut inbox: Inbox, until: impl Future<Output = ()>, mut serve: impl FnMut(Connection)) {
    let mut until = pin!(until);
    loop {
        let received = tokio::select! {
            biased;
            () = &mut until, if !inbox.0.is_closed() => {
                inbox.0.close(); // others keep their connections from now on
                continue;
            }
            received = inbox.0.recv() => received,
        };
        let Some(HandOver { stream, client, presence }) = received else { return };
        match TcpStream::from_std(stream) {
            Ok(stream) => serve(Connection { stream, client, presence }),
            Err(error) => warn!(%error, client.addr = %client, "connection lost between workers"),
        }
    }
}

/// Serves the connection here, or hands it to a worker that carries less.
fn place(member: &Member, stream: TcpStream, client: ClientAddr, slot: Slot, serve: &mut impl FnMut(Connection)) {
    let Some(transfer) = member.elsewhere() else {
        return serve(Connection { stream, client, presence: member.keep(slot) });
    };
    match stream.into_std() {
        Ok(stream) => transfer.send(stream, client, slot),
        Err(error) => warn!(%error, client.addr = %client, "connection lost between workers"),
    }
}

/// Connections that the kernel took before we closed would be reset; they are served instead.
fn rest(listener: TcpListener, member: &Member, slots: &Slots, mut serve: impl FnMut(Connection)) -> io::Result<()> {
    let listener = listener.into_std()?;
    while let (Some(slot), Ok((stream, client))) = (slots.try_take(), listener.accept()) {
        stream.set_nonblocking(true)?;
        let stream = TcpStream::from_std(stream)?;
        serve(Connection { stream, client: ClientAddr(client), presence: member.keep(slot) });
    }
    Ok(())
}

/// How long to wait after the next error; it doubles with each in a row.
#[derive(Debug, Default)]
struct Pause(Option<Duration>);

impl Pause {
    /// The next connection, however long it takes.
    async fn accept(&mut self, listener: &TcpListener) -> (TcpStream, ClientAddr) {
        loop {
            match listener.accept().await {
                Ok((stream, client)) => {
                    self.0 = None;
                    return (stream, ClientAddr(client));
                }
                Err(error) if of_one_connection(&error) => debug!(%error, "connection ended before it was accepted"),
                Err(error) => self.wait(&error).await,
            }
        }
    }

    async fn wait(&mut self, error: &io::Error) {
        if self.0.is_none() {
            warn!(%error, "not accepting: connections wait in the backlog");
        }
        let pause = self.0.map_or(FIRST_PAUSE, |last| (last * 2).min(LONGEST_PAUSE));
        self.0 = Some(pause);
        tokio::time::sleep(pause).await;
    }
}

/// Errors that say something about one connection only (accept(2): pending network errors are passed on).
fn of_one_connection(error: &io::Error) -> bool {
    let errors = [
        libc::ECONNABORTED,
        libc::ECONNRESET,
        libc::EHOSTDOWN,
        libc::EHOSTUNREACH,
        libc::EINTR,
        libc::ENETDOWN,
        libc::ENETUNREACH,
        libc::ENONET,
        libc::ENOPROTOOPT,
        libc::EPERM,
        libc::EPROTO,
    ];
    error.raw_os_error().is_some_and(|code| errors.contains(&code))
}

#[cfg(test)]
mod tests {
    use std::{
        cell::RefCell,
        future::{Ready, ready},
        net::{Ipv4Addr, SocketAddr},
        num::NonZeroUsize,
        rc::Rc,
    };

    use tokio::{io::AsyncReadExt, sync::oneshot, task::LocalSet};

    use super::*;
    use crate::listen::{Loads, crew};

    fn acceptor(member: Member, slots: &Slots) -> (Acceptor, SocketAddr) {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        (Acceptor { listener, member, slots: slots.clone() }, address)
    }

    fn workers(number: usize) -> Vec<(Member, Inbox)> {
        crew(&Loads::new(NonZeroUsize::new(number).unwrap()))
    }

    fn at_once() -> Ready<()> {
        ready(())
    }

    #[tokio::test]
    async fn connections_in_the_backlog_are_served_when_accepting_ends() {
        let (acceptor, address) = acceptor(workers(1).remove(0).0, &Slots::new(10));
        let _clients = [TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap()];
        let mut served = Vec::new();
        acceptor.run(at_once(), |connection| served.push(connection)).await.unwrap();
        assert_eq!(served.len(), 2);
        TcpStream::connect(address).await.unwrap_err();
    }

    #[tokio::test]
    async fn at_the_limit_a_connection_waits_for_another_to_end() {
        let slots = Slots::new(1);
        let (acceptor, address) = acceptor(workers(1).remove(0).0, &slots);
        let (stop, stopped) = oneshot::channel::<()>();
        let served: Rc<RefCell<Vec<Connection>>> = Rc::default();
        let local = LocalSet::new();
        local.spawn_local({
            let served = served.clone();
            acceptor.run(async { drop(stopped.await) }, move |connection| {
                connection.stream.try_write(b"x").unwrap();
                served.borrow_mut().push(connection);
            })
        });
        local
            .run_until(async {
                let mut clients =
                    [TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap()];
                clients[0].read_u8().await.unwrap();
                assert_eq!((served.borrow().len(), slots.free()), (1, 0));
                served.borrow_mut().clear();
                clients[1].read_u8().await.unwrap();
                stop.send(()).unwrap();
            })
            .await;
    }

    #[tokio::test]
    async fn a_worker_well_ahead_hands_over_to_the_least_loaded() {
        let mut all = workers(2);
        let (_, inbox) = all.remove(1);
        let (acceptor, address) = acceptor(all.remove(0).0, &Slots::new(10));
        let clients: Vec<_> =
            std::iter::repeat_with(|| std::net::TcpStream::connect(address).unwrap()).take(6).collect();
        let (here, there) = (Rc::new(RefCell::new(Vec::new())), Rc::new(RefCell::new(Vec::new())));
        let (stop, stopped) = oneshot::channel::<()>();
        let received = there.clone();
        let mut stop = Some(stop);
        let receiving = receive(inbox, async { drop(stopped.await) }, move |connection| {
            received.borrow_mut().push(connection);
            if received.borrow().len() == 2 {
                stop.take().map(|stop| stop.send(()));
            }
        });
        let keep = here.clone();
        let accepting = acceptor.run(std::future::pending(), move |connection| keep.borrow_mut().push(connection));
        tokio::select! {
            () = receiving => {}
            ended = accepting => ended.unwrap(),
        }
        assert!(here.borrow().len() >= 2, "it keeps what an even spread gives it");
        assert_eq!(there.borrow().len(), 2);
        drop(clients);
    }

    #[test]
    fn errors_of_one_connection_are_told_from_errors_of_the_machine() {
        let of_one = |code| of_one_connection(&io::Error::from_raw_os_error(code));
        assert!(of_one(libc::ECONNABORTED) && of_one(libc::EPROTO));
        assert!(!of_one(libc::EMFILE) && !of_one(libc::ENFILE) && !of_one(libc::ENOMEM) && !of_one(libc::EINVAL));
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_and_end_at_a_second() {
        let mut pause = Pause::default();
        let error = io::Error::from_raw_os_error(libc::EMFILE);
        let mut lengths = Vec::new();
        for _ in 0..9 {
            let start = tokio::time::Instant::now();
            pause.wait(&error).await;
            lengths.push(start.elapsed());
        }
        assert_eq!((lengths[0], lengths[8]), (FIRST_PAUSE, LONGEST_PAUSE));
        assert!(lengths.is_sorted());
    }
}
