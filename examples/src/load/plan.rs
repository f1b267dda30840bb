//! What is asked, in which order. How it is sent: `client`.

use std::fmt;

/// One kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `GET /users`
    ListUsers,
    /// `GET /users/{id}` of one of the first three.
    FindUser(u8),
    /// `GET /orders`
    ListOrders,
    /// `GET /orders/{id}` of the first.
    FindOrder,
    /// `POST /orders` by one of the first three users; no two have the same item.
    CreateOrder(u64),
}

impl Call {
    /// Each kind once.
    pub const ALL: [Self; 5] =
        [Self::ListUsers, Self::FindUser(1), Self::ListOrders, Self::FindOrder, Self::CreateOrder(0)];

    /// Method and path, as an API's documentation writes them.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ListUsers => "GET /users",
            Self::FindUser(_) => "GET /users/{id}",
            Self::ListOrders => "GET /orders",
            Self::FindOrder => "GET /orders/{id}",
            Self::CreateOrder(_) => "POST /orders",
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The calls of a client, without end: of ten, five read users, three read orders and two order.
#[derive(Debug)]
pub struct Plan(u64);

/// The plan from its start.
#[must_use]
pub fn plan() -> Plan {
    Plan(0)
}

impl Plan {
    /// The next call.
    pub fn next_call(&mut self) -> Call {
        self.0 += 1;
        match self.0 % 10 {
            0 => Call::ListUsers,
            1 | 6 => Call::CreateOrder(self.0),
            2 | 7 => Call::FindOrder,
            3 => Call::ListOrders,
            step => Call::FindUser((step % 3) as u8 + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_calls_hold_every_kind_and_every_user() {
        let mut plan = plan();
        let calls: Vec<_> = (0..10).map(|_| plan.next_call()).collect();
        for kind in Call::ALL {
            assert!(calls.iter().any(|call| call.name() == kind.name()), "{kind} is missing");
        }
        for id in 1..=3 {
            assert!(calls.contains(&Call::FindUser(id)), "user {id} is missing");
        }
    }
}
