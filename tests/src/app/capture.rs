//! What is readable on the wire.

use std::{io::Read, time::Duration};

use serde::Serialize;
use socket2::{Domain, Protocol, Socket, Type};

/// ETH_P_ALL: every frame, in network byte order.
const ALL: i32 = 0x0003_u16.to_be() as i32;
/// Loopback's link type in a frame's address: what stays within the pod is no wire.
const ETHERNET_HEADER: usize = 14;

/// What was seen.
#[derive(Serialize)]
pub struct Captured {
    frames: usize,
    found: usize,
}

/// Looks at all frames of this network namespace but loopback's. Needs CAP_NET_RAW.
pub fn capture(needle: &str, time: Duration) -> anyhow::Result<Captured> {
    let mut socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(ALL)))?;
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    let end = tokio::time::Instant::now() + time;
    let mut frame = vec![0; 1 << 16];
    let mut captured = Captured { frames: 0, found: 0 };
    while tokio::time::Instant::now() < end {
        let Ok(n) = socket.read(&mut frame) else { continue };
        // On loopback both addresses are zero.
        if frame[..n.min(12)].iter().all(|byte| *byte == 0) || n < ETHERNET_HEADER {
            continue;
        }
        captured.frames += 1;
        let hit = frame[..n].windows(needle.len()).any(|window| window == needle.as_bytes());
        captured.found += usize::from(hit);
    }
    Ok(captured)
}
