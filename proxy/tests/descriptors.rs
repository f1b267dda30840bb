//! Descriptors run out: accepting waits, nothing is lost, and it goes on when there are some again. Alone in its process,
//! as the limit is the process's.

use std::{cell::RefCell, fs::File, net::Ipv4Addr, num::NonZeroUsize, rc::Rc, time::Duration};

use tokio::{
    task::LocalSet,
    time::{Instant, sleep},
};
use weft_proxy::{
    limit::Slots,
    listen::{Acceptor, Connection, Loads, crew},
};

const CLIENTS: usize = 5;

#[tokio::test]
async fn connections_wait_while_there_are_no_descriptors_and_are_served_when_there_are() {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let _clients: Vec<_> = (0..CLIENTS).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
    let (member, _inbox) = crew(&Loads::new(NonZeroUsize::MIN)).remove(0);
    let acceptor = Acceptor { listener, member, slots: Slots::new(100) };

    let held = take_all_descriptors();
    let served: Rc<RefCell<Vec<Connection>>> = Rc::default();
    let serve = served.clone();
    let local = LocalSet::new();
    local.spawn_local(acceptor.run(std::future::pending(), move |connection| serve.borrow_mut().push(connection)));
    local
        .run_until(async {
            sleep(Duration::from_millis(300)).await;
            assert_eq!(served.borrow().len(), 0);
            drop(held);
            let end = Instant::now() + Duration::from_secs(20);
            while served.borrow().len() < CLIENTS {
                assert!(Instant::now() < end, "{} of {CLIENTS} served", served.borrow().len());
                sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
}

/// Holds every descriptor that this process may still open.
fn take_all_descriptors() -> Vec<File> {
    let few = libc::rlimit { rlim_cur: 100, rlim_max: 100 };
    // SAFETY: the kernel reads one struct that outlives the call.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const few) }, 0);
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}
