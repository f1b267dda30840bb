//! Connections to servers that wait for their next request, per worker.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
    task::{Context, Waker},
};

use super::{Delivery, http2::Http2Server};
use crate::hash::QuickMap;

/// Idle HTTP/1.1 connections and shared HTTP/2 connections, by address.
#[derive(Default)]
pub struct Servers {
    idle: RefCell<QuickMap<SocketAddr, Vec<Rc<Seat>>>>,
    pub(super) http2: RefCell<QuickMap<SocketAddr, Rc<Http2Server>>>,
}

/// Where the task of an idle connection waits for its next request.
#[derive(Default)]
pub struct Seat {
    next: Cell<Option<Delivery>>,
    waker: RefCell<Option<Waker>>,
}

impl Seat {
    /// Gives the connection its next request.
    pub(super) fn hand(&self, delivery: Delivery) {
        self.next.set(Some(delivery));
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// The request that was handed over, if one was; otherwise the task is woken when one is.
    pub(super) fn poll_take(&self, cx: &Context<'_>) -> Option<Delivery> {
        if let Some(delivery) = self.next.take() {
            return Some(delivery);
        }
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        None
    }
}

impl Servers {
    /// The connection that became idle last: the one least likely to be closed by the server.
    pub(super) fn take(&self, address: SocketAddr) -> Option<Rc<Seat>> {
        self.idle.borrow_mut().get_mut(&address)?.pop()
    }

    pub(super) fn put(&self, address: SocketAddr, seat: &Rc<Seat>) {
        self.idle.borrow_mut().entry(address).or_default().push(seat.clone());
    }

    pub(super) fn forget_http2(&self, address: SocketAddr, server: &Rc<Http2Server>) {
        let mut http2 = self.http2.borrow_mut();
        if http2.get(&address).is_some_and(|known| Rc::ptr_eq(known, server)) {
            http2.remove(&address);
        }
    }

    /// The connection is over. What was handed to it in the meantime comes back.
    pub(super) fn remove(&self, address: SocketAddr, seat: &Rc<Seat>) -> Option<Delivery> {
        let mut idle = self.idle.borrow_mut();
        if let Some(seats) = idle.get_mut(&address) {
            seats.retain(|other| !Rc::ptr_eq(other, seat));
            if seats.is_empty() {
                idle.remove(&address);
            }
        }
        seat.next.take()
    }
}
