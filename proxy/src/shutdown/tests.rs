//! Phases, holds, tasks that end; with a paused clock.

use std::{convert::Infallible, future::pending, io};

use tokio::time::{Instant, sleep};

use super::*;

const DEADLINE: Duration = Duration::from_secs(30);

async fn until_stop(stop: CancellationToken) -> Result<(), Infallible> {
    stop.cancelled().await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn draining_alone_does_not_end_the_process() {
    let shutdown = Shutdown::new(DEADLINE);
    shutdown.drain();
    let handle = shutdown.handle();
    handle.draining().await;
    assert!(handle.is_draining() && !handle.is_stopped());
    assert!(timeout(DEADLINE * 10, shutdown.run()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn leaving_waits_for_what_is_in_flight() {
    let shutdown = Shutdown::new(DEADLINE);
    shutdown.spawn("steady", until_stop);
    let hold = shutdown.handle().hold();
    shutdown.leave();
    let began = Instant::now();
    let (ending, ()) = tokio::join!(shutdown.run(), async move {
        sleep(Duration::from_secs(5)).await;
        drop(hold);
    });
    assert_eq!(ending, Ending::Drained);
    assert_eq!(began.elapsed(), Duration::from_secs(5));
    assert!(shutdown.handle().is_stopped());
}

#[tokio::test(start_paused = true)]
async fn what_does_not_end_is_cut_at_the_deadline() {
    let shutdown = Shutdown::new(DEADLINE);
    let _holds = [shutdown.handle().hold(), shutdown.handle().hold()];
    shutdown.leave();
    let began = Instant::now();
    assert_eq!(shutdown.run().await, Ending::DeadlinePassed { left: 2 });
    assert_eq!(began.elapsed(), DEADLINE);
}

#[tokio::test(start_paused = true)]
async fn a_second_request_to_end_does_not_wait() {
    let shutdown = Shutdown::new(DEADLINE);
    let _hold = shutdown.handle().hold();
    shutdown.leave();
    let other = shutdown.clone();
    let began = Instant::now();
    let (ending, ()) = tokio::join!(shutdown.run(), async move {
        sleep(Duration::from_secs(1)).await;
        other.stop();
    });
    assert_eq!((ending, began.elapsed()), (Ending::Stopped, Duration::from_secs(1)));
}

#[tokio::test(start_paused = true)]
async fn a_critical_task_that_ends_ends_the_process() {
    let shutdown = Shutdown::new(DEADLINE);
    let _hold = shutdown.handle().hold();
    shutdown.spawn("steady", until_stop);
    shutdown.spawn("fragile", |_stop| async { Err(io::Error::other("gone")) });
    assert_eq!(shutdown.run().await, Ending::TaskEnded { name: "fragile" });
}

#[tokio::test(start_paused = true)]
async fn a_task_that_does_not_listen_delays_the_end_only_briefly() {
    let shutdown = Shutdown::new(DEADLINE);
    shutdown.spawn("deaf", |_stop| pending::<Result<(), Infallible>>());
    shutdown.leave();
    let began = Instant::now();
    assert_eq!(shutdown.run().await, Ending::Drained);
    assert_eq!(began.elapsed(), LAST_WORDS);
}

#[tokio::test]
async fn the_first_signal_leaves_and_the_second_stops() {
    let shutdown = Shutdown::new(DEADLINE);
    shutdown.watch_signals().unwrap();
    let signal = |name: &str| {
        let sent = std::process::Command::new("sh")
            .args(["-c", &format!("kill {name} {}", std::process::id())])
            .status()
            .unwrap();
        assert!(sent.success());
    };
    let handle = shutdown.handle();
    let _hold = handle.hold();
    signal("-TERM");
    handle.leaving().await;
    assert!(handle.is_draining() && !handle.is_stopped());
    signal("-INT");
    assert_eq!(shutdown.run().await, Ending::Stopped);
}
