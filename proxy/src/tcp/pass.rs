//! Between two connections: for destinations outside of the mesh, which need nothing from it.

use std::{io, pin::pin};

use super::{
    Counters, End, Silence,
    relay::{Progress, until_both},
};
use crate::{
    relay::{AppConn, Reader, Writer},
    timers::Timer,
};

/// Moves bytes both ways until both directions are over. Each side's reset is to be passed on to the other by the
/// caller ([`End::AppReset`]: the client's; [`End::PeerReset`]: the server's).
pub async fn pass_through(
    client: &mut AppConn,
    server: &mut AppConn,
    timer: &Timer,
    silence: Silence,
    counters: &Counters,
) -> End {
    let progress = Progress::new(timer, silence);
    let (mut client_rd, mut client_wr) = client.split();
    let (mut server_rd, mut server_wr) = server.split();
    let count_up = |n| counters.count_received(n);
    let count_down = |n| counters.count_sent(n);
    let up = pin!(one_way(&mut client_rd, &mut server_wr, &progress, (End::AppReset, End::PeerReset), count_up));
    let down = pin!(one_way(&mut server_rd, &mut client_wr, &progress, (End::PeerReset, End::AppReset), count_down));
    until_both(up, down, timer).await
}

async fn one_way(
    from: &mut Reader<'_>,
    to: &mut Writer<'_>,
    progress: &Progress<'_>,
    (from_broke, to_broke): (End, End),
    count: impl Fn(usize),
) -> Result<(), End> {
    loop {
        match from.fill().await {
            Ok(()) => progress.moved(),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                progress.one_is_over();
                // The other side may have closed already: then there is nothing to finish.
                let _ = to.finish().await;
                return Ok(());
            }
            Err(_) => return Err(from_broke),
        }
        let n = from.buf.len();
        to.piece(from.buf.filled()).await.map_err(|_| to_broke)?;
        to.flush().await.map_err(|_| to_broke)?;
        from.buf.consume(n);
        count(n);
        progress.moved();
    }
}
